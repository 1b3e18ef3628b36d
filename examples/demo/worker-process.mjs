/**
 * One process of the fleet: takes messages from the queue and handles them until the queue is empty.
 */
import { setTimeout as delay } from "node:timers/promises";
import { createRedisStore } from "../../index.js";
import { registerOrderWorkflow } from "../../tooling/workflow/order-workflow.mjs";
import { createWorker } from "../../tooling/workflow/worker.mjs";
import { openFileQueue } from "../file-queue.mjs";
import { openJournal } from "./journal.mjs";

/** What the demo leaves in Redis if it is itself killed expires after this time. */
const TTL_MS = 10 * 60_000;
const STEP_MS = 60;
/** Longer than the demo waits: a step that does not end is still running when the process is killed. */
const HANGING_STEP_MS = 60_000;
const DEADLINE_MS = 30_000;

const { DEMO_REDIS_URL, DEMO_MODE, DEMO_QUEUE, DEMO_JOURNAL, DEMO_HANGING_STEP } = process.env;

// When the demo has ended, the result is not needed.
process.once("disconnect", () => process.exit(1));
process.channel?.unref();

const queue = openFileQueue(DEMO_QUEUE);
const journal = openJournal(DEMO_JOURNAL);
const redisStore = createRedisStore(DEMO_REDIS_URL, { ttl: TTL_MS });

const store = {
  ...redisStore,
  async commitExecutionTaskResult(executionId, taskId, value) {
    await redisStore.commitExecutionTaskResult(executionId, taskId, value);
    journal.write({ event: "commit", taskId, value });
  },
  async disposeExecution(executionId) {
    await redisStore.disposeExecution(executionId);
    journal.write({ event: "dispose" });
  },
};

const worker = createWorker({ store, dispatcher: queue, mode: DEMO_MODE });
registerOrderWorkflow(worker, {
  journal: journal.write,
  duration: (step) => (step === DEMO_HANGING_STEP ? HANGING_STEP_MS : STEP_MS),
});

const deadline = Date.now() + DEADLINE_MS;
while (queue.size() > 0) {
  if (Date.now() > deadline) throw new Error(`The queue was not empty after ${DEADLINE_MS / 1000} s`);
  const delivery = queue.take(process.pid);
  if (!delivery) {
    // Another process has taken what is left.
    await delay(10);
    continue;
  }
  await worker.handle(delivery.message, { checkpoint: delivery.checkpoint });
  delivery.done();
}
await redisStore.close();
