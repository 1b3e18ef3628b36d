/**
 * What `npm run test:memory` runs under the sanitizer: calls of every kind, from several threads, that succeed, fail, are
 * interrupted, and end in the middle of things. Fails when the sanitizer is not there or a call ends in a way it should not.
 */
import { once } from "node:events";
import { createRequire } from "node:module";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { Redis } from "ioredis";

const { createRedisStore, RedisStoreError } = createRequire(import.meta.url)("../../index.js");

const url = process.env.REDIS_URL;
const WORKERS = 24;
const ROUNDS = 40;
const SIZES = [0, 1, 100, 255, 256, 257, 1023, 4096, 65_536, 65_537, 1_000_000];
const TEXTS = ["x", "é", "🚀", "\0", "\ud800", '"\\\n'];

let calls = 0;
let failures = 0;

/** Waits for calls to end, however they end; what they reject with has to be an error of the store or of its arguments. */
async function settle(promises) {
  calls += promises.length;
  for (const { status, reason } of await Promise.allSettled(promises)) {
    if (status === "fulfilled") continue;
    failures += 1;
    if (!(reason instanceof RedisStoreError || reason instanceof TypeError)) throw reason;
  }
}

const allCalls = (store, id, task, value) => [
  store.beginExecution(id),
  store.isExecutionInProgress(id),
  store.beginExecutionTask(id, task),
  store.isExecutionTaskInProgress(id, task),
  store.commitExecutionTaskResult(id, task, value),
  store.getExecutionTaskResult(id, task),
  store.getExecutionTaskResults(id),
  store.disposeExecution(id),
];

/** Ids and values of many sizes and alphabets, one after the other and at once. */
async function shapes() {
  const store = createRedisStore(url, { ttl: 60_000, slidingTtl: true });
  for (const text of TEXTS) {
    for (const size of SIZES) {
      const long = text.repeat(Math.ceil(size / text.length)) || text;
      await settle(allCalls(store, `shape-${long.slice(0, 70_000)}`, long.slice(0, 70_000), { long, list: [long] }));
    }
  }
  for (let round = 0; round < ROUNDS; round++) {
    await settle(
      Array.from({ length: 32 }, (_, n) => allCalls(store, `round-${round % 4}`, `task-${n}`, { n })).flat(),
    );
    globalThis.gc();
  }
  await store.close();
  await settle(allCalls(store, "closed", "task", 1));
}

/** One call after the other, so that the answers of a turn are read ahead. */
async function turns() {
  const store = createRedisStore(url);
  for (let round = 0; round < ROUNDS; round++) {
    for (const call of ["beginExecution", "getExecutionTaskResults", "isExecutionInProgress", "disposeExecution"]) {
      await settle([store[call](`turn-${round}`)]);
      await settle([
        store.isExecutionTaskInProgress(`turn-${round}`, "task"),
        store.getExecutionTaskResult(`turn-${round}`, "x"),
      ]);
    }
  }
  await store.close();
}

/** Everything that is refused, on either side. */
async function errors() {
  const redis = new Redis(url);
  await redis.hset("bad-results", "task", '{"half":', "other", "1");
  await redis.lpush("wrong", "type");
  const store = createRedisStore(url);
  const values = [undefined, 1n, () => 1, Symbol("s"), { toJSON: () => store.beginExecution("inner") && undefined }];
  values.push({
    toJSON() {
      throw new Error("toJSON");
    },
  });
  for (let round = 0; round < ROUNDS; round++) {
    await settle(values.map((value) => store.commitExecutionTaskResult("errors", "task", value)));
    await settle([store.getExecutionTaskResult("bad", "task"), store.getExecutionTaskResults("bad")]);
    await settle([store.isExecutionInProgress("wrong"), store.beginExecution(""), store.beginExecution(undefined)]);
    for (const wrong of [
      `redis://:secret@h:${round}x`,
      { hots: round },
      70_000,
      Symbol("s"),
      null,
      new Proxy({}, {}),
    ]) {
      try {
        createRedisStore(wrong, { ttl: round });
      } catch (error) {
        failures += 1;
        if (!(error instanceof TypeError || error instanceof RangeError)) throw error;
      }
    }
  }
  await store.close();
  redis.disconnect();
}

/** Live clients, of which the store asks its settings, and clients that carry the commands themselves. */
async function clients() {
  for (const options of [{}, { connection: "client" }]) {
    const redis = new Redis(url, { lazyConnect: true });
    const store = createRedisStore(redis, options);
    for (let round = 0; round < ROUNDS; round++) await settle(allCalls(store, `client-${round}`, "task", round));
    await store.close();
    redis.disconnect();
  }
}

/** Stores that are dropped, closed while calls are in flight, or whose server is not there. */
async function endings() {
  for (let round = 0; round < ROUNDS; round++) {
    const [closing, dropped] = [createRedisStore(url), createRedisStore(url, { maxPending: 4 })];
    const nowhere = createRedisStore("redis://127.0.0.1:1", { commandTimeout: 20, connectTimeout: 10 });
    const inFlight = [closing, dropped, nowhere].flatMap((store) => allCalls(store, `ending-${round}`, "task", round));
    const closed = closing.close();
    await settle(inFlight);
    await closed;
    await nowhere.close();
    globalThis.gc();
  }
}

/** Threads that are ended while their calls are anywhere. */
async function threads() {
  for (let round = 0; round < WORKERS; round++) {
    const worker = new Worker(new URL(import.meta.url), { workerData: { id: `thread-${round}` } });
    const [, sent] = await Promise.all([once(worker, "online"), once(worker, "message")]);
    calls += sent[0];
    // A different moment each time, up to some milliseconds after the calls were made.
    const until = performance.now() + round / 4;
    while (performance.now() < until) await null;
    await worker.terminate();
  }
}

async function work({ id }) {
  const store = createRedisStore(url);
  parentPort.postMessage(1000 * 8);
  for (;;) {
    for (let n = 0; n < 1000; n++)
      for (const call of allCalls(store, id, `task-${n}`, "x".repeat(n))) call.catch(() => {});
    await store.isExecutionInProgress(id);
  }
}

function requireSanitizer() {
  const loaded = process.report.getReport().sharedObjects;
  if (!loaded.some((name) => name.includes("libasan"))) throw new Error("AddressSanitizer is not in this process");
}

if (isMainThread) {
  requireSanitizer();
  for (const part of [shapes, turns, errors, clients, endings, threads]) {
    const begun = performance.now();
    await part();
    console.log(`  ✓ ${part.name}: ${((performance.now() - begun) / 1000).toFixed(1)} s`);
  }
  console.log(
    `${calls} calls, ${failures} of them refused as they should be, ${WORKERS} threads ended: no error found`,
  );
} else {
  await work(workerData);
}
