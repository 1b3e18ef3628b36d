// The HTTP dispatcher: a message goes to the worker's route in a request of its own, once the present response is sent. It is
// as good as this process. In production a queue service (QStash, SQS, …) stands in between and keeps what is not done.
import { setTimeout as delay } from "node:timers/promises";
import { after } from "next/server";

const ATTEMPTS = 5;
const FIRST_PAUSE_MS = 100;
const DEADLINE_MS = 30_000;

export const dispatcher = {
  dispatch(message) {
    after(() => deliver(message));
  },
};

/** At least once: a message whose handling failed is sent again, and the store has what has been done already. */
async function deliver(message) {
  const { APP_URL = "http://localhost:3000", WORKER_SECRET } = process.env;
  for (let attempt = 1; ; attempt += 1) {
    try {
      const response = await fetch(new URL("/api/worker", APP_URL), {
        method: "POST",
        headers: { authorization: `Bearer ${WORKER_SECRET}`, "content-type": "application/json" },
        body: JSON.stringify(message),
        signal: AbortSignal.timeout(DEADLINE_MS),
      });
      if (response.ok) return;
      throw new Error(`The worker answered ${response.status}`);
    } catch (error) {
      if (attempt === ATTEMPTS) throw error;
      await delay(FIRST_PAUSE_MS * 2 ** (attempt - 1));
    }
  }
}
