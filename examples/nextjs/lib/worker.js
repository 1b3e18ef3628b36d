// The worker with its workflow. With the package `idioteque` installed, `createWorker` comes from there.
import { registerOrderWorkflow } from "../../../tooling/workflow/order-workflow.mjs";
import { createWorker } from "../../../tooling/workflow/worker.mjs";
import { dispatcher } from "./dispatcher.js";
import { getStore } from "./store.js";

/** Milliseconds that each of the simulated services takes. */
const STEP_MS = 50;

let worker;

export function getWorker() {
  if (!worker) {
    worker = createWorker({ store: getStore(), dispatcher });
    registerOrderWorkflow(worker, {
      journal: (entry) => console.log(JSON.stringify(entry)),
      duration: () => STEP_MS,
    });
  }
  return worker;
}
