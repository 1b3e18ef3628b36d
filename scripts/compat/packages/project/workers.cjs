"use strict";
// The installed package in worker threads, one after another and several at a time, while the main thread has not loaded
// it; in the end that does so too, unless the script is told that they are to be alone. Each ends in another way. Runs on
// Node.js 16, Bun and Deno alike.

const assert = require("node:assert");
const { isMainThread, parentPort, Worker, workerData } = require("node:worker_threads");
const check = require("./checks.cjs");

const KINDS = [];
for (const does of ["loads it", "makes a store", "makes calls"]) {
  for (const ends of ["by itself", "by process.exit()", "by worker.terminate()"]) KINDS.push({ does, ends });
}

async function main() {
  for (const kind of KINDS) await runWorker(kind);
  for (let round = 0; round < 2; round += 1) await Promise.all(KINDS.map(runWorker));
  if (process.argv[2] !== "alone") await check(require("@idioteque/redis"));
  for (const kind of KINDS) await runWorker(kind);
  console.log("checked");
}

/** Resolves when a worker thread has ended. */
function runWorker(kind) {
  return new Promise((resolve, reject) => {
    const worker = new Worker(__filename, { workerData: kind });
    let ready = false;
    worker.once("message", () => {
      ready = true;
      if (kind.ends === "by worker.terminate()") worker.terminate();
    });
    worker.once("error", reject);
    worker.once("exit", () => {
      try {
        assert.ok(ready, `A worker thread that ${kind.does} and ends ${kind.ends} has not come that far`);
        resolve();
      } catch (error) {
        reject(error);
      }
    });
  });
}

async function work({ does, ends }) {
  const redis = require("@idioteque/redis");
  if (does !== "loads it") {
    const store = redis.createRedisStore(process.env.REDIS_URL);
    if (does === "makes calls") {
      await check(redis);
      // In flight when the thread is ended.
      if (ends !== "by itself") for (let left = 100; left > 0; left -= 1) store.isExecutionInProgress("package");
    }
  }
  // Keeps the thread alive until then.
  if (ends === "by worker.terminate()") parentPort.on("message", () => {});
  parentPort.postMessage("ready");
  if (ends === "by process.exit()") process.exit(0);
}

if (isMainThread) main();
else work(workerData);
