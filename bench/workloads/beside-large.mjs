/**
 * Small calls of one store beside large reads of another one in the same process.
 */
import { performance } from "node:perf_hooks";
import { setTimeout as delay } from "node:timers/promises";
import { percentile } from "../statistics.mjs";

/** Milliseconds from one small call to the next: as many are due while the thread is busy as while it is not. */
const INTERVAL = 5;

/**
 * @param {{ store: object, open: (url: string) => Promise<import("../rivals.mjs").Opened> }} process
 * @param {{ largeUrl: string, executionId: string, count: number, reads: number }} params the server with the large
 *   execution, how many results that has, and how often they are read
 * @returns {Promise<{ p99: number }>} milliseconds from when a small call was due until it was
 *   answered
 */
export async function besideLarge({ store, open }, { largeUrl, executionId, count, reads }) {
  const large = await open(largeUrl);
  const latencies = [];
  let reading = true;
  const callWhenDue = async (due) => {
    if (await store.isExecutionInProgress("nobody")) throw new Error("nobody is in progress");
    latencies.push(performance.now() - due);
  };
  const callSmall = async () => {
    const calls = [];
    for (let due = performance.now(); reading; due += INTERVAL) {
      if (due > performance.now()) await delay(due - performance.now());
      calls.push(callWhenDue(due));
    }
    await Promise.all(calls);
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
  return { p99: percentile(latencies, 0.99) };
}
