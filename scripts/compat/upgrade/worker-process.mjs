/**
 * One worker of a fleet, with the release that it is told: handles the messages that its parent delivers, and tells the parent, which
 * is the queue, what it dispatches, and what it does. Ends when it is told to stop, by itself.
 */
import { createRequire } from "node:module";
import { setTimeout as delay } from "node:timers/promises";
import { registerOrderWorkflow } from "../../../tooling/workflow/order-workflow.mjs";
import { createWorker } from "../../../tooling/workflow/worker.mjs";

/** Longer than anybody waits: whoever has begun such a step is still in it when the process is killed. */
const HANGING_STEP_MS = 600_000;
const STEP_MS = 2;

const [packageHome, url, mode, options] = process.argv.slice(2);
const { createRedisStore } = createRequire(import.meta.url)(packageHome);
const redisStore = createRedisStore(url, JSON.parse(options));
let hangingStep;

/** Resolves when it is in the pipe, where it stays when this process is killed. */
const tell = (said) =>
  new Promise((resolve, reject) => process.send(said, (error) => (error ? reject(error) : resolve())));

const store = {
  ...redisStore,
  async commitExecutionTaskResult(executionId, taskId, value) {
    await redisStore.commitExecutionTaskResult(executionId, taskId, value);
    await tell({ event: "commit", executionId, taskId, value });
  },
  async disposeExecution(executionId) {
    await redisStore.disposeExecution(executionId);
    await tell({ event: "dispose", executionId });
  },
};

const worker = createWorker({ store, dispatcher: { dispatch: (message) => tell({ dispatched: message }) }, mode });
registerOrderWorkflow(worker, {
  journal: (entry) => void tell(entry),
  duration: (step) => (step === hangingStep || hangingStep === "any" ? HANGING_STEP_MS : STEP_MS),
});

process.on("message", async ({ message, hangingStep: step, stop }) => {
  if (stop) {
    await redisStore.close();
    process.disconnect();
    return;
  }
  hangingStep = step;
  try {
    await worker.handle(message, { checkpoint: (instead) => tell({ checkpoint: instead }) });
    await tell({ handled: true });
  } catch (error) {
    await tell({ failed: String(error.stack) });
  }
});
// Nobody is left to tell anything.
process.once("disconnect", () => delay(5_000, undefined, { ref: false }).then(() => process.exit(1)));
