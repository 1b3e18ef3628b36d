// A store over an Upstash client's own requests: what it sends, and what it makes of every kind of failure.
import { Redis as Upstash } from "@upstash/redis";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { createRedisStore, RedisStoreError } from "../../index.js";
import { startRestEndpoint } from "../../tooling/servers/rest-endpoint.mjs";
import { sharedRedis } from "../support/redis.mjs";

const { url, admin, newId } = sharedRedis();
let rest;

beforeAll(async () => {
  rest = await startRestEndpoint({ redisUrl: url });
});

afterAll(() => rest?.stop());

beforeEach(() => {
  rest.requests.length = 0;
});

const clientOf = (settings) => new Upstash({ url: rest.url, token: rest.token, retry: false, ...settings });
const open = (client, options) => createRedisStore(client, { connection: "client", ...options });
const sent = () => rest.requests.map(({ path, body }) => [path, body]);

async function rejection(promise) {
  const error = await promise.then(
    (value) => expect.fail(`resolved with ${JSON.stringify(value)}`),
    (reason) => reason,
  );
  expect(error).toBeInstanceOf(RedisStoreError);
  return error;
}

describe("what is sent", () => {
  const run = newId();

  it("is one request per call, and a transaction where a call needs several commands", async () => {
    const store = open(clientOf());
    await store.beginExecution(run);
    await store.beginExecutionTask(run, "task");
    await store.commitExecutionTaskResult(run, "task", { total: 12 });
    await store.disposeExecution(run);
    expect(sent()).toEqual([
      ["/", ["SET", run, "true"]],
      ["/", ["HSET", `${run}-transactions`, "task", "true"]],
      [
        "/multi-exec",
        [
          ["HSET", `${run}-results`, "task", '{"total":12}'],
          ["HDEL", `${run}-transactions`, "task"],
        ],
      ],
      ["/", ["DEL", run, `${run}-transactions`, `${run}-results`]],
    ]);
  });

  it("expires what it writes in the same request, to the millisecond", async () => {
    const store = open(clientOf(), { ttl: 60_001 });
    await store.beginExecution(run);
    await store.beginExecutionTask(run, "task");
    await store.commitExecutionTaskResult(run, "task", 1);
    await store.disposeExecution(run);
    expect(sent().slice(0, 3)).toEqual([
      ["/", ["SET", run, "true", "PX", 60_001]],
      [
        "/multi-exec",
        [
          ["HSET", `${run}-transactions`, "task", "true"],
          ["PEXPIRE", `${run}-transactions`, 60_001],
        ],
      ],
      [
        "/multi-exec",
        [
          ["HSET", `${run}-results`, "task", "1"],
          ["PEXPIRE", `${run}-results`, 60_001],
          ["HDEL", `${run}-transactions`, "task"],
        ],
      ],
    ]);
  });

  it("is one request for the calls of one turn, in their order, a transaction if one of them is a commit", async () => {
    const [one, other] = [newId(), newId()];
    const store = open(clientOf());
    const first = Promise.all([
      store.beginExecution(one),
      store.isExecutionInProgress(one),
      Promise.resolve().then(() => store.isExecutionInProgress(other)),
    ]);
    expect(await first).toEqual([undefined, true, false]);
    await Promise.all([store.commitExecutionTaskResult(one, "task", 1), store.disposeExecution(one)]);
    expect(sent().map(([path, body]) => [path, body.map(([name]) => name)])).toEqual([
      ["/pipeline", ["SET", "GET", "GET"]],
      ["/multi-exec", ["HSET", "HDEL", "DEL"]],
    ]);
  });

  it("is sent again call by call where the server refuses the whole, so that no call fails because of another", async () => {
    const store = open(clientOf());
    const ids = [newId(), newId()];
    rest.inject({ status: 400, error: "EXECABORT Transaction discarded because of previous errors." });
    rest.inject({ status: 400, error: "ERR this one is at fault" });
    const outcomes = await Promise.allSettled(ids.map((id) => store.commitExecutionTaskResult(id, "task", 1)));
    expect(outcomes.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
    expect(rest.requests).toHaveLength(3);
  });

  it("passes through the client's middleware", async () => {
    const client = clientOf();
    const seen = [];
    client.use(async (request, next) => {
      seen.push(request.body);
      return next(request);
    });
    await open(client).isExecutionInProgress(run);
    expect(seen).toEqual([["GET", run]]);
  });

  it("carries the sync token of the last answer, so that it reads its own writes", async () => {
    const store = open(clientOf());
    await store.beginExecution(run);
    const token = rest.syncToken;
    expect(token).not.toBe("");
    await store.isExecutionInProgress(run);
    await store.disposeExecution(run);
    expect(rest.requests[1].headers["upstash-sync-token"]).toBe(token);
  });
});

describe("a request that fails", () => {
  const commit = (store, id = newId()) => store.commitExecutionTaskResult(id, "task", 1);

  it("because the server refuses a command says which key, also inside a transaction", async () => {
    const id = newId();
    await admin.set(`${id}-transactions`, "not a hash");
    const store = open(clientOf());
    const about = { code: "ERR_REDIS_REPLY", reply: "WRONGTYPE", executionId: id, taskId: "task" };
    expect(await rejection(store.isExecutionTaskInProgress(id, "task"))).toMatchObject(about);
    expect(await rejection(commit(store, id))).toMatchObject({ ...about, key: `${id}-transactions` });
    expect(await store.getExecutionTaskResult(id, "task")).toBe(1);
  });

  it("because the token is wrong is a connection that fails", async () => {
    const error = await rejection(open(clientOf({ token: "other" })).beginExecution(newId()));
    expect(error).toMatchObject({ code: "ERR_REDIS_CONNECTION" });
    expect(error.message).toContain("Unauthorized");
    expect(error.message).not.toContain("other");
  });

  it.each([
    ["too many requests", { status: 429, error: "ERR max requests limit exceeded" }, "ERR_REDIS_REPLY"],
    ["a gateway's page", { status: 502, body: "<html>Bad Gateway</html>" }, "ERR_REDIS_CONNECTION"],
    ["an answer that is no JSON", { status: 200, body: "" }, "ERR_REDIS_CONNECTION"],
    ["an answer without a result", { status: 200, body: "{}" }, "ERR_REDIS_CONNECTION"],
    ["a lost connection", { cut: "before" }, "ERR_REDIS_CONNECTION"],
    ["a lost answer", { cut: "after" }, "ERR_REDIS_CONNECTION"],
  ])("rejects, whether it reads or writes: %s", async (_label, fault, code) => {
    // Each may be tried once more by the client itself.
    const store = open(clientOf({ readYourWrites: false }));
    for (const ask of [
      () => store.isExecutionInProgress(newId()),
      () => store.getExecutionTaskResult(newId(), "task"),
      () => store.getExecutionTaskResults(newId()),
      () => store.beginExecution(newId()),
    ]) {
      rest.inject(fault, fault);
      expect(await rejection(ask())).toMatchObject({ code });
      rest.clearFaults();
    }
  });

  it.each([
    ["fewer answers than commands", '[{"result":1}]'],
    ["one answer for all", '{"result":1}'],
    ["no answers", "[]"],
  ])("rejects a transaction that was not answered in whole: %s", async (_label, body) => {
    rest.inject({ status: 200, body });
    expect(await rejection(commit(open(clientOf())))).toMatchObject({ code: "ERR_REDIS_CONNECTION" });
    rest.clearFaults();
  });

  it("by never being answered rejects at the deadline", async () => {
    rest.inject({ delay: 2000 });
    const error = await rejection(commit(open(clientOf(), { commandTimeout: 50 })));
    expect(error).toMatchObject({ code: "ERR_REDIS_TIMEOUT" });
    expect(error.message).toContain("may have been applied");
  });

  it("by being aborted rejects: the client calls it answered, with the reason as the result", async () => {
    const controller = new AbortController();
    const client = clientOf({ signal: controller.signal });
    controller.abort("stopped");
    const id = newId();
    await admin.set(id, "true");
    const store = open(client);
    for (const call of [
      commit(store, id),
      store.beginExecution(newId()),
      store.isExecutionInProgress(id),
      store.getExecutionTaskResult(id, "task"),
    ]) {
      expect(await rejection(call)).toMatchObject({ code: "ERR_REDIS_CONNECTION" });
    }
    expect(await admin.exists(`${id}-results`)).toBe(0);
  });
});
