// A store that reads very large results, and in the same process another one, whose calls must not notice.
import { expect, it } from "vitest";
import { runScript } from "../support/child.mjs";
import { startFakeRedis } from "../support/fake-redis.mjs";
import { privateRedis } from "../support/redis.mjs";
import { note, times } from "../support/scale.mjs";
import { temporaryClient } from "../support/temporary.mjs";

/** Of the hash that is read again and again. */
const TASKS = 100_000;
const RESULT_BYTES = 2000;
const READS = times(6, 20);
/** What the other store's server takes for an answer, and what the store gives it. */
const ANSWER_MS = 100;
const COMMAND_TIMEOUT_MS = 500;

it("reads of large results fail no call of another store and replace none of its connections", {
  timeout: 120_000,
}, async () => {
  const server = await privateRedis();
  const value = JSON.stringify("x".repeat(RESULT_BYTES));
  const fill = "for task = 1, tonumber(ARGV[1]) do redis.call('HSET', KEYS[1], 'task-' .. task, ARGV[2]) end";
  await temporaryClient(server).eval(fill, 1, "large-results", TASKS, value);
  const other = await startFakeRedis(({ command, socket }) => {
    if (command[0] === "CLIENT") return "+OK\r\n";
    setTimeout(() => socket.write("$4\r\ntrue\r\n"), ANSWER_MS);
    return undefined;
  });
  const script = `
    const large = createRedisStore(args.url, { commandTimeout: 60_000, readAhead: false });
    const small = createRedisStore({ host: args.host, port: args.port }, { commandTimeout: args.commandTimeout, readAhead: false });
    let reading = true;
    const found = { calls: 0, errors: [], slowest: 0 };
    const callers = Array.from({ length: 8 }, async (_, caller) => {
      while (reading) {
        const made = performance.now();
        found.calls += 1;
        await small.isExecutionInProgress("run-" + caller).catch(({ message }) => found.errors.push(message));
        found.slowest = Math.max(found.slowest, performance.now() - made);
      }
    });
    const readers = [0, 1].map(async () => {
      for (let read = 0; read < args.reads; read += 1) {
        const results = await large.getExecutionTaskResults("large");
        if (Object.keys(results).length !== args.tasks) throw new Error("not all results");
      }
    });
    await Promise.all(readers);
    reading = false;
    await Promise.all(callers);
    console.log(JSON.stringify(found));
    process.exit();
  `;
  const { host, port } = other;
  const args = { url: server.url, host, port, commandTimeout: COMMAND_TIMEOUT_MS, reads: READS / 2, tasks: TASKS };
  const { lines, errors } = await runScript(script, { args, deadline: 100_000 });
  await other.stop();
  expect(lines, errors).toHaveLength(1);
  const found = JSON.parse(lines[0]);
  expect(found.calls).toBeGreaterThan(8);
  expect(found.errors).toEqual([]);
  expect(other.connections).toBe(1);
  note({
    scenario: `reads of ${TASKS} results by one store, calls with a commandTimeout of ${COMMAND_TIMEOUT_MS} ms by another`,
    done: `${READS} reads, ${found.calls} calls answered by their server after ${ANSWER_MS} ms`,
    found: `0 errors, 1 connection, the slowest call took ${Math.round(found.slowest)} ms`,
    promise: "0 errors, 1 connection",
  });
});
