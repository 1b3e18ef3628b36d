/**
 * A fixed number of executions between two phases, so that the parent can record exactly what they sent.
 */
import { randomUUID } from "node:crypto";
import { runExecution } from "./execution.mjs";

/**
 * @param {{ store: object, phase: (name: string) => Promise<unknown> }} process
 * @param {{ executions: number, concurrency: number }} params how many executions in all, and how many side by side
 * @returns {Promise<{ calls: number }>} store calls made between the phases `begin` and `end`
 */
export async function recordable({ store, phase }, { executions, concurrency }) {
  await store.isExecutionInProgress(randomUUID());
  await phase("begin");
  const counter = { calls: 0 };
  let left = executions;
  const caller = async () => {
    while (left-- > 0) await runExecution(store, randomUUID(), counter);
  };
  await Promise.all(Array.from({ length: concurrency }, caller));
  await phase("end");
  return counter;
}
