/**
 * Small calls of one store beside large reads of another one in the same process.
 */
import { performance } from "node:perf_hooks";
import { percentile } from "../statistics.mjs";

/** How many latencies are kept. */
const MAX_SAMPLES = 1 << 20;

/**
 * @param {{ store: object, open: (url: string) => Promise<import("../rivals.mjs").Opened> }} process
 * @param {{ largeUrl: string, executionId: string, count: number, reads: number }} params the server with the large
 *   execution, how many results that has, and how often they are read
 * @returns {Promise<{ p99: number }>} milliseconds of a small call
 */
export async function besideLarge({ store, open }, { largeUrl, executionId, count, reads }) {
  const large = await open(largeUrl);
  const samples = new Float64Array(MAX_SAMPLES);
  let [taken, reading] = [0, true];
  const callSmall = async () => {
    while (reading && taken < MAX_SAMPLES) {
      const asked = performance.now();
      if (await store.isExecutionInProgress("nobody")) throw new Error("nobody is in progress");
      samples[taken++] = performance.now() - asked;
    }
  };
  const readLarge = async () => {
    for (let read = 0; read < reads; read += 1) {
      const found = Object.keys(await large.store.getExecutionTaskResults(executionId)).length;
      if (found !== count) throw new Error(`${found} results instead of ${count}`);
    }
    reading = false;
  };
  await store.isExecutionInProgress("nobody");
  await Promise.all([callSmall(), readLarge()]);
  await large.close();
  return { p99: percentile(samples.subarray(0, taken), 0.99) };
}
