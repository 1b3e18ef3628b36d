"use client";
// Places an order and shows the steps that the store has results of.
import { useState } from "react";

const POLL_MS = 100;
const DEADLINE_MS = 30_000;

export default function Page() {
  const [{ state, done }, show] = useState({ state: "nothing ordered yet", done: [] });

  async function placeOrder() {
    show({ state: "placing the order", done: [] });
    const { id } = await (await fetch("/api/orders", { method: "POST" })).json();
    let begun = false;
    for (const deadline = Date.now() + DEADLINE_MS; Date.now() < deadline; ) {
      const order = await (await fetch(`/api/orders/${id}`)).json();
      if (begun && !order.inProgress) return show((last) => ({ ...last, state: "done, and nothing is left in Redis" }));
      begun ||= order.inProgress;
      if (begun) show({ state: "in progress", done: order.done });
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
    show((last) => ({ ...last, state: "not done in time: see the server's log" }));
  }

  return (
    <main>
      <button type="button" onClick={placeOrder}>
        Place an order
      </button>
      <p>{state}</p>
      <ol>
        {done.map((task) => (
          <li key={task}>{task}</li>
        ))}
      </ol>
    </main>
  );
}
