/**
 * The body of a worker thread that loads the package, uses it as it is asked to, and ends as it is asked to. It loads
 * nothing else.
 */
"use strict";

const { parentPort, workerData } = require("node:worker_threads");
const { index, redis, does, ends } = workerData;
const { createRedisStore } = require(index);

/** Calls at a time. */
const WIDTH = 100;

async function work() {
  if (does === "loads it") return;
  const store = createRedisStore(redis);
  if (does === "makes a store") return;
  const calls = () => Array.from({ length: WIDTH }, () => store.isExecutionInProgress("run"));
  await Promise.all(calls());
  // These are in flight when the thread is ended.
  if (ends !== "by itself") calls();
}

work().then(() => {
  if (ends === "by process.exit()") process.exit(7);
  if (ends === "by worker.terminate()") {
    // Keeps the thread alive until then.
    parentPort.on("message", () => {});
    parentPort.postMessage("ready");
  }
});
