/**
 * The body of a worker thread that keeps a store busy. It reports to its parent how many of its calls have been answered, and
 * goes on until it has made `calls` of them, or for ever.
 */
import { parentPort, workerData } from "node:worker_threads";
import { createRedisStore } from "../../index.js";

/** Calls in flight at any time. */
const WIDTH = 64;

const { configuration, id, calls = Number.POSITIVE_INFINITY } = workerData;
const store = createRedisStore(configuration, { commandTimeout: 30_000 });
let made = 0;
let answered = 0;

async function work() {
  while (made < calls) {
    const task = `task-${made++}`;
    const value = { task, text: "x".repeat(200) };
    await store.commitExecutionTaskResult(id, task, value);
    const result = await store.getExecutionTaskResult(id, task);
    if (result.task !== task) throw new Error(`${task} was answered with ${JSON.stringify(result)}`);
    answered += 1;
    parentPort.postMessage(answered);
  }
}

await Promise.all(Array.from({ length: WIDTH }, work));
