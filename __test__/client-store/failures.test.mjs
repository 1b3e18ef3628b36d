// A caller's own client that refuses, throws or never answers: every call still settles, with an error that says why.
import { afterEach, describe, expect, it, vi } from "vitest";
import { createRedisStore, RedisStoreError } from "../../index.js";
import { createMapClient, createSlowClient } from "../support/map-client.mjs";

const open = (client, options) => createRedisStore(client, { connection: "client", ...options });

const rejection = (promise) =>
  promise.then(
    (value) => expect.fail(`resolved with ${JSON.stringify(value)}`),
    (error) => error,
  );

const READS = [
  "isExecutionInProgress",
  "isExecutionTaskInProgress",
  "getExecutionTaskResult",
  "getExecutionTaskResults",
];
const WRITES = ["beginExecution", "beginExecutionTask", "commitExecutionTaskResult", "disposeExecution"];

const names = (asked) => asked.map(({ name }) => name);

describe("a client that fails", () => {
  const failing = (error) => Object.assign(createMapClient(), { hset: async () => Promise.reject(error) });
  const commit = (client) => rejection(open(client).commitExecutionTaskResult("run", "task", 1));

  it.each([
    ["an error named ReplyError", Object.assign(new Error("OOM command not allowed"), { name: "ReplyError" }), "OOM"],
    ["an error named ErrorReply", Object.assign(new Error("ERR unknown command"), { name: "ErrorReply" }), "ERR"],
    ["an error that begins as the server's do", new Error("WRONGTYPE Operation against a key"), "WRONGTYPE"],
    ["a ReplyError without a code", Object.assign(new Error("custom"), { name: "ReplyError" }), undefined],
  ])("because the server refused says so: %s", async (_, cause, reply) => {
    const error = await commit(failing(cause));
    expect(error).toBeInstanceOf(RedisStoreError);
    expect(error).toMatchObject({ code: "ERR_REDIS_REPLY", executionId: "run", taskId: "task", key: "run-results" });
    expect(error.reply).toBe(reply);
    expect(error.cause).toBe(cause);
    expect(error.message).toContain(cause.message);
  });

  it.each([
    ["a closed connection", new Error("Connection is closed.")],
    ["an error of the system", Object.assign(new Error("connect ECONNREFUSED 127.0.0.1:1"), { code: "ECONNREFUSED" })],
    ["a system's word in front", new Error("ECONNREFUSED 127.0.0.1:1")],
    ["a string", "lost"],
    ["null", null],
    ["a number", 1],
  ])("for another reason is a connection that fails: %s", async (_, cause) => {
    const error = await commit(failing(cause));
    expect(error).toMatchObject({ code: "ERR_REDIS_CONNECTION", executionId: "run", taskId: "task" });
    expect(error.cause).toBe(cause);
    expect(error.reply).toBe(undefined);
  });

  const getter = (name) => Object.defineProperty(new Error("lost"), name, { get: () => expect.fail(name) });
  it.each([
    ["an object without a prototype", Object.create(null), "client"],
    ["an object whose text cannot be made", { toString: () => expect.fail("text") }, "client"],
    ["an error whose message cannot be read", getter("message"), "client"],
    ["an error whose name cannot be read", getter("name"), "client"],
    ["an error whose code cannot be read", getter("code"), "client"],
    ["a proxy that answers nothing", new Proxy({}, { get: () => expect.fail("proxy") }), "client"],
    ["a symbol", Symbol("lost"), "client"],
    ["an object without a prototype, over HTTP", Object.create(null), "upstash"],
  ])("with what cannot be looked at fails the call at once: %s", async (_, cause, backend) => {
    const client =
      backend === "upstash"
        ? { client: { request: async () => Promise.reject(cause) }, use() {}, addTelemetry() {} }
        : failing(cause);
    const store = open(client, { commandTimeout: 60_000 });
    expect(store.backend).toBe(backend);
    const calls = [1, 2].map((value) => rejection(store.commitExecutionTaskResult("run", "task", value)));
    for (const error of await Promise.all(calls)) {
      expect(error.code).toBe("ERR_REDIS_CONNECTION");
      expect(error.cause).toBe(cause);
    }
  });

  it("with nothing to say still fails the call", async () => {
    expect(await commit(failing(undefined))).toMatchObject({ code: "ERR_REDIS_CONNECTION" });
  });

  it.each([...READS, ...WRITES])("by throwing rejects, never throws: %s", async (name) => {
    const thrown = new Error("thrown");
    const throws = () => {
      throw thrown;
    };
    const client = {
      get: throws,
      set: throws,
      hset: throws,
      hget: throws,
      hdel: throws,
      hgetall: throws,
      expire: throws,
    };
    const error = await rejection(open({ ...client, del: throws })[name]("run", "task", 1));
    expect(error).toMatchObject({ code: "ERR_REDIS_CONNECTION", executionId: "run", cause: thrown });
  });

  it("to take the result keeps the task in progress", async () => {
    const client = createMapClient();
    client.hset = () => {
      throw new Error("thrown");
    };
    await commit(client);
    expect(client.calls).toEqual([]);
  });

  it("in several commands at once is one rejection, about the key of the first", async () => {
    const client = createMapClient();
    client.del = async (key) => Promise.reject(new Error(`lost ${key}`));
    const error = await rejection(open(client).disposeExecution("run"));
    expect(error).toMatchObject({ code: "ERR_REDIS_CONNECTION", key: "run" });
  });

  it("keeps the properties of an error to those that apply", async () => {
    const error = await rejection(
      open({ ...createMapClient(), get: async () => Promise.reject() }).isExecutionInProgress("run"),
    );
    expect(Object.keys(error).sort()).toEqual(["code", "executionId", "key"]);
    expect(error.name).toBe("RedisStoreError");
    expect(error.stack).toContain("RedisStoreError: ");
  });
});

describe("a client that does not answer", () => {
  const unhandled = vi.fn();

  afterEach(() => {
    process.off("unhandledRejection", unhandled);
    vi.useRealTimers();
  });

  it.each([...READS, ...WRITES])("ends the call at its deadline: %s", async (name) => {
    const { client } = createSlowClient();
    const error = await rejection(open(client, { commandTimeout: 20 })[name]("run", "task", 1));
    expect(error).toMatchObject({ code: "ERR_REDIS_TIMEOUT", executionId: "run" });
    expect(error.message).toContain("20 ms");
    expect(/may have been applied/.test(error.message)).toBe(WRITES.includes(name));
  });

  it("ends all calls, oldest first", async () => {
    const { client } = createSlowClient();
    const store = open(client, { commandTimeout: 30 });
    const ended = [];
    const calls = Array.from({ length: 2000 }, (_, index) =>
      rejection(store.isExecutionInProgress(`run-${index}`)).then(() => ended.push(index)),
    );
    await Promise.all(calls);
    expect(ended).toEqual(calls.map((_, index) => index));
  });

  it("may answer or fail later without a trace", async () => {
    process.on("unhandledRejection", unhandled);
    const { client, asked } = createSlowClient();
    const store = open(client, { commandTimeout: 10, ttl: 1000 });
    await rejection(store.commitExecutionTaskResult("run", "task", 1));
    await rejection(store.getExecutionTaskResult("run", "task"));
    for (const { name, reject, resolve } of asked) name === "hset" ? resolve(1) : reject(new Error("late"));
    await new Promise((resolve) => setImmediate(resolve));
    expect(unhandled).not.toHaveBeenCalled();
    expect(asked).toHaveLength(4);
  });

  it("to one command of several ends the call with what the others said", async () => {
    const { client, asked } = createSlowClient();
    const committed = open(client, { commandTimeout: 20 }).commitExecutionTaskResult("run", "task", 1);
    asked[1].reject(new Error("OOM command not allowed"));
    expect(await rejection(committed)).toMatchObject({ code: "ERR_REDIS_REPLY", reply: "OOM" });
  });

  it("does so under fake timers too", async () => {
    vi.useFakeTimers();
    const { client } = createSlowClient();
    const error = await rejection(open(client, { commandTimeout: 20 }).isExecutionInProgress("run"));
    expect(error).toMatchObject({ code: "ERR_REDIS_TIMEOUT" });
  });

  it("has no more calls in flight than maxPending", async () => {
    const { client, asked } = createSlowClient();
    const store = open(client, { maxPending: 2 });
    const first = store.isExecutionInProgress("run-1");
    store.isExecutionInProgress("run-2");
    const error = await rejection(store.beginExecution("run-3"));
    expect(error).toMatchObject({ code: "ERR_REDIS_OVERLOADED", executionId: "run-3" });
    expect(error.message).toContain("2");
    expect(names(asked)).toEqual(["get", "get"]);
    asked[0].resolve("true");
    expect(await first).toBe(true);
    store.isExecutionInProgress("run-4");
    expect(asked).toHaveLength(3);
    for (const { resolve } of asked) resolve(null);
  });

  it("has no more in flight than 2^28 characters, unless one call alone has more", async () => {
    const { client, asked } = createSlowClient();
    const store = open(client);
    const large = store.commitExecutionTaskResult("run", "large", "x".repeat(2 ** 28));
    const error = await rejection(store.commitExecutionTaskResult("run", "small", 1));
    expect(error).toMatchObject({ code: "ERR_REDIS_OVERLOADED", executionId: "run", taskId: "small" });
    expect(error.message).toContain(`${2 ** 28} characters are the limit`);
    for (const { resolve } of asked) resolve(1);
    await large;
    const taken = store.commitExecutionTaskResult("run", "small", 1);
    for (const { resolve } of asked) resolve(1);
    await taken;
  });

  it("is closed at the latest by the deadline", async () => {
    const { client } = createSlowClient();
    const store = open(client, { commandTimeout: 20 });
    const call = rejection(store.isExecutionInProgress("run"));
    await store.close();
    expect(await call).toMatchObject({ code: "ERR_REDIS_TIMEOUT" });
  });
});
