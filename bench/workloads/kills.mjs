/**
 * Commits that go on while the server, or the connection to it, ends and comes back, again and again.
 */
import { performance } from "node:perf_hooks";
import { percentile } from "../statistics.mjs";
import { VALUE } from "./execution.mjs";

/** How many latencies are kept. */
const MAX_SAMPLES = 1 << 20;

/** Tasks of a caller, one after another and then again: the server's data stays small. */
const TASKS = 50;

/**
 * @param {{ store: object, phase: (name: string) => Promise<unknown> }} process
 * @param {{ concurrency: number }} params callers, each of which awaits its calls, until the phase
 *   `kills` is over, in which the parent does the harm
 * @returns {Promise<{ p99: number, longest: number }>} milliseconds
 */
export async function kills({ store, phase }, { concurrency }) {
  const samples = new Float64Array(MAX_SAMPLES);
  let [taken, stopped] = [0, false];
  const caller = async (_, name) => {
    for (let index = 0; !stopped; index += 1) {
      const asked = performance.now();
      await store.commitExecutionTaskResult(`run-${name}`, `task-${index % TASKS}`, VALUE);
      if (taken < MAX_SAMPLES) samples[taken++] = performance.now() - asked;
    }
  };
  await store.isExecutionInProgress("nobody");
  const callers = Promise.all(Array.from({ length: concurrency }, caller));
  // A caller that fails ends the run at once.
  await Promise.race([callers, phase("kills")]);
  stopped = true;
  await callers;
  const latencies = samples.subarray(0, taken);
  return { p99: percentile(latencies, 0.99), longest: percentile(latencies, 1) };
}
