/**
 * Another client, on a thread of its own: it changes Redis while this thread is held up, so that a change is certain to
 * have happened although nothing has run here since, not even a microtask.
 */
import { once } from "node:events";
import { createConnection, createServer } from "node:net";
import { parentPort, Worker, workerData } from "node:worker_threads";
import { Redis } from "ioredis";

const HOST = "127.0.0.1";
const DEADLINE_MS = 10_000;
const [PENDING, DONE] = [0, 1];

/**
 * @typedef {object} Elsewhere
 * @property {(...command: string[]) => void} change runs a command; returns when the server has answered
 * @property {(...command: string[]) => void} changeAndRing the same, and before it returns, a byte has been sent to `bell`
 * @property {import("node:net").Socket} bell this thread's end of a connection from there
 * @property {() => Promise<void>} stop
 */

/**
 * @param {string} url of the Redis server
 * @returns {Promise<Elsewhere>}
 */
export async function startElsewhere(url) {
  const state = new Int32Array(new SharedArrayBuffer(4));
  const server = createServer({ noDelay: true }).listen(0, HOST);
  await once(server, "listening");
  const rung = once(server, "connection");
  const worker = new Worker(new URL(import.meta.url), {
    workerData: { elsewhere: { url, state, port: server.address().port } },
  });
  const ready = once(worker, "message");
  const [bell] = await rung;
  await ready;
  server.close();

  const run = (task) => {
    Atomics.store(state, 0, PENDING);
    worker.postMessage(task);
    const outcome = Atomics.wait(state, 0, PENDING, DEADLINE_MS);
    if (outcome === "timed-out") throw new Error(`"${task.command.join(" ")}" had no answer in ${DEADLINE_MS} ms`);
  };
  return {
    change: (...command) => run({ command }),
    changeAndRing: (...command) => run({ command, ring: true }),
    bell,
    async stop() {
      bell.destroy();
      await worker.terminate();
    },
  };
}

/** The other thread's side. */
async function serve({ url, state, port }) {
  const redis = new Redis(url, { lazyConnect: true });
  const bell = createConnection({ host: HOST, port, noDelay: true });
  bell.on("error", () => {});
  await Promise.all([redis.connect(), once(bell, "connect")]);
  parentPort.on("message", async ({ command, ring }) => {
    await redis.call(...command);
    if (ring) await new Promise((resolve) => bell.write("!", resolve));
    Atomics.store(state, 0, DONE);
    Atomics.notify(state, 0);
  });
  parentPort.postMessage("ready");
}

if (workerData?.elsewhere) {
  await serve(workerData.elsewhere);
}
