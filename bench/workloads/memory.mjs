/**
 * How much memory a process holds: after a stretch of work, with very many calls in flight, and with many large results.
 */
import { randomUUID } from "node:crypto";
import { runExecution } from "./execution.mjs";

/**
 * @param {{ store: object }} process
 * @param {{ executions: number, concurrency: number, inFlight: number }} params the stretch of work, and how many calls
 *   are then made in one turn
 * @returns {Promise<{ loaded: number, worked: number, inFlight: number }>} resident set size in MB: after the first
 *   answered call, after the work, and the largest seen while the calls were in flight
 */
export async function memory({ store }, { executions, concurrency, inFlight }) {
  await store.isExecutionInProgress(randomUUID());
  const loaded = residentSize();

  const counter = { calls: 0 };
  let left = executions;
  const caller = async () => {
    while (left-- > 0) await runExecution(store, randomUUID(), counter);
  };
  await Promise.all(Array.from({ length: concurrency }, caller));
  const worked = residentSize();

  let answered = 0;
  const calls = Array.from({ length: inFlight }, async () => {
    if ((await store.getExecutionTaskResult("nobody", "no-task")) !== undefined) throw new Error("a result of nobody");
    answered += 1;
  });
  let largest = residentSize();
  const watch = () => {
    largest = Math.max(largest, residentSize());
    if (answered < inFlight) watching = setImmediate(watch);
  };
  let watching = setImmediate(watch);
  await Promise.all(calls).finally(() => clearImmediate(watching));
  return { loaded, worked, inFlight: largest };
}

/**
 * @param {{ store: object }} process
 * @param {{ executionId: string, taskId: string, reads: number }} params the result, and how often it is read in one turn
 * @returns {Promise<{ peak: number }>} largest resident set size in MB
 */
export async function memoryOfResults({ store }, { executionId, taskId, reads }) {
  let bytes = 0;
  const read = async () => {
    bytes += (await store.getExecutionTaskResult(executionId, taskId)).length;
  };
  await Promise.all(Array.from({ length: reads }, read));
  if (bytes === 0) throw new Error("an empty result");
  return { peak: (process.resourceUsage().maxRSS * 1024) / 1e6 };
}

function residentSize() {
  return process.memoryUsage.rss() / 1e6;
}
