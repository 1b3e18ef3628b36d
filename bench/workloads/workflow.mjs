/**
 * Whole workflows of ten steps through the worker of the examples.
 */
import { performance } from "node:perf_hooks";
import { setImmediate as nextIteration } from "node:timers/promises";
import { createWorker } from "../../tooling/workflow/worker.mjs";

const STEPS = 10;

/**
 * @param {{ store: object, phase: (name: string) => Promise<unknown> }} process
 * @param {{ mode: "ISOLATED" | "UNTIL_ERROR", warmUp: number, workflows: number }} params how many workflows warm up, and
 *   how many run one after the other between the phases `begin` and `end`
 * @returns {Promise<{ time: number }>} milliseconds per workflow
 */
export async function workflow({ store, phase }, { mode, warmUp, workflows }) {
  const queue = [];
  let stepsRun = 0;
  // As in a real queue, a message is text, and only what survives JSON arrives.
  const dispatcher = { dispatch: (message) => void queue.push(JSON.stringify(message)) };
  const worker = createWorker({ store, dispatcher, mode });
  worker.createFunction({ id: "process-order", event: "order.placed" }, async (_event, run) => {
    for (let step = 1; step <= STEPS; step += 1) {
      await run(`step-${step}`, () => {
        stepsRun += 1;
        return { step, reference: "ref_5e0d41", done: true };
      });
    }
    return { shipped: true };
  });

  const runWorkflow = async () => {
    await worker.publish({ name: "order.placed", data: { orderId: "ord_2f9c1b" } });
    while (queue.length > 0) {
      // Every message of a real queue arrives in an iteration of its own.
      await nextIteration();
      await worker.handle(JSON.parse(queue.shift()));
    }
  };

  for (let i = 0; i < warmUp; i += 1) await runWorkflow();
  await phase("begin");
  const began = performance.now();
  for (let i = 0; i < workflows; i += 1) await runWorkflow();
  const elapsed = performance.now() - began;
  await phase("end");

  const expected = STEPS * (warmUp + workflows);
  if (stepsRun !== expected) throw new Error(`${stepsRun} steps ran instead of ${expected}`);
  return { time: elapsed / workflows };
}
