// Worker threads and the end of processes: they may come at any moment, with calls in flight, and nothing crashes.
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { runScript, startScript } from "../support/child.mjs";
import { ioredisConfiguration } from "../support/inputs.mjs";
import { eventually, privateRedis, sharedRedis } from "../support/redis.mjs";
import { BUSY_WORKER, WORKERS } from "../support/worker-threads.mjs";

const { url, admin, newId } = sharedRedis();
const INDEX = fileURLToPath(new URL("../../index.js", import.meta.url));

/** Arguments for a script: a configuration with a connection name of its own, and an execution id. */
function newArgs(server = url) {
  const id = newId();
  return { busyWorker: BUSY_WORKER, id, configuration: { ...ioredisConfiguration(server), connectionName: id } };
}

describe("worker threads that are terminated with calls in flight", () => {
  it("do no harm when the server has not answered yet", async () => {
    const server = await privateRedis();
    const script = `${WORKERS}
      const { configuration, id } = args;
      const store = createRedisStore(configuration, { commandTimeout: 30_000 });
      const worker = startWorker({ configuration, id });
      await answered(worker, 1);
      await store.beginExecution(id);
      const paused = once(process, "SIGUSR2");
      console.log("running");
      await paused;
      const pending = store.isExecutionInProgress(id);
      await worker.terminate();
      console.log("terminated");
      console.log(await pending);
    `;
    const child = startScript(script, { args: newArgs(server.url) });
    await child.printed("running");
    server.pause();
    process.kill(child.pid, "SIGUSR2");
    await child.printed("terminated");
    server.resume();
    const outcome = await child.ended;
    expect(outcome, outcome.errors).toMatchObject({ code: 0, lines: ["running", "terminated", "true"] });
  });
});

describe("a worker thread that ends in the turn in which it calls", () => {
  it("has sent what it called first, over all connections, and nothing of the rest", async () => {
    const count = 3000;
    const args = newArgs();
    const script = `${WORKERS}
      const worker = new Worker(
        \`
          const { workerData } = require("node:worker_threads");
          const { createRedisStore } = require(workerData.index);
          const { configuration, count, id } = workerData;
          const stores = [0, 1].map((index) => createRedisStore({ ...configuration, connectionName: id + index }));
          const connected = Promise.all(stores.map((store) => store.beginExecution(id)));
          connected.then(() => {
            for (let index = 0; index < count; index++) stores[index % 7 && 1].beginExecution(id + "-" + index);
            process.exit();
          });
        \`,
        { eval: true, execArgv: [], workerData: { ...args, count: ${count}, index: ${JSON.stringify(INDEX)} } },
      );
      await once(worker, "exit");
      // The process must not end before what was queued has been sent.
      const staysAlive = setInterval(() => {}, 1000);
      const over = once(process, "SIGUSR2");
      console.log("ended");
      await over;
      clearInterval(staysAlive);
    `;
    const child = startScript(script, { args });
    await child.printed("ended");
    await eventually(async () => !(await admin.client("LIST")).includes(` name=${args.id}`), {
      message: "the end of its connections",
    });
    process.kill(child.pid, "SIGUSR2");
    const outcome = await child.ended;
    expect(outcome, outcome.errors).toMatchObject({ code: 0, lines: ["ended"] });
    const keys = Array.from({ length: count }, (_, index) => `${args.id}-${index}`);
    const sent = (await admin.mget(keys)).map((value) => value !== null);
    expect(sent.at(-1)).toBe(false);
    expect(sent.lastIndexOf(true)).toBe(sent.indexOf(false) - 1);
  });

  it("does not keep a main thread waiting that is blocked until the worker has its answers", async () => {
    const script = `
      import { Worker } from "node:worker_threads";
      const store = createRedisStore(args.configuration);
      await store.beginExecution(args.id);
      const signal = new Int32Array(new SharedArrayBuffer(4));
      const worker = new Worker(
        \`
          const { workerData } = require("node:worker_threads");
          const { createRedisStore } = require(workerData.index);
          const { configuration, id, signal } = workerData;
          const store = createRedisStore(configuration);
          const calls = Array.from({ length: 1000 }, () => store.isExecutionInProgress(id));
          Promise.all(calls).then((answers) => {
            Atomics.store(signal, 0, answers.every(Boolean) ? 1 : 2);
            Atomics.notify(signal, 0);
          });
        \`,
        { eval: true, execArgv: [], workerData: { ...args, signal, index: ${JSON.stringify(INDEX)} } },
      );
      // Some of the main thread's own calls are under way, and some have not been sent.
      const pending = [store.isExecutionInProgress(args.id)];
      await new Promise(setImmediate);
      pending.push(store.isExecutionInProgress(args.id));
      Atomics.wait(signal, 0, 0, 20_000);
      console.log(Atomics.load(signal, 0), (await Promise.all(pending)).join());
    `;
    const outcome = await runScript(script, { args: newArgs() });
    expect(outcome, outcome.errors).toMatchObject({ code: 0, lines: ["1 true,true"] });
  });
});

describe("worker threads that run to their end", () => {
  it("end by themselves, each with its own answers, eight at once on one connection", async () => {
    const args = newArgs();
    const script = `${WORKERS}
      const { configuration, id } = args;
      const workers = Array.from({ length: 8 }, (_, index) => startWorker({ configuration, id: id + index, calls: 500 }));
      const codes = await Promise.all(workers.map(async (worker) => (await once(worker, "exit"))[0]));
      console.log(codes.join());
    `;
    const outcome = await runScript(script, { args });
    expect(outcome, outcome.errors).toMatchObject({ code: 0, lines: ["0,0,0,0,0,0,0,0"] });
    expect(await admin.hlen(`${args.id}7-results`)).toBe(500);
  });
});

describe("process.exit() with calls in flight", () => {
  const start = `
    const store = createRedisStore(args.configuration);
    const call = (index) => store.commitExecutionTaskResult(args.id, "task-" + index, "x".repeat(1000));
    const many = () => Array.from({ length: 2000 }, (_, index) => call(index));
  `;

  it.each([
    ["right after the first calls", 7, `${start} many(); process.exit(7);`],
    ["in the middle of the answers", 7, `${start} many()[1000].then(() => process.exit(7));`],
    [
      "with answers and new calls",
      7,
      `${start} await call(0); many(); setImmediate(() => { many(); process.exit(7); });`,
    ],
    ["by an exception that nobody catches", 1, `${start} await call(0); many(); throw new Error("mine");`],
    [
      "while worker threads are busy",
      7,
      `${WORKERS}
      const workers = Array.from({ length: 4 }, (_, index) => startWorker({ ...args, id: args.id + index }));
      await Promise.all(workers.map((worker) => answered(worker, 100)));
      process.exit(7);`,
    ],
  ])("ends the process with its own status: %s", async (_, code, script) => {
    for (let round = 0; round < 3; round++) {
      const outcome = await runScript(script, { args: newArgs() });
      expect(outcome, outcome.errors).toMatchObject({ signal: null, code });
    }
  });

  it("in a worker thread ends that thread alone", async () => {
    const script = `${WORKERS}
      const { configuration, id } = args;
      const store = createRedisStore(configuration);
      await store.beginExecution(id);
      const source = \`
        const { workerData } = require("node:worker_threads");
        const store = require(workerData.index).createRedisStore(workerData.configuration);
        for (let index = 0; index < 1000; index++) store.beginExecutionTask(workerData.id, "task-" + index);
        store.isExecutionInProgress(workerData.id).then(() => process.exit(7));
      \`;
      const workerData = { ...args, index: new URL("../../index.js", args.busyWorker).pathname };
      const worker = new Worker(source, { eval: true, execArgv: [], workerData, execArgv: [] });
      const [code] = await once(worker, "exit");
      console.log(code, await store.isExecutionInProgress(id));
    `;
    const outcome = await runScript(script, { args: newArgs() });
    expect(outcome, outcome.errors).toMatchObject({ code: 0, lines: ["7 true"] });
  });
});
