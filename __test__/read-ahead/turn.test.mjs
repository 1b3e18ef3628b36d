// How long what a round trip brought along is valid: through all microtasks that follow, and not one callback longer.
import { stat } from "node:fs";
import { readFile } from "node:fs/promises";
import { setImmediate as nextIteration } from "node:timers/promises";
import { MessageChannel, Worker } from "node:worker_threads";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { createRedisStore } from "../../index.js";
import { runScript } from "../support/child.mjs";
import { startElsewhere } from "../support/elsewhere.mjs";
import { recordCommands } from "../support/monitor.mjs";
import { sharedRedis } from "../support/redis.mjs";
import { unhurried } from "../support/unhurried.mjs";

const HERE = new URL(import.meta.url);
const SAME_PHASE_ATTEMPTS = 300;
const LARGE_TABLE_ATTEMPTS = 8;

const { url, admin, newId } = sharedRedis();
// One per test: its prefetch policy depends on that test alone.
let store;
let otherStore;
let elsewhere;
let commands;

beforeAll(async () => {
  elsewhere = await startElsewhere(url);
  commands = await recordCommands(admin);
});

afterAll(async () => {
  commands?.stop();
  await elsewhere?.stop();
});

beforeEach(() => {
  store = createRedisStore(url);
  otherStore = createRedisStore(url, { keyPrefix: "another:" });
});

afterEach(() => Promise.all([store.close(), otherStore.close()]));

/**
 * Begins a turn with a snapshot of an execution as not in progress, while Redis has it in progress since.
 *
 * @returns {Promise<void>} resolved in that turn
 */
async function learnAndOutdate(id) {
  await store.getExecutionTaskResults(id);
  elsewhere.change("SET", id, "true");
}

/** What Redis was sent about an execution since this was last asked, of the kind that reads. */
async function readsOf(id) {
  return (await commands.take()).filter((command) => command.some((word) => word.includes(id)) && command[0] !== "SET");
}

const WHOLE = (id) => [
  ["HGETALL", `${id}-transactions`],
  ["HGETALL", `${id}-results`],
  ["GET", id],
];

describe("a turn lasts through", () => {
  it.each([
    ["the answer itself", () => {}],
    ["an await", async () => {}],
    [
      "a hundred awaits",
      async () => {
        for (let i = 0; i < 100; i += 1) await null;
      },
    ],
    [
      "a hundred async functions inside each other",
      async () => {
        const nest = async (depth) => depth > 0 && (await nest(depth - 1));
        await nest(100);
      },
    ],
    [
      "Promise.allSettled",
      () => Promise.allSettled([Promise.reject(new Error("no")), Promise.resolve().then(() => 1)]),
    ],
    ["a microtask that queues microtasks", () => new Promise((done) => queueMicrotask(() => queueMicrotask(done)))],
    [
      "an async generator",
      async () => {
        const count = async function* () {
          for (let i = 0; i < 10; i += 1) yield i;
        };
        for await (const _ of count());
      },
    ],
    [
      "other answers of the same turn",
      async (id) => {
        for (let i = 0; i < 10; i += 1) await store.isExecutionTaskInProgress(id, `task-${i}`);
      },
    ],
    // The last thing that is done before the turn may end.
    ["finally", () => Promise.resolve().finally(() => {})],
  ])("%s", (_, pass) =>
    unhurried(async () => {
      // Calls whose snapshots were asked too late, some in a row, carry nothing any more.
      await store.close();
      store = createRedisStore(url);
      const id = newId();
      await store.getExecutionTaskResults(id);
      await pass(id);
      await store.isExecutionInProgress(id);
      await nextIteration();
      await store.isExecutionInProgress(id);
      expect(await readsOf(id)).toEqual([...WHOLE(id), ["GET", id]]);
    }),
  );
});

describe("a turn ends before", () => {
  /** Each calls a function from a callback of its own. */
  const BOUNDARIES = [
    ["setImmediate", (callback) => setImmediate(callback)],
    ["setTimeout", (callback) => setTimeout(callback, 0)],
    ["process.nextTick", (callback) => process.nextTick(callback)],
    ["process.nextTick after some microtasks", (callback) => soon().then(() => process.nextTick(callback))],
    ["a callback of the file system", (callback) => stat(HERE, callback)],
    ["a promise of the file system", (callback) => readFile(HERE).then(callback)],
    [
      "a message on a channel",
      (callback) => {
        const { port1, port2 } = new MessageChannel();
        port2.once("message", () => {
          port2.close();
          callback();
        });
        port1.postMessage("go");
      },
    ],
    [
      "a message of a worker thread",
      (callback) => {
        const worker = new Worker("require('node:worker_threads').parentPort.postMessage('go')", { eval: true });
        worker.once("message", callback);
      },
    ],
    ["a reply to another Redis client", (callback) => admin.ping().then(callback)],
    ["a reply to another store", (callback) => otherStore.isExecutionInProgress("anything").then(callback)],
    ["a reply to the same store", (callback) => store.isExecutionInProgress("anything").then(callback)],
    ["an unhandled rejection", (callback) => rejectUnhandled(callback)],
  ];
  const soon = async () => {
    for (let i = 0; i < 5; i += 1) await null;
  };

  const rejectUnhandled = (callback) => {
    // Vitest's own listeners would take it for a failure.
    const listeners = process.listeners("unhandledRejection");
    process.removeAllListeners("unhandledRejection");
    process.once("unhandledRejection", () => {
      for (const listener of listeners) process.on("unhandledRejection", listener);
      callback();
    });
    Promise.reject(new Error("nobody handles this"));
  };

  it.each(BOUNDARIES)("%s", async (_, wait) => {
    const id = newId();
    await learnAndOutdate(id);
    // Asked in the callback itself, before any microtask after it.
    const answer = new Promise((resolve) => wait(() => resolve(store.isExecutionInProgress(id))));
    expect(await answer).toBe(true);
    expect(await readsOf(id)).toEqual([...WHOLE(id), ["GET", id]]);
  });

  it.each(BOUNDARIES)("what follows %s", async (_, wait) => {
    const id = newId();
    await learnAndOutdate(id);
    await new Promise((resolve) => wait(() => resolve()));
    expect(await store.isExecutionInProgress(id)).toBe(true);
  });

  it("data on another socket, even when the event loop finds it together with the answer", async () => {
    let together = 0;
    for (let attempt = 0; attempt < SAME_PHASE_ATTEMPTS && together < 3; attempt += 1) {
      const id = newId();
      let outdated = false;
      const rung = new Promise((resolve, reject) => {
        elsewhere.bell.once("data", () => {
          if (outdated) together += 1;
          // What rang the bell had changed the execution before.
          store.isExecutionInProgress(id).then(resolve, reject);
        });
      });
      const learnt = store.getExecutionTaskResults(id).then(async () => {
        outdated = !(await store.isExecutionInProgress(id));
        // Comes after everything that the event loop has found by now.
        setImmediate(() => {
          outdated = false;
        });
      });
      // Its question goes out first; then this thread is held up, its answer arrives, and the bell rings.
      await nextIteration();
      elsewhere.changeAndRing("SET", id, "true");
      expect(await rung).toBe(true);
      await learnt;
    }
    expect(together, "attempts that found both together").toBeGreaterThan(0);
  });
});

describe("a turn ends all the same", () => {
  it.each([
    ["when a tick throws", `process.nextTick(() => { throw new Error("in a tick"); })`],
    ["when a microtask throws", `queueMicrotask(() => { throw new Error("in a microtask"); })`],
    ["when ticks queue ticks", `process.nextTick(function tick() { if (ticks++ < 100) process.nextTick(tick); })`],
  ])("%s", async (_, disturbance) => {
    const id = newId();
    const source = `
      process.on("uncaughtException", () => {});
      const store = createRedisStore(args.url);
      let ticks = 0;
      await store.getExecutionTaskResults(args.id);
      ${disturbance};
      const asked = new Promise((resolve) => setImmediate(() => resolve(store.isExecutionInProgress(args.id))));
      console.log(await asked);
      await store.close();
    `;
    const { lines, errors } = await runScript(source, { args: { url, id } });
    expect(errors).toBe("");
    expect(lines).toEqual(["false"]);
    expect(await readsOf(id)).toEqual([...WHOLE(id), ["GET", id]]);
  });

  it("under fake timers that were there before the store was made", async () => {
    const id = newId();
    const source = `
      const real = { nextTick: process.nextTick, queueMicrotask };
      process.nextTick = globalThis.queueMicrotask = () => {};
      const store = createRedisStore(args.url);
      await store.getExecutionTaskResults(args.id);
      await new Promise(setImmediate);
      const answer = await store.isExecutionInProgress(args.id);
      await store.close();
      process.nextTick = real.nextTick;
      globalThis.queueMicrotask = real.queueMicrotask;
      console.log(answer);
    `;
    const { lines, errors } = await runScript(source, { args: { url, id } });
    expect(errors).toBe("");
    expect(lines).toEqual(["false"]);
    expect(await readsOf(id)).toEqual([...WHOLE(id), ["GET", id]]);
  });
});

describe("what came with a large table", () => {
  it("answers nothing that has changed since, while the table was made of it", async () => {
    const id = newId();
    // 14 MB, of which the event loop gets several turns to make a table, although each value takes little time.
    const value = JSON.stringify("x".repeat(70_000));
    for (let part = 0; part < 4; part += 1) {
      const names = Array.from({ length: 50 }, (_, index) => `task ${part * 50 + index}`);
      await admin.hset(`${id}-results`, ...names.flatMap((name) => [name, value]));
    }
    for (let attempt = 0; attempt < LARGE_TABLE_ATTEMPTS; attempt += 1) {
      // The first call of a store: what it takes is what its calls usually take.
      const fresh = createRedisStore(url);
      let changes = 0;
      let answer;
      const asked = fresh.getExecutionTaskResults(id).then(() => {
        answer = fresh.isExecutionInProgress(id);
      });
      while (answer === undefined) {
        changes += 1;
        elsewhere.change(...(changes % 2 === 1 ? ["SET", id, "true"] : ["DEL", id]));
        await nextIteration();
      }
      await asked;
      expect(await answer).toBe(changes % 2 === 1);
      await fresh.close();
    }
  });
});
