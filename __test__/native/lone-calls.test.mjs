// Calls one at a time, with pauses: their answers are read by the thread that waits for them, where the system and the runtime allow it.
import { describe, expect, it } from "vitest";
import { runScript } from "../support/child.mjs";
import { sharedRedis } from "../support/redis.mjs";

const { url, newId } = sharedRedis();
const onLinux = it.runIf(process.platform === "linux");

/** For scripts: a call at a time, long enough apart that nobody looks for the next answer. */
const CALLS = `
  const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
  async function callApart(store, id, count) {
    for (let index = 0; index < count; index += 1) {
      await pause(2);
      await store.commitExecutionTaskResult(id, "task-" + index, { index });
      await pause(2);
      const result = await store.getExecutionTaskResult(id, "task-" + index);
      if (result?.index !== index) throw new Error("task-" + index + ": " + JSON.stringify(result));
    }
  }
`;

describe("calls one at a time", () => {
  it("are answered, each after the continuations of the one before", async () => {
    const script = `${CALLS}
      const store = createRedisStore(args.url, { readAhead: false });
      await store.beginExecution(args.id);
      await callApart(store, args.id, 100);
      const order = [];
      for (let index = 0; index < 100; index += 1) {
        await pause(2);
        const call = store.isExecutionInProgress(args.id).then(() => {
          order.push("answer");
          process.nextTick(() => order.push("tick"));
          queueMicrotask(() => order.push("microtask"));
          setImmediate(() => order.push("immediate"));
        });
        await call;
        await new Promise((resolve) => setImmediate(resolve));
        if (order.splice(0).join() !== "answer,microtask,tick,immediate") throw new Error(order.join());
      }
      console.log("done");
      await store.disposeExecution(args.id);
      await store.close();
    `;
    const { lines, errors, code } = await runScript(script, { args: { url, id: newId() } });
    expect(lines, errors).toEqual(["done"]);
    expect(code).toBe(0);
  });

  it("keep what AsyncLocalStorage holds for their callers", async () => {
    const script = `${CALLS}
      import { AsyncLocalStorage } from "node:async_hooks";
      const storage = new AsyncLocalStorage();
      const store = createRedisStore(args.url, { readAhead: false });
      const callers = Array.from({ length: 20 }, (_, caller) =>
        storage.run(caller, async () => {
          for (let index = 0; index < 20; index += 1) {
            await pause(1 + Math.random() * 5);
            await store.isExecutionInProgress(args.id);
            if (storage.getStore() !== caller) throw new Error("another caller's");
          }
        }),
      );
      await Promise.all(callers);
      console.log("done");
      await store.close();
    `;
    const { lines, errors, code } = await runScript(script, { args: { url, id: newId() } });
    expect(lines, errors).toEqual(["done"]);
    expect(code).toBe(0);
  });

  it("leave what a continuation throws to the process", async () => {
    const script = `${CALLS}
      const store = createRedisStore(args.url, { readAhead: false });
      await store.beginExecution(args.id);
      let thrown = 0;
      process.on("uncaughtException", () => { thrown += 1; });
      process.on("unhandledRejection", () => { thrown += 1; });
      for (let index = 0; index < 20; index += 1) {
        await pause(2);
        await store.isExecutionInProgress(args.id);
        queueMicrotask(() => { throw new Error("in a microtask"); });
        process.nextTick(() => { throw new Error("in a tick"); });
        Promise.reject(new Error("rejected"));
      }
      await pause(2);
      console.log(thrown);
      await store.disposeExecution(args.id);
      await store.close();
    `;
    const { lines, errors, code } = await runScript(script, { args: { url, id: newId() } });
    expect(lines, errors).toEqual(["60"]);
    expect(code).toBe(0);
  });

  onLinux("of worker threads that end at any moment leave no descriptor behind", async () => {
    const script = `
      import { readdirSync, readlinkSync } from "node:fs";
      import { Worker } from "node:worker_threads";
      const polls = () =>
        readdirSync("/proc/self/fd").filter((fd) => {
          try {
            return readlinkSync("/proc/self/fd/" + fd) === "anon_inode:[eventpoll]";
          } catch {
            return false;
          }
        }).length;
      const code = ${JSON.stringify(CALLS)} + \`
        const { parentPort, workerData } = require("node:worker_threads");
        const { createRedisStore } = require(workerData.entry);
        (async () => {
          const store = createRedisStore(workerData.url, { readAhead: false });
          await store.beginExecution(workerData.id);
          parentPort.postMessage("ready");
          await callApart(store, workerData.id, workerData.count);
          if (workerData.closes) await store.close();
        })();
      \`;
      const run = (workerData, ends) =>
        new Promise((resolve, reject) => {
          const worker = new Worker(code, { eval: true, execArgv: [], workerData: { ...workerData, url: args.url, entry: args.entry } });
          worker.once("error", reject);
          worker.once("exit", resolve);
          worker.once("message", () => ends?.(worker));
        });
      // Keeps the connection, and the I/O thread's poll.
      const store = createRedisStore(args.url, { readAhead: false });
      await store.beginExecution(args.id);
      const before = polls();
      for (let round = 0; round < 5; round += 1) {
        await Promise.all([
          run({ id: args.id + round + "a", count: 3, closes: true }),
          run({ id: args.id + round + "b", count: 3, closes: false }),
          run({ id: args.id + round + "c", count: 1000 }, (worker) => setTimeout(() => worker.terminate(), round * 3)),
        ]);
      }
      console.log(polls() - before);
      await store.close();
    `;
    const args = { url, id: newId(), entry: new URL("../../index.js", import.meta.url).pathname };
    const { lines, errors, code } = await runScript(script, { args });
    expect(lines, errors).toEqual(["0"]);
    expect(code).toBe(0);
  });
});
