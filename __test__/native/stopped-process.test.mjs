// A process that was stopped past the deadline of a call, as a debugger, a container's freezer or a suspended machine stops it:
// the answer that came meanwhile is in its socket, and is the answer.
import { setTimeout as delay } from "node:timers/promises";
import { afterEach, describe, expect, it } from "vitest";
import { startScript, suspend } from "../support/child.mjs";
import { bulk, FAKE_TOPOLOGIES } from "../support/fake-topologies.mjs";
import { eventually } from "../support/redis.mjs";

const COMMAND_TIMEOUT_MS = 1000;

const endings = [];
afterEach(async () => {
  for (const end of endings.splice(0).reverse()) await end();
});

const script = `
  const store = createRedisStore(args.redis, { commandTimeout: args.commandTimeout, readAhead: false });
  await store.getExecutionTaskResult("run", "first");
  const outcomes = await Promise.allSettled([
    store.getExecutionTaskResult("run", "second"),
    store.beginExecutionTask("run", "third"),
  ]);
  console.log(JSON.stringify(outcomes.map(({ value = "done", reason }) => reason?.message ?? value)));
  process.exit();
`;

describe("a process that is stopped past the deadline of its calls", () => {
  it.each(Object.keys(FAKE_TOPOLOGIES))("has them answered by what came meanwhile: %s", async (name) => {
    const held = [];
    const { redis, stop } = await FAKE_TOPOLOGIES[name](({ command, socket }) => {
      const reply = command[0] === "HGET" ? bulk(JSON.stringify(command[2])) : ":1\r\n";
      if (command[2] === "first") return reply;
      held.push(() => socket.write(reply));
      return undefined;
    });
    endings.push(stop);
    const child = startScript(script, { args: { redis, commandTimeout: COMMAND_TIMEOUT_MS } });
    await eventually(() => held.length === 2, { message: "both calls at the server" });
    await suspend(child.pid);
    for (const answer of held) answer();
    await delay(2 * COMMAND_TIMEOUT_MS);
    process.kill(child.pid, "SIGCONT");
    const { lines, errors } = await child.ended;
    expect(lines, errors).toEqual([JSON.stringify(["second", "done"])]);
  });
});
