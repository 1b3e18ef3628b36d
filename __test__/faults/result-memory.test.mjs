// Results that have come and that nobody has had time for: what they take is bounded, and who does not take them keeps
// nobody else waiting.
import { beforeAll, expect, it } from "vitest";
import { runScript } from "../support/child.mjs";
import { sharedRedis } from "../support/redis.mjs";
import { note } from "../support/scale.mjs";

const { url, admin, newId } = sharedRedis();
const TOOLING = new URL("../../tooling/reference-store.mjs", import.meta.url).href;
const READS = 1000;
const RESULT_BYTES = 1_000_000;
/** What results may take that have come and were not handed over. */
const BUDGET_MB = 32;

const id = newId("large");
beforeAll(async () => {
  await admin.hset(`${id}-results`, "task", JSON.stringify("x".repeat(RESULT_BYTES)));
});

const MEMORY = `
  const memory = () => process.resourceUsage().maxRSS / 1024;
`;

const READ_ALL = `
  const before = memory();
  let read = 0;
  await Promise.all(Array.from({ length: args.reads }, async () => {
    const result = await store.getExecutionTaskResult(args.id, "task");
    if (result.length === args.bytes) read += 1;
  }));
  console.log(JSON.stringify({ read, grown: memory() - before }));
`;

async function run(script, args = {}) {
  const { lines, errors } = await runScript(script, {
    args: { url, id, reads: READS, bytes: RESULT_BYTES, tooling: TOOLING, ...args },
    deadline: 60_000,
  });
  expect(lines, errors).toHaveLength(1);
  return JSON.parse(lines[0]);
}

const readNatively = () =>
  run(`
    ${MEMORY}
    const store = createRedisStore(args.url, { commandTimeout: 60_000 });
    await store.isExecutionInProgress(args.id);
    ${READ_ALL}
    await store.close();
  `);

const readWithIoredis = () =>
  run(`
    import { Redis } from "ioredis";
    const { createReferenceStore } = await import(args.tooling);
    ${MEMORY}
    const redis = new Redis(args.url);
    const store = createReferenceStore(redis);
    await store.isExecutionInProgress(args.id);
    ${READ_ALL}
    redis.disconnect();
  `);

it("takes no more memory for many large results than a JavaScript client", async () => {
  let [native, reference] = [await readNatively(), await readWithIoredis()];
  // When the engine collects what was read is its own affair: the same client took 134 MB once, and 193 MB the next time.
  for (let again = 0; again < 2 && native.grown >= reference.grown + BUDGET_MB; again += 1) {
    [native, reference] = [await readNatively(), await readWithIoredis()];
  }
  expect(native.read).toBe(READS);
  expect(native.grown).toBeLessThan(reference.grown + BUDGET_MB);
  note({
    scenario: `${READS} reads of ${RESULT_BYTES / 1e6} MB at once`,
    done: "all read",
    found: `${Math.round(native.grown)} MB more memory; ioredis ${Math.round(reference.grown)} MB`,
    promise: "no more than with ioredis",
  });
});

const WORKER = `
  const { parentPort, workerData } = require("node:worker_threads");
  import(workerData.package).then(async ({ createRedisStore }) => {
    const { url, id, bytes, signal } = workerData;
    const store = createRedisStore(url, { commandTimeout: 20_000 });
    let read = 0;
    for (let round = 0; round < 20; round++) {
      await store.commitExecutionTaskResult(id, "other", round);
      const result = await store.getExecutionTaskResult(id, "task");
      if (result.length === bytes && (await store.getExecutionTaskResult(id, "other")) === round) read += 1;
    }
    const memory = process.resourceUsage().maxRSS / 1024;
    Atomics.store(signal, 1, read);
    Atomics.store(signal, 2, memory);
    Atomics.store(signal, 0, 1);
    Atomics.notify(signal, 0);
    await store.close();
  });
`;

it("keeps a thread's calls going while another one that shares its connection waits for it and takes no results", async () => {
  const found = await run(
    `
    import { Worker } from "node:worker_threads";
    ${MEMORY}
    const signal = new Int32Array(new SharedArrayBuffer(12));
    const store = createRedisStore(args.url, { commandTimeout: 20_000 });
    await store.isExecutionInProgress(args.id);
    const before = memory();
    const workerData = { ...args, signal };
    const worker = new Worker(args.worker, { eval: true, workerData, execArgv: [] });
    const reads = Array.from({ length: args.reads }, () => store.getExecutionTaskResult(args.id, "task"));
    await new Promise(setImmediate);
    const waited = Atomics.wait(signal, 0, 0, 15_000);
    const grown = signal[2] - before;
    const lengths = (await Promise.all(reads)).map(({ length }) => length);
    console.log(JSON.stringify({ waited, workerRead: signal[1], grown, read: lengths.filter((length) => length === args.bytes).length }));
    await store.close();
    await worker.terminate();
  `,
    { worker: WORKER, package: new URL("../../index.js", import.meta.url).href, reads: 400 },
  );
  expect(found).toMatchObject({ workerRead: 20, read: 400 });
  // Beside the results there is what the worker thread itself takes.
  expect(found.grown).toBeLessThan(BUDGET_MB + 150);
});

it("settles all calls of a thread that has no time until their deadline, and those behind them", async () => {
  const found = await run(
    `
    ${MEMORY}
    const store = createRedisStore(args.url, { commandTimeout: 3000 });
    await store.isExecutionInProgress(args.id);
    const before = memory();
    const reads = Array.from({ length: args.reads }, () => store.getExecutionTaskResult(args.id, "task"));
    const written = store.commitExecutionTaskResult(args.id, "late", 1).then(() => "written", ({ code }) => code);
    await new Promise(setImmediate);
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5000);
    const grown = memory() - before;
    const outcomes = {};
    const messages = new Set();
    for (const { reason } of await Promise.allSettled(reads)) {
      const outcome = reason?.code ?? "read";
      outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
      if (reason) messages.add(reason.message);
    }
    await written;
    const after = (await store.getExecutionTaskResult(args.id, "task")).length;
    console.log(JSON.stringify({ grown, outcomes, messages: [...messages], after }));
    await store.close();
  `,
    { reads: 400 },
  );
  expect(found.after).toBe(RESULT_BYTES);
  expect(found.grown).toBeLessThan(BUDGET_MB + 100);
  expect(Object.keys(found.outcomes).sort()).toEqual(["ERR_REDIS_TIMEOUT", "read"]);
  expect(found.outcomes.read).toBeGreaterThan(0);
  expect(found.messages.join()).toContain("results that arrived before wait to be taken");
});
