/** What the scripts about worker threads have in common. */

/** Where the body of a busy worker thread is. */
export const BUSY_WORKER = new URL("./busy-worker.mjs", import.meta.url).href;

/** The beginning of a script: a worker thread that keeps a store busy, and waiting for its progress. */
export const WORKERS = `
  import { once } from "node:events";
  import { Worker } from "node:worker_threads";
  const startWorker = (workerData) => new Worker(new URL(args.busyWorker), { workerData, execArgv: [] });
  async function answered(worker, count) {
    for (let seen = 0; seen < count; ) [seen] = await once(worker, "message");
  }
`;
