// What a call only carries must never fail the call: where the server refuses it, the question is asked when it comes.
import { Redis } from "ioredis";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { createRedisStore } from "../../index.js";
import { secret } from "../../tooling/secrets.mjs";
import { privateRedis, sharedRedis } from "../support/redis.mjs";

const { newId } = sharedRedis();
const PASSWORD = secret("of-user");
// A write carries from the second time on.
const ROUNDS = 3;

let server;
let admin;

beforeAll(async () => {
  server = await privateRedis();
  admin = new Redis(server.url);
});

const stores = [];
afterEach(async () => {
  for (const store of stores.splice(0)) await store.close();
});

afterAll(() => admin?.disconnect());

/** A store whose user may do what these rules allow. */
async function openStore(...rules) {
  const name = newId("user");
  await admin.acl("SETUSER", name, "on", `>${PASSWORD}`, ...rules);
  const store = createRedisStore({ host: server.host, port: server.port, username: name, password: PASSWORD });
  stores.push(store);
  return store;
}

const replyOf = async (promise) => {
  const [{ reason }] = await Promise.allSettled([promise]);
  return reason?.reply;
};

/** The keys of an execution in progress with a task that is marked and one that has a result. */
async function prepare(id) {
  await admin.set(id, "true");
  await admin.hset(`${id}-transactions`, "marked", "true");
  await admin.hset(`${id}-results`, "done", "1");
}

describe("a user who may not ask what is carried", () => {
  it("gets the results without GET", async () => {
    const store = await openStore("~*", "+@all", "-get");
    const id = newId();
    await prepare(id);
    for (let round = 0; round < ROUNDS; round += 1) {
      expect(await store.getExecutionTaskResults(id)).toEqual({ done: 1 });
      expect(await replyOf(store.isExecutionInProgress(id))).toBe("NOPERM");
      expect(await store.getExecutionTaskResults(id)).toEqual({ done: 1 });
      expect(await store.isExecutionTaskInProgress(id, "marked")).toBe(true);
      expect(await store.getExecutionTaskResult(id, "marked")).toBeUndefined();
    }
  });

  it("gets the results without access to the other keys", async () => {
    const store = await openStore("~*-results", "+@all");
    const id = newId();
    await prepare(id);
    for (let round = 0; round < ROUNDS; round += 1) {
      expect(await store.getExecutionTaskResults(id)).toEqual({ done: 1 });
      expect(await replyOf(store.isExecutionTaskInProgress(id, "marked"))).toBe("NOPERM");
      expect(await store.getExecutionTaskResult(id, "done")).toBe(1);
      expect(await replyOf(store.isExecutionInProgress(id))).toBe("NOPERM");
    }
  });

  it("begins an execution without HGETALL", async () => {
    const store = await openStore("~*", "+@all", "-hgetall");
    for (let round = 0; round < ROUNDS; round += 1) {
      const id = newId();
      await store.beginExecution(id);
      expect(await replyOf(store.getExecutionTaskResults(id))).toBe("NOPERM");
      expect(await store.isExecutionInProgress(id)).toBe(true);
      expect(await store.isExecutionTaskInProgress(id, "task")).toBe(false);
    }
  });

  it("goes on without HKEYS", async () => {
    const store = await openStore("~*", "+@all", "-hkeys");
    const id = newId();
    await store.beginExecution(id);
    for (let round = 0; round < 2 * ROUNDS; round += 1) {
      await store.beginExecutionTask(id, `a:${round}`);
      await store.commitExecutionTaskResult(id, `a:${round}`, round);
      expect(await store.isExecutionInProgress(id)).toBe(true);
      expect(await store.getExecutionTaskResult(id, "a:next")).toBeUndefined();
      expect(await store.isExecutionTaskInProgress(id, "a:next")).toBe(false);
    }
    expect(Object.keys(await store.getExecutionTaskResults(id))).toHaveLength(2 * ROUNDS);
  });

  it("reads and writes without MULTI for what is carried, as behind a proxy that has none", async () => {
    const store = await openStore("~*", "+@all", "-multi", "-exec");
    const id = newId();
    for (let round = 0; round < ROUNDS; round += 1) {
      await store.beginExecution(id);
      expect(await store.getExecutionTaskResults(id)).toEqual({});
      expect(await store.isExecutionInProgress(id)).toBe(true);
      expect(await store.getExecutionTaskResult(id, "task")).toBeUndefined();
      await store.beginExecutionTask(id, "task");
      expect(await store.isExecutionTaskInProgress(id, "task")).toBe(true);
      expect(await replyOf(store.commitExecutionTaskResult(id, "task", 1))).toBe("NOPERM");
      await store.disposeExecution(id);
    }
  });

  it("writes without GET", async () => {
    const store = await openStore("~*", "+@all", "-get");
    const id = newId();
    for (let round = 0; round < ROUNDS; round += 1) {
      await store.beginExecutionTask(id, "task");
      expect(await replyOf(store.isExecutionInProgress(id))).toBe("NOPERM");
      await store.commitExecutionTaskResult(id, "task", round);
      expect(await replyOf(store.isExecutionInProgress(id))).toBe("NOPERM");
      expect(await store.getExecutionTaskResult(id, "task")).toBe(round);
    }
  });
});

describe("a key of another type", () => {
  it.each([
    ["the execution's", "", (store, id) => store.isExecutionInProgress(id)],
    ["that of the marks", "-transactions", (store, id) => store.isExecutionTaskInProgress(id, "task")],
  ])("does not fail a question for results, only the one that is about it: %s", async (_, suffix, ask) => {
    const store = await openStore("~*", "+@all");
    const id = newId();
    await prepare(id);
    await admin.del(id + suffix);
    await admin.rpush(id + suffix, "a list");
    for (let round = 0; round < ROUNDS; round += 1) {
      expect(await store.getExecutionTaskResults(id)).toEqual({ done: 1 });
      expect(await replyOf(ask(store, id))).toBe("WRONGTYPE");
      expect(await store.getExecutionTaskResult(id, "done")).toBe(1);
      expect(await replyOf(ask(store, id))).toBe("WRONGTYPE");
    }
  });

  it("does not fail the beginning of an execution", async () => {
    const store = await openStore("~*", "+@all");
    const id = newId();
    await admin.rpush(`${id}-transactions`, "a list");
    await admin.set(`${id}-results`, "text");
    await store.beginExecution(id);
    expect(await replyOf(store.getExecutionTaskResults(id))).toBe("WRONGTYPE");
    await store.beginExecution(id);
    expect(await replyOf(store.isExecutionTaskInProgress(id, "task"))).toBe("WRONGTYPE");
    expect(await store.isExecutionInProgress(id)).toBe(true);
  });

  it("fails the call it is about, whatever was carried", async () => {
    const store = await openStore("~*", "+@all");
    const id = newId();
    await prepare(id);
    await admin.del(`${id}-results`);
    await admin.set(`${id}-results`, "text");
    expect(await replyOf(store.getExecutionTaskResults(id))).toBe("WRONGTYPE");
    expect(await replyOf(store.getExecutionTaskResult(id, "task"))).toBe("WRONGTYPE");
    // An error teaches nothing: these are asked.
    await admin.del(id);
    expect(await replyOf(store.getExecutionTaskResults(id))).toBe("WRONGTYPE");
    expect(await store.isExecutionInProgress(id)).toBe(false);
  });
});
