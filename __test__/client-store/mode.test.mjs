// The store over the caller's own client: exactly the calls that client sees today, and nothing of it closed.
import { describe, expect, it, vi } from "vitest";
import { createRedisStore } from "../../index.js";
import { createMapClient, createSlowClient } from "../support/map-client.mjs";

const open = (client, options) => createRedisStore(client, { connection: "client", ...options });

const rejection = (promise) =>
  promise.then(
    (value) => expect.fail(`resolved with ${JSON.stringify(value)}`),
    (error) => error,
  );

const names = (asked) => asked.map(({ name }) => name);

describe("the calls a client sees", () => {
  const CALLS = [
    ["beginExecution", [["set", "run", "true"]]],
    ["isExecutionInProgress", [["get", "run"]]],
    ["beginExecutionTask", [["hset", "run-transactions", { task: "true" }]]],
    ["isExecutionTaskInProgress", [["hget", "run-transactions", "task"]]],
    [
      "commitExecutionTaskResult",
      [
        ["hset", "run-results", { task: '{"total":1}' }],
        ["hdel", "run-transactions", "task"],
      ],
    ],
    ["getExecutionTaskResult", [["hget", "run-results", "task"]]],
    ["getExecutionTaskResults", [["hgetall", "run-results"]]],
    [
      "disposeExecution",
      [
        ["del", "run"],
        ["del", "run-transactions"],
        ["del", "run-results"],
      ],
    ],
  ];

  it.each(CALLS)("are those of today: %s", async (name, calls) => {
    const client = createMapClient();
    await open(client)[name]("run", "task", { total: 1 });
    expect(client.calls).toEqual(calls);
  });

  it.each([
    [
      "beginExecution",
      [
        ["set", "run", "true"],
        ["expire", "run", 3],
      ],
    ],
    [
      "beginExecutionTask",
      [
        ["hset", "run-transactions", { task: "true" }],
        ["expire", "run-transactions", 3],
      ],
    ],
    [
      "commitExecutionTaskResult",
      [
        ["hset", "run-results", { task: "1" }],
        ["expire", "run-results", 3],
        ["hdel", "run-transactions", "task"],
      ],
    ],
    ["disposeExecution", CALLS[7][1]],
    ["isExecutionInProgress", CALLS[1][1]],
  ])("with a ttl have whole seconds, rounded up: %s", async (name, calls) => {
    const client = createMapClient();
    await open(client, { ttl: 2001 })[name]("run", "task", 1);
    expect(client.calls).toEqual(calls);
  });

  it("with a sliding ttl extend the other two keys as well", async () => {
    const client = createMapClient();
    const store = open(client, { ttl: 1000, slidingTtl: true });
    await store.beginExecutionTask("run", "task");
    await store.commitExecutionTaskResult("run", "task", 1);
    const expired = client.calls.filter(([name]) => name === "expire").map(([, key]) => key);
    expect(expired).toEqual(["run-transactions", "run", "run-results", "run-results", "run", "run-transactions"]);
  });

  it("of a commit start in the same turn, HSET before HDEL", () => {
    const { client, asked } = createSlowClient();
    open(client, { ttl: 1000 }).commitExecutionTaskResult("run", "task", 1);
    expect(names(asked)).toEqual(["hset", "expire", "hdel"]);
  });

  it("carry prefix and hash tag", async () => {
    const client = createMapClient();
    await open(client, { keyPrefix: "app:", hashTags: true }).disposeExecution("run");
    expect(client.calls.map(([, key]) => key)).toEqual(["app:{run}", "app:{run}-transactions", "app:{run}-results"]);
  });

  it("have a task called __proto__ as a field of its own", async () => {
    const client = createMapClient();
    await open(client).beginExecutionTask("run", "__proto__");
    expect(Object.entries(client.calls[0][2])).toEqual([["__proto__", "true"]]);
  });

  it("are made on the client as it is at that moment, and as its methods", async () => {
    const client = createMapClient();
    const store = open(client);
    const spy = vi.spyOn(client, "hset").mockResolvedValue(1);
    await store.commitExecutionTaskResult("run", "task", 1);
    expect(spy).toHaveBeenCalledExactlyOnceWith("run-results", { task: "1" });
    expect(spy.mock.contexts).toEqual([client]);
  });

  it("include a second expiry where the first overtook the write, and no third", async () => {
    const { client, asked } = createSlowClient();
    const begun = open(client, { ttl: 1000 }).beginExecution("run");
    expect(names(asked)).toEqual(["set", "expire"]);
    asked[1].resolve(0);
    asked[0].resolve("OK");
    await vi.waitFor(() => expect(names(asked)).toEqual(["set", "expire", "expire"]));
    expect(asked[2].args).toEqual(["run", 1]);
    asked[2].resolve(0);
    await begun;
    expect(asked).toHaveLength(3);
  });

  it("may be answered without a promise, or with another kind of promise", async () => {
    const client = createMapClient();
    client.get = () => "true";
    // biome-ignore lint/suspicious/noThenProperty: a promise of another library is what this is about
    client.hget = () => ({ then: (resolve) => resolve("[1]") });
    expect(await open(client).isExecutionInProgress("run")).toBe(true);
    expect(await open(client).getExecutionTaskResult("run", "task")).toEqual([1]);
  });
});

describe("close", () => {
  it("lets what is in flight finish, and refuses what comes after", async () => {
    const { client, asked } = createSlowClient();
    const store = open(client);
    const call = store.getExecutionTaskResult("run", "task");
    let closed = false;
    const closing = store.close().then(() => {
      closed = true;
    });
    const error = await rejection(store.beginExecution("run"));
    expect(error).toMatchObject({ code: "ERR_REDIS_CLOSED", executionId: "run" });
    expect(names(asked)).toEqual(["hget"]);
    expect(closed).toBe(false);
    asked[0].resolve("[1]");
    await closing;
    expect(await call).toEqual([1]);
  });

  it("may be called twice, and with nothing in flight", async () => {
    const store = open(createMapClient());
    const [first, second] = [store.close(), store.close()];
    expect(await first).toBe(undefined);
    expect(await second).toBe(undefined);
    expect(await store.close()).toBe(undefined);
  });

  it("leaves the caller's client alone", async () => {
    const client = createMapClient();
    const ends = ["quit", "disconnect", "close", "destroy"].map((name) => {
      client[name] = vi.fn();
      return client[name];
    });
    const store = open(client);
    await store.beginExecution("run");
    await store.close();
    for (const end of ends) expect(end).not.toHaveBeenCalled();
    expect(await client.get("run")).toBe("true");
  });
});
