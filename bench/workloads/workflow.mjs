/**
 * Whole workflows through the worker of the examples: ten steps one after the other, five side by side, or three functions that
 * listen to the same event.
 */
import { performance } from "node:perf_hooks";
import { setImmediate as nextIteration } from "node:timers/promises";
import { createWorker } from "../../tooling/workflow/worker.mjs";

const range = (count) => Array.from({ length: count }, (_, index) => index + 1);

/** What each kind of workflow is made of; `step(run, name)` runs a step. */
const WORKFLOWS = {
  steps: {
    steps: 10,
    define: (create, step) =>
      create("process-order", async (run) => {
        for (const number of range(10)) await step(run, `step-${number}`);
      }),
  },
  parallel: {
    steps: 5,
    define: (create, step) =>
      create("process-order", (run) => Promise.all(range(5).map((number) => step(run, `step-${number}`)))),
  },
  functions: {
    steps: 9,
    define: (create, step) => {
      for (const id of ["process-order", "send-receipt", "update-stock"]) {
        create(id, async (run) => {
          for (const number of range(3)) await step(run, `step-${number}`);
        });
      }
    },
  },
};

/**
 * @param {{ store: object, phase: (name: string) => Promise<unknown> }} process
 * @param {object} params
 * @param {"ISOLATED" | "UNTIL_ERROR"} params.mode
 * @param {keyof typeof WORKFLOWS} [params.kind]
 * @param {number} params.warmUp workflows that warm up
 * @param {number} params.workflows those that run one after the other between the phases `begin` and `end`
 * @returns {Promise<{ time: number }>} milliseconds per workflow
 */
export async function workflow({ store, phase }, { mode, kind = "steps", warmUp, workflows }) {
  const queue = [];
  let stepsRun = 0;
  // As in a real queue, a message is text, and only what survives JSON arrives.
  const dispatcher = { dispatch: (message) => void queue.push(JSON.stringify(message)) };
  const worker = createWorker({ store, dispatcher, mode });
  const { steps, define } = WORKFLOWS[kind];
  const create = (id, body) =>
    worker.createFunction({ id, event: "order.placed" }, async (_event, run) => {
      await body(run);
      return { shipped: true };
    });
  define(create, (run, name) =>
    run(name, () => {
      stepsRun += 1;
      return { name, reference: "ref_5e0d41", done: true };
    }),
  );

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

  const expected = steps * (warmUp + workflows);
  if (stepsRun !== expected) throw new Error(`${stepsRun} steps ran instead of ${expected}`);
  return { time: elapsed / workflows };
}
