// A native store over HTTP: what it sends and in how many requests, and what it makes of every kind of failure.
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { createRedisStore, RedisStoreError } from "../../index.js";
import { startRestEndpoint } from "../../tooling/servers/rest-endpoint.mjs";
import { eventually, sharedRedis } from "../support/redis.mjs";

const { url, admin, newId } = sharedRedis();
let rest;

beforeAll(async () => {
  rest = await startRestEndpoint({ redisUrl: url });
});

afterAll(() => rest?.stop());

beforeEach(() => {
  rest.requests.length = 0;
  rest.clearFaults();
});

const releases = [];
afterEach(async () => {
  for (const release of releases.splice(0)) await release();
});

/** A store of its own, with a connection of its own: the deadline differs from those of all others. */
let deadline = 20_000;
function open({ token = rest.token, readYourWrites, ...options } = {}) {
  deadline += 1;
  const store = createRedisStore({ url: rest.url, token, readYourWrites }, { commandTimeout: deadline, ...options });
  releases.push(() => store.close());
  return store;
}
const openPlain = (options) => open({ readAhead: false, ...options });
const sent = () => rest.requests.map(({ path, body }) => [path, body]);

async function rejection(promise) {
  const error = await promise.then(
    (value) => expect.fail(`resolved with ${JSON.stringify(value)}`),
    (reason) => reason,
  );
  expect(error).toBeInstanceOf(RedisStoreError);
  expect(`${error.message} ${error.cause}`).not.toContain(rest.token);
  return error;
}

describe("what is sent", () => {
  it("is one request per call that is waited for, with a commit as one transaction", async () => {
    const run = newId();
    const store = openPlain();
    expect(store.backend).toBe("upstash");
    await store.beginExecution(run);
    await store.beginExecutionTask(run, "task");
    await store.commitExecutionTaskResult(run, "task", { total: 12 });
    await store.disposeExecution(run);
    expect(sent()).toEqual([
      ["/", ["SET", run, "true", "GET"]],
      ["/", ["HSET", `${run}-transactions`, "task", "true"]],
      [
        "/multi-exec",
        [
          ["HSET", `${run}-results`, "task", '{"total":12}'],
          ["HDEL", `${run}-transactions`, "task"],
        ],
      ],
      ["/", ["UNLINK", run, `${run}-transactions`, `${run}-results`]],
    ]);
    expect(rest.requests[0].headers).toMatchObject({
      authorization: `Bearer ${rest.token}`,
      "content-type": "application/json",
      "upstash-encoding": "base64",
    });
  });

  it("sets the expiry in the same request, to the millisecond", async () => {
    const run = newId();
    const store = openPlain({ ttl: 60_001 });
    await store.beginExecution(run);
    await store.beginExecutionTask(run, "task");
    expect(sent()).toEqual([
      ["/", ["SET", run, "true", "PX", "60001", "GET"]],
      [
        "/multi-exec",
        [
          ["HSET", `${run}-transactions`, "task", "true"],
          ["PEXPIRE", `${run}-transactions`, "60001"],
        ],
      ],
    ]);
    await store.disposeExecution(run);
  });

  it("is one request for all calls of one turn of the event loop", async () => {
    const [one, other] = [newId(), newId()];
    const store = openPlain();
    const answers = await Promise.all([
      store.beginExecution(one),
      store.isExecutionInProgress(one),
      Promise.resolve().then(() => store.isExecutionInProgress(other)),
      store.getExecutionTaskResults(one),
    ]);
    expect(answers).toEqual([undefined, true, false, {}]);
    expect(sent().map(([path, body]) => [path, body.map(([name]) => name)])).toEqual([
      ["/pipeline", ["SET", "GET", "HGETALL", "GET"]],
    ]);
    rest.requests.length = 0;
    await Promise.all([
      store.commitExecutionTaskResult(one, "a", 1),
      store.getExecutionTaskResult(one, "a"),
      store.disposeExecution(one),
    ]);
    expect(sent().map(([path, body]) => [path, body.map(([name]) => name)])).toEqual([
      ["/multi-exec", ["HSET", "HDEL", "HGET", "UNLINK"]],
    ]);
  });

  it("asks for what is asked next in the same request", async () => {
    const run = newId();
    const store = open();
    await store.getExecutionTaskResults(run);
    await store.isExecutionInProgress(run);
    await store.isExecutionTaskInProgress(run, "task");
    expect(sent().map(([path, body]) => [path, body.map(([name]) => name)])).toEqual([
      ["/multi-exec", ["HGETALL", "HGETALL", "GET"]],
    ]);
  });

  it("keeps the order of an execution whose request is slow, and lets others pass", async () => {
    const [slow, other] = [newId(), newId()];
    const store = openPlain();
    rest.inject({ delay: 300 });
    const begun = store.beginExecution(slow);
    await eventually(() => rest.requests.length === 1);
    const question = store.isExecutionInProgress(slow);
    let overtaken = false;
    const passing = store.isExecutionInProgress(other).then(() => {
      overtaken = true;
    });
    await passing;
    expect(rest.requests.map(({ body }) => body[1])).toEqual([slow, other]);
    await begun;
    expect(overtaken).toBe(true);
    expect(await question).toBe(true);
    await store.disposeExecution(slow);
  });

  it.each([
    ["a pipeline", (store, id) => store.beginExecution(id)],
    ["a transaction", (store, id) => store.commitExecutionTaskResult(id, "task", 1)],
  ])("answers each call of %s as soon as its part of the answer is there", async (_, write) => {
    const [first, second] = [newId(), newId()];
    const store = openPlain();
    let release;
    rest.inject({ stall: new Promise((resolve) => (release = resolve)) });
    const question = store.isExecutionInProgress(first);
    let isWritten = false;
    const written = write(store, second).then(() => {
      isWritten = true;
    });
    expect(await question).toBe(false);
    await store.beginExecution(first);
    expect(rest.requests).toHaveLength(2);
    expect(isWritten).toBe(false);
    release();
    await written;
    await Promise.all([store.disposeExecution(first), store.disposeExecution(second)]);
  });

  it("sends again only what was not answered yet when the connection is lost in the middle of an answer", async () => {
    const [first, second] = [newId(), newId()];
    const store = openPlain();
    let cut;
    rest.inject({ stall: new Promise((_, reject) => (cut = reject)) });
    const question = store.isExecutionInProgress(first);
    const begun = store.beginExecution(second);
    expect(await question).toBe(false);
    cut(new Error("cut"));
    await begun;
    expect(sent().map(([, body]) => body)).toEqual([
      [
        ["GET", first],
        ["SET", second, "true", "GET"],
      ],
      ["SET", second, "true", "GET"],
    ]);
    await store.disposeExecution(second);
  });

  it("carries the sync token of the last answer, unless readYourWrites is false", async () => {
    const run = newId();
    const store = openPlain();
    await store.beginExecution(run);
    const token = rest.syncToken;
    await store.isExecutionInProgress(run);
    await store.disposeExecution(run);
    expect(rest.requests.map(({ headers }) => headers["upstash-sync-token"]).slice(0, 2)).toEqual([undefined, token]);
    rest.requests.length = 0;
    const without = openPlain({ readYourWrites: false });
    await without.isExecutionInProgress(run);
    await without.isExecutionInProgress(run);
    expect(rest.requests.map(({ headers }) => headers["upstash-sync-token"])).toEqual([undefined, undefined]);
  });

  it("carries no sync token that would make its requests too large", async () => {
    const store = openPlain();
    onTestFinished(() => {
      rest.syncTokenBytes = 0;
    });
    rest.syncTokenBytes = 14_000;
    for (let call = 0; call < 3; call += 1) await store.isExecutionInProgress(newId());
    expect(rest.requests.map(({ headers }) => headers["upstash-sync-token"])).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
  });

  it("goes over a connection that is kept", async () => {
    const store = openPlain();
    await store.isExecutionInProgress(newId());
    const before = rest.connections;
    for (let call = 0; call < 5; call += 1) await store.isExecutionInProgress(newId());
    expect(rest.connections).toBe(before);
  });

  it("is bounded: thousands of calls need few requests and few connections", async () => {
    const store = openPlain();
    const before = rest.connections;
    const ids = Array.from({ length: 5000 }, (_, index) => newId(index));
    const answers = await Promise.all(ids.map((id) => store.isExecutionInProgress(id)));
    expect(answers.every((answer) => answer === false)).toBe(true);
    expect(rest.requests.length).toBeLessThanOrEqual(20);
    expect(rest.connections - before).toBeLessThanOrEqual(17);
  });
});

describe("what passes is tried again inside the deadline:", () => {
  it.each([
    ["a connection that is cut before the commands are carried out", { cut: "before" }],
    ["an answer that is lost after the server acted", { cut: "after" }],
    ["a gateway's page", { status: 502, body: "<html>Bad Gateway</html>" }],
    ["a server that fails", { status: 500, error: "ERR internal" }],
    ["too many requests", { status: 429, error: "ERR max requests limit exceeded" }],
    ["a server that is loading", { status: 400, error: "LOADING Redis is loading the dataset in memory" }],
  ])("%s", async (_, fault) => {
    const run = newId();
    const store = open();
    rest.inject(fault, fault);
    await store.beginExecution(run);
    rest.inject(fault);
    await store.commitExecutionTaskResult(run, "task", "once");
    rest.inject(fault, fault);
    expect(await store.getExecutionTaskResults(run)).toEqual({ task: "once" });
    await store.disposeExecution(run);
    expect(await admin.exists(run, `${run}-results`, `${run}-transactions`)).toBe(0);
  });

  it("Retry-After is waited for, and no longer", async () => {
    const store = openPlain();
    rest.inject({ status: 429, error: "ERR max requests limit exceeded", headers: { "retry-after": "1" } });
    const began = performance.now();
    await store.isExecutionInProgress(newId());
    expect(performance.now() - began).toBeGreaterThanOrEqual(990);
    expect(rest.requests).toHaveLength(2);
  });

  it.each(["3600", String(2n ** 64n - 1n), "9".repeat(40), "-1", "Wed, 21 Oct 2099 07:28:00 GMT", "soon", ""])(
    'Retry-After "%s" silences a store for part of the time of a call at most',
    async (retryAfter) => {
      for (const status of [429, 503]) {
        const store = openPlain({ commandTimeout: 2000 + Math.ceil(Math.random() * 1000) });
        rest.inject({ status, error: "ERR try later", headers: { "retry-after": retryAfter } });
        const first = store.isExecutionInProgress(newId());
        await eventually(() => rest.requests.length > 0, { message: "the request that is refused" });
        expect(await Promise.all([first, store.isExecutionInProgress(newId())])).toEqual([false, false]);
        expect(await store.isExecutionInProgress(newId())).toBe(false);
        rest.requests.length = 0;
      }
    },
  );

  it("after a pause one call goes first, and the others when it was answered", async () => {
    const store = openPlain();
    rest.inject({ status: 503 }, { status: 503 });
    const ids = [newId(), newId(), newId()];
    expect(await Promise.all(ids.map((id) => store.isExecutionInProgress(id)))).toEqual([false, false, false]);
    expect(rest.requests.map(({ body }) => [body].flat(2).filter((word) => word === "GET").length)).toEqual([
      3, 1, 1, 2,
    ]);
  });

  it("an endpoint that is not there yet", async () => {
    const late = await startRestEndpoint({ redisUrl: url });
    const { port } = new URL(late.url);
    await late.stop();
    const store = createRedisStore({ url: late.url, token: late.token });
    releases.push(() => store.close());
    const question = store.isExecutionInProgress(newId());
    const again = await startRestEndpoint({ redisUrl: url, port: Number(port) });
    releases.push(() => again.stop());
    expect(await question).toBe(false);
  });

  it("a question that is not answered is asked again after half the time", async () => {
    const store = openPlain({ commandTimeout: 2001 });
    rest.inject({ delay: 10_000 });
    expect(await store.isExecutionInProgress(newId())).toBe(false);
    expect(rest.requests).toHaveLength(2);
  });

  it("a write that is not answered is waited for, and never sent a second time beside the first", async () => {
    const run = newId();
    const store = openPlain({ commandTimeout: 1502 });
    rest.inject({ delay: 1200 });
    await store.beginExecution(run);
    expect(rest.requests).toHaveLength(1);
    await store.disposeExecution(run);
  });
});

describe("what does not pass is reported", () => {
  const commit = (store, id = newId()) => store.commitExecutionTaskResult(id, "task", 1);

  it("with the server's code and the key, also inside a transaction", async () => {
    const id = newId();
    await admin.set(`${id}-transactions`, "not a hash");
    const store = openPlain();
    const about = { code: "ERR_REDIS_REPLY", reply: "WRONGTYPE", executionId: id, taskId: "task" };
    expect(await rejection(store.isExecutionTaskInProgress(id, "task"))).toMatchObject(about);
    const partly = await rejection(commit(store, id));
    expect(partly).toMatchObject(about);
    expect(partly.message).toContain("Other parts of the call have been applied.");
    expect(await store.getExecutionTaskResult(id, "task")).toBe(1);
  });

  it("to the call it is about: what else is in the request has its own answer", async () => {
    const [bad, good] = [newId(), newId()];
    await admin.set(`${bad}-transactions`, "not a hash");
    const store = openPlain();
    const outcomes = await Promise.allSettled([commit(store, good), commit(store, bad), store.beginExecution(good)]);
    expect(outcomes.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
    expect(rest.requests).toHaveLength(1);
    await store.disposeExecution(good);
  });

  it("a request that is refused as a whole is sent again call by call, so that no call fails because of another", async () => {
    const ids = [newId(), newId(), newId()];
    const store = open();
    const refusal = { status: 400, error: "EXECABORT Transaction discarded because of previous errors." };
    rest.inject(refusal, {}, { status: 400, error: "ERR this one is at fault" });
    const outcomes = await Promise.allSettled(ids.map((id) => commit(store, id)));
    expect(outcomes.map(({ status }) => status).sort()).toEqual(["fulfilled", "fulfilled", "rejected"]);
    const failed = outcomes.find(({ status }) => status === "rejected").reason;
    expect(failed).toMatchObject({ code: "ERR_REDIS_REPLY", reply: "ERR" });
    expect(failed.message).toContain("this one is at fault");
    expect(rest.requests).toHaveLength(4);
  });

  it("a token that is refused, at once and without showing it", async () => {
    const began = performance.now();
    const error = await rejection(open({ token: "hunter2" }).beginExecution(newId()));
    expect(error).toMatchObject({ code: "ERR_REDIS_REPLY" });
    expect(error.message).toContain("refused the token (Unauthorized)");
    expect(`${error.message} ${error.cause}`).not.toContain("hunter2");
    expect(performance.now() - began).toBeLessThan(5000);
    rest.inject({ status: 401, error: "WRONGPASS invalid or missing auth token" });
    expect(await rejection(open().beginExecution(newId()))).toMatchObject({ reply: "WRONGPASS" });
    rest.inject({ status: 403, error: "NOPERM this user has no permissions to run the 'set' command" });
    expect(await rejection(openPlain().beginExecution(newId()))).toMatchObject({ reply: "NOPERM" });
  });

  it("SET … GET that is unknown to a server, and what was asked next is done again behind it", async () => {
    const store = openPlain();
    const id = newId();
    rest.inject({ status: 200, body: '[{"error":"ERR syntax error"},{"result":0}]' });
    await Promise.all([store.beginExecution(id), store.disposeExecution(id)]);
    expect(await store.isExecutionInProgress(id)).toBe(false);
  });

  it.each([
    ["an answer that is no JSON", { status: 200, body: "<html>" }],
    ["an empty answer", { status: 200, body: "" }],
    ["an answer without a result", { status: 200, body: "{}" }],
    ["a string that is not in the encoding asked for", { status: 200, body: '{"result":"no base64"}' }],
    ["a page of somebody else", { status: 404, body: "<html>Not Found</html>" }],
    ["a redirection", { status: 302, headers: { location: "https://example.com" }, body: "" }],
  ])("%s, never taken for nothing", async (_, fault) => {
    const store = openPlain();
    for (const ask of [
      () => store.isExecutionInProgress(newId()),
      () => store.getExecutionTaskResult(newId(), "task"),
      () => store.getExecutionTaskResults(newId()),
      () => store.beginExecution(newId()),
      () => commit(store),
    ]) {
      rest.inject(fault);
      expect(await rejection(ask())).toMatchObject({ code: "ERR_REDIS_CONNECTION" });
    }
    expect(rest.requests).toHaveLength(5);
  });

  it.each([
    ["fewer answers than commands", '[{"result":1}]'],
    ["more", '[{"result":1},{"result":1},{"result":1}]'],
    ["one answer for all", '{"result":1}'],
    ["no answers", "[]"],
  ])("a transaction that was not answered in whole: %s", async (_, body) => {
    rest.inject({ status: 200, body });
    const error = await rejection(commit(openPlain()));
    expect(error).toMatchObject({ code: "ERR_REDIS_CONNECTION" });
    expect(error.message).toContain("may have been applied");
  });

  it("a request that is too large for the server", async () => {
    const store = openPlain();
    rest.inject({ status: 413, error: "ERR max request size exceeded. Limit: 1048576 bytes" });
    const error = await rejection(store.commitExecutionTaskResult(newId(), "task", "x".repeat(2_000_000)));
    expect(error).toMatchObject({ code: "ERR_REDIS_REPLY", reply: "ERR" });
    expect(error.message).toContain("max request size exceeded");
  });

  it("an answer that is too large to be read, to the call it answers", async () => {
    const store = openPlain();
    const large = { status: 200, body: JSON.stringify([{ result: "A".repeat(65 * 1024 * 1024) }, { result: null }]) };
    rest.inject(large, { status: 200, body: JSON.stringify({ result: "A".repeat(65 * 1024 * 1024) }) });
    const [first, second] = await Promise.allSettled([
      store.getExecutionTaskResult(newId(), "task"),
      store.getExecutionTaskResult(newId(), "task"),
    ]);
    expect([first.status, second.status].sort()).toEqual(["fulfilled", "rejected"]);
    const { reason } = first.status === "rejected" ? first : second;
    expect(reason).toMatchObject({ code: "ERR_REDIS_REPLY" });
    expect(reason.message).toContain("larger than 64 MiB");
  });

  it("results that are too large together, asked for again in few requests", async () => {
    const store = openPlain();
    const ids = Array.from({ length: 40 }, () => newId());
    for (const id of ids) await admin.hset(`${id}-results`, "task", '"small"');
    // 31 of them are in the 64 MiB that are read.
    const large = { result: Buffer.from(JSON.stringify("x".repeat(1.5 * 1024 * 1024))).toString("base64") };
    rest.inject({ status: 200, body: JSON.stringify(ids.map(() => large)) });
    rest.requests.length = 0;
    const results = await Promise.all(ids.map((id) => store.getExecutionTaskResult(id, "task")));
    expect(results.filter((result) => result === "small")).toHaveLength(9);
    expect(rest.requests.map(({ path, body }) => (path === "/" ? 1 : body.length))).toEqual([40, 1, 8]);
  });

  it("the deadline, saying whether a write may have happened", async () => {
    rest.inject({ delay: 2000 });
    const error = await rejection(commit(openPlain({ commandTimeout: 203 })));
    expect(error).toMatchObject({ code: "ERR_REDIS_TIMEOUT" });
    expect(error.message).toContain("may have been applied");
    const busy = { status: 429, error: "ERR max requests limit exceeded", headers: { "retry-after": "60" } };
    rest.inject(...Array(50).fill(busy));
    const limited = await rejection(commit(openPlain({ commandTimeout: 204 })));
    rest.clearFaults();
    expect(limited).toMatchObject({ code: "ERR_REDIS_REPLY" });
    expect(limited.message).toContain("max requests limit exceeded");
    expect(limited.message).toContain("was not applied");
  });

  it("a refusal, saying whether an earlier attempt may have been carried out", async () => {
    const oom = { status: 400, error: "OOM command not allowed when used memory > 'maxmemory'." };
    rest.inject(oom);
    const refused = await rejection(commit(openPlain()));
    expect(refused).toMatchObject({ code: "ERR_REDIS_REPLY", reply: "OOM" });
    expect(refused.message).not.toContain("applied");
    rest.inject({ cut: "after" }, oom);
    const repeated = await rejection(commit(openPlain()));
    expect(repeated).toMatchObject({ code: "ERR_REDIS_REPLY", reply: "OOM" });
    expect(repeated.message).toContain("sent before without an answer, so it may have been applied");
  });

  it("an endpoint that is not there, by the deadline", async () => {
    const store = createRedisStore({ url: "http://127.0.0.1:1", token: "token" }, { commandTimeout: 300 });
    releases.push(() => store.close());
    const error = await rejection(store.beginExecution(newId()));
    expect(error).toMatchObject({ code: "ERR_REDIS_CONNECTION" });
    expect(error.message).toContain("ECONNREFUSED 127.0.0.1:1");
  });
});

describe("a store that is closed", () => {
  it("lets what was called in the same turn finish first", async () => {
    const id = newId();
    const store = openPlain();
    const begun = store.beginExecution(id);
    const closed = store.close();
    await expect(begun).resolves.toBeUndefined();
    await closed;
    expect(await admin.get(id)).toBe("true");
    expect(await rejection(store.beginExecution(id))).toMatchObject({ code: "ERR_REDIS_CLOSED" });
  });
});
