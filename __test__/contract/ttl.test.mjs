// Expiry: on all three keys, set in the same step as the write, and never forgotten.
import { Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createRedisStore } from "../../index.js";
import { CLIENT_INPUTS, NATIVE_INPUTS, openStore } from "../support/inputs.mjs";
import { recordCommands } from "../support/monitor.mjs";
import { privateRedis, sharedRedis } from "../support/redis.mjs";

const { url, admin, newId } = sharedRedis();

const HOUR = 3_600_000;
const MINUTE = 60_000;
const TASK_WRITES = ["beginExecutionTask", "commitExecutionTaskResult"];

const keysOf = (id) => [id, `${id}-transactions`, `${id}-results`];
const remaining = (id) => Promise.all(keysOf(id).map((key) => admin.pttl(key)));

/** An execution with all three keys, one task done and one running. */
async function begin(store, id) {
  await store.beginExecution(id);
  await store.commitExecutionTaskResult(id, "done", 1);
  await store.beginExecutionTask(id, "running");
}

function write(store, name, id) {
  return name === "commitExecutionTaskResult" ? store[name](id, "other", 1) : store[name](id, "other");
}

describe.each([NATIVE_INPUTS[0], CLIENT_INPUTS[0]])("expiry in a store over $name", (input) => {
  const releases = [];
  const open = (options) => {
    const { store, release } = openStore(input, { url }, options);
    releases.push(release);
    return store;
  };

  afterAll(() => Promise.all(releases.map((release) => release())));

  it.each([
    ["no ttl", {}],
    ["undefined", { ttl: undefined }],
    ["0", { ttl: 0 }],
    ["0, sliding", { ttl: 0, slidingTtl: true }],
  ])("is off without a ttl: %s", async (_, options) => {
    const id = newId();
    await begin(open(options), id);
    expect(await remaining(id)).toEqual([-1, -1, -1]);
  });

  it("is on for all three keys with a ttl", async () => {
    const id = newId();
    await begin(open({ ttl: HOUR }), id);
    for (const left of await remaining(id)) {
      expect(left).toBeGreaterThan(HOUR - 10 * MINUTE);
      expect(left).toBeLessThanOrEqual(HOUR);
    }
  });

  it("is set on keys that had none, such as those of a store without a ttl", async () => {
    const id = newId();
    await begin(open({}), id);
    await begin(open({ ttl: HOUR }), id);
    for (const left of await remaining(id)) expect(left).toBeGreaterThan(0);
  });

  it("counts from the last write to each key", async () => {
    const store = open({ ttl: HOUR });
    const id = newId();
    await begin(store, id);
    for (const key of keysOf(id)) await admin.pexpire(key, MINUTE);
    await store.beginExecution(id);
    const [execution, transactions, results] = await remaining(id);
    expect(execution).toBeGreaterThan(MINUTE);
    expect(transactions).toBeLessThanOrEqual(MINUTE);
    expect(results).toBeLessThanOrEqual(MINUTE);
  });

  it.each(TASK_WRITES)("with slidingTtl, progress on a task extends all three keys: %s", async (name) => {
    const store = open({ ttl: HOUR, slidingTtl: true });
    const id = newId();
    await begin(store, id);
    for (const key of keysOf(id)) await admin.pexpire(key, MINUTE);
    await write(store, name, id);
    for (const left of await remaining(id)) expect(left).toBeGreaterThan(MINUTE);
  });

  it.each(TASK_WRITES)(
    "without slidingTtl, progress on a task leaves the execution's own key alone: %s",
    async (name) => {
      const store = open({ ttl: HOUR });
      const id = newId();
      await begin(store, id);
      for (const key of keysOf(id)) await admin.pexpire(key, MINUTE);
      await write(store, name, id);
      const [execution] = await remaining(id);
      expect(execution).toBeGreaterThan(0);
      expect(execution).toBeLessThanOrEqual(MINUTE);
    },
  );

  it.each([false, true])("makes no key that is not there (slidingTtl: %s)", async (slidingTtl) => {
    const id = newId();
    await open({ ttl: HOUR, slidingTtl }).commitExecutionTaskResult(id, "task", 1);
    expect(await admin.keys(`*${id}*`)).toEqual([`${id}-results`]);
  });

  it("does not outlast the disposal", async () => {
    const store = open({ ttl: HOUR, slidingTtl: true });
    const id = newId();
    await begin(store, id);
    await store.disposeExecution(id);
    expect(await remaining(id)).toEqual([-2, -2, -2]);
  });

  it.each([false, true])(
    "is there after every single call, whatever the order (slidingTtl: %s)",
    async (slidingTtl) => {
      const store = open({ ttl: HOUR, slidingTtl });
      const id = newId();
      const calls = ["beginExecution", "beginExecutionTask", "commitExecutionTaskResult", "disposeExecution"];
      for (const first of calls) {
        for (const second of calls) {
          for (const name of [first, second]) {
            await store[name](id, "task", 1);
            for (const left of await remaining(id)) expect(left, `${first}, ${second}`).not.toBe(-1);
          }
        }
      }
    },
  );

  it("passes: what has expired is gone", async () => {
    const store = open({ ttl: 1 });
    const id = newId();
    await store.beginExecution(id);
    await store.beginExecutionTask(id, "task");
    await expect.poll(() => store.isExecutionInProgress(id), { timeout: 10_000 }).toBe(false);
    await expect.poll(() => store.isExecutionTaskInProgress(id, "task"), { timeout: 10_000 }).toBe(false);
  });
});

describe("the commands of a store with a ttl of 2500 ms", () => {
  let server;
  let recorder;
  let releases;

  beforeAll(async () => {
    server = await privateRedis();
    const watcher = new Redis(server.url);
    recorder = await recordCommands(watcher);
    releases = [() => recorder.stop(), () => watcher.disconnect()];
  });

  afterAll(async () => {
    for (const release of releases) await release();
  });

  /** The commands about one execution, with the transaction they stand in. */
  async function commandsAbout(id) {
    return (await recorder.take())
      .filter(([name, key]) => name === "MULTI" || name === "EXEC" || key?.startsWith(id))
      .map((command) => command.join(" ").replaceAll(id, "ID"));
  }

  async function run(input, options) {
    const { store, release } = openStore(input, server, options);
    const id = newId();
    await store.beginExecution(id);
    await store.beginExecutionTask(id, "task");
    await store.commitExecutionTaskResult(id, "task", 1);
    await release();
    return (await commandsAbout(id)).join("\n");
  }

  it("natively are milliseconds, in the same transaction as the write", async () => {
    const commands = await run(NATIVE_INPUTS[0], { ttl: 2500 });
    expect(commands).toMatch(/^SET ID true PX 2500\b/m);
    expect(commands).toMatch(/^MULTI\nHSET ID-transactions task true\nPEXPIRE ID-transactions 2500\nEXEC$/m);
    expect(commands).toMatch(
      /^MULTI\nHSET ID-results task 1\nHDEL ID-transactions task\nPEXPIRE ID-results 2500\nEXEC$/m,
    );
  });

  it("natively are rounded up to a whole millisecond", async () => {
    expect(await run(NATIVE_INPUTS[0], { ttl: 2499.01 })).toMatch(/^SET ID true PX 2500\b/m);
  });

  it("over the caller's own client are seconds, rounded up as today", async () => {
    const commands = await run(CLIENT_INPUTS[0], { ttl: 2500 });
    expect(commands.split("\n")).toEqual([
      "SET ID true",
      "EXPIRE ID 3",
      "HSET ID-transactions task true",
      "EXPIRE ID-transactions 3",
      "HSET ID-results task 1",
      "EXPIRE ID-results 3",
      "HDEL ID-transactions task",
    ]);
  });
});

describe("a ttl that is no positive finite number", () => {
  it.each([-1, -0.5, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])("is a RangeError: %s", (ttl) => {
    expect(() => createRedisStore(url, { ttl })).toThrow(RangeError);
    expect(() => createRedisStore(url, { ttl })).toThrow(/ttl/);
  });

  it.each([
    ["text", "1h"],
    ["digits", "1000"],
    ["an empty string", ""],
    ["true", true],
    ["an object", {}],
    ["an array", [1000]],
    ["a BigInt", 1000n],
    ["a function", () => 1000],
    ["a date", new Date(0)],
  ])("is a TypeError: %s", (_, ttl) => {
    expect(() => createRedisStore(url, { ttl })).toThrow(TypeError);
    expect(() => createRedisStore(url, { ttl })).toThrow(/ttl/);
  });
});
