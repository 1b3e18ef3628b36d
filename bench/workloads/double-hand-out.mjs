/**
 * One of two processes to which a queue delivers the same message: each asks for a step and hands it out if nobody has.
 */
import { performance } from "node:perf_hooks";
import { setTimeout as delay } from "node:timers/promises";

const TASK = "process-order:charge-card";

/** Executions before it counts, so that everything is compiled and the store knows its server. */
const WARM_UP = 100;

/**
 * @param {{ store: object, phase: (name: string) => Promise<{ trials?: object[] }> }} process
 * @param {object} params
 * @param {number} params.work milliseconds of the caller's own work between the results and the step
 * @param {string} params.name of this process
 * @returns {Promise<{ handedOut: number[] }>} the numbers of the trials in which this process handed the step out. The trials come
 *   with the phase `ready`: for each the execution's id and when the message arrives, in milliseconds since the epoch
 */
export async function doubleHandOut({ store, phase }, { work, name }) {
  for (let i = 0; i < WARM_UP; i += 1) {
    await handOut(store, `${name}-${i}`, 0);
    if (i % 10 === 0) await delay(1);
  }
  const { trials } = await phase("ready");
  await Promise.all(trials.map(({ id }) => store.beginExecution(id)));
  const handedOut = [];
  for (const [index, { id, at }] of trials.entries()) {
    await delay(Math.max(0, at - (performance.timeOrigin + performance.now())));
    if (await handOut(store, id, work)) handedOut.push(index);
  }
  return { handedOut };
}

/** What a worker does with a step that its message does not name. */
async function handOut(store, id, work) {
  const results = await store.getExecutionTaskResults(id);
  await store.isExecutionInProgress(id);
  const end = performance.now() + work;
  while (performance.now() < end);
  if (results[TASK] !== undefined || (await store.getExecutionTaskResult(id, TASK)) !== undefined) return false;
  if (await store.isExecutionTaskInProgress(id, TASK)) return false;
  // Only a store that claims rejects, when the other was first.
  return store.beginExecutionTask(id, TASK).then(
    () => true,
    () => false,
  );
}
