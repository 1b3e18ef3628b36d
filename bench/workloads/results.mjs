/**
 * Reading all results of an execution that has many.
 */
import { performance } from "node:perf_hooks";

/** Reads that come before the measured ones. */
const WARM_UP_READS = 3;

/** Fewest reads that are measured, however long they take. */
const MIN_READS = 5;

/**
 * @param {{ store: object }} process
 * @param {{ executionId: string, count: number, duration: number }} params the execution, how many results it has, and
 *   for how many milliseconds it is read again and again
 * @returns {Promise<{ time: number, loopTime: number }>} milliseconds per read: waited for, and of the event loop
 */
export async function results({ store }, { executionId, count, duration }) {
  const read = async () => {
    const found = Object.keys(await store.getExecutionTaskResults(executionId)).length;
    if (found !== count) throw new Error(`${found} results instead of ${count}`);
  };
  for (let i = 0; i < WARM_UP_READS; i += 1) await read();

  const began = performance.now();
  const loop = performance.eventLoopUtilization();
  let reads = 0;
  while (reads < MIN_READS || performance.now() - began < duration) {
    await read();
    reads += 1;
  }
  const elapsed = performance.now() - began;
  return { time: elapsed / reads, loopTime: performance.eventLoopUtilization(loop).active / reads };
}
