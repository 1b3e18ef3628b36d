// Calls are published on the tracing channel idioteque-redis:call, for every kind of store, and cost nothing while nobody looks.
import { AsyncLocalStorage } from "node:async_hooks";
import { channel, tracingChannel } from "node:diagnostics_channel";
import { Redis } from "ioredis";
import { afterEach, describe, expect, it } from "vitest";
import { createRedisStore } from "../../index.js";
import { startMasters } from "../../tooling/servers/cluster.mjs";
import { runScript } from "../support/child.mjs";
import { eventually, privateRedis, sharedRedis } from "../support/redis.mjs";

const { url, newId } = sharedRedis();
const { hostname, port } = new URL(url);
const calls = tracingChannel("idioteque-redis:call");

const releases = [];
afterEach(async () => {
  for (const release of releases.splice(0).reverse()) await release();
});

function openStore(redis = url, options) {
  const store = createRedisStore(redis, options);
  releases.push(() => store.close());
  return store;
}

function subscribe(handlers) {
  calls.subscribe(handlers);
  releases.push(() => calls.unsubscribe(handlers));
}

/** All that is published from now on: the names of the channels with copies of the contexts. */
function record() {
  const published = [];
  const handler = (name) => (context) => published.push([name, { ...context }]);
  subscribe(
    Object.fromEntries(["start", "end", "asyncStart", "asyncEnd", "error"].map((name) => [name, handler(name)])),
  );
  return published;
}

describe("a traced call", () => {
  it("is published with where it goes, and what became of it", async () => {
    const store = openStore();
    const id = newId();
    const published = record();
    const call = store.commitExecutionTaskResult(id, "task", { secret: "value" });
    expect(published.map(([name]) => name)).toEqual(["start", "end"]);
    const begun = {
      call: "commitExecutionTaskResult",
      command: "MULTI",
      commands: 2,
      executionId: id,
      taskId: "task",
      backend: "redis",
      serverAddress: hostname,
      serverPort: Number(port),
      database: 0,
      clientName: undefined,
    };
    expect(published[0][1]).toEqual(begun);
    await call;
    expect(published.map(([name]) => name)).toEqual(["start", "end", "asyncStart", "asyncEnd"]);
    const over = published.at(-1)[1];
    expect(over).toEqual({
      ...begun,
      fromReadAhead: false,
      attempts: 1,
      queuedMs: expect.any(Number),
      peerAddress: "127.0.0.1",
      peerPort: Number(port),
    });
    expect(over.queuedMs).toBeGreaterThanOrEqual(0);
    expect(JSON.stringify(published)).not.toContain("value");
  });

  it("is published with the error, which the caller gets", async () => {
    const store = openStore();
    const published = record();
    const wrong = await store.beginExecution("").catch((error) => error);
    expect(published.map(([name]) => name)).toEqual(["start", "end", "error", "asyncStart", "asyncEnd"]);
    expect(published.at(-1)[1].error).toBe(wrong);
    const id = newId();
    await store.beginExecution(id);
    const refused = await store.beginExecutionTask(id, "task").catch(() => {});
    expect(refused).toBeUndefined();
  });

  it("says that read-ahead had the answer", async () => {
    const store = openStore();
    const published = record();
    const id = newId();
    for (let turn = 0; turn < 20; turn += 1) {
      await store.isExecutionTaskInProgress(id, "task");
      await store.getExecutionTaskResult(id, "task");
    }
    const ended = published.filter(([name]) => name === "asyncEnd").map(([, context]) => context);
    const answered = ended.filter(({ fromReadAhead }) => fromReadAhead);
    expect(answered.length).toBe(store.stats().readAheadHits);
    expect(answered.length).toBeGreaterThan(0);
    expect(answered[0]).toMatchObject({ attempts: 0, peerAddress: undefined, queuedMs: undefined });
  });

  it("says how often it was sent", async () => {
    const server = await privateRedis();
    const admin = new Redis(server.url);
    const store = openStore(server.url, { commandTimeout: 60_000 });
    const published = record();
    try {
      await admin.config("SET", "min-replicas-to-write", "1");
      const call = store.beginExecution("again");
      await eventually(() => store.stats().retries > 1, { message: "its being sent again" });
      await admin.config("SET", "min-replicas-to-write", "0");
      await call;
    } finally {
      admin.disconnect();
    }
    expect(published.at(-1)[1].attempts).toBe(store.stats().retries + 1);
  });

  it("keeps what is current for who subscribes to the start, until it is over, and the caller's own", async () => {
    const store = openStore();
    const spans = new AsyncLocalStorage();
    const own = new AsyncLocalStorage();
    const start = channel("tracing:idioteque-redis:call:start");
    start.bindStore(spans, ({ call }) => call);
    const current = [];
    const note = (name) => () => current.push([name, spans.getStore(), own.getStore()]);
    const names = ["end", "asyncStart", "asyncEnd"];
    const handlers = Object.fromEntries(names.map((name) => [name, note(name)]));
    calls.subscribe(handlers);
    try {
      await own.run("request 7", async () => {
        await store.commitExecutionTaskResult(newId(), "task", { toJSON: note("toJSON") });
        note("caller")();
      });
    } finally {
      start.unbindStore(spans);
      calls.unsubscribe(handlers);
    }
    const within = ["commitExecutionTaskResult", "request 7"];
    expect(current).toEqual([
      ...["toJSON", ...names].map((name) => [name, ...within]),
      ["caller", undefined, "request 7"],
    ]);
  });

  it("is seen whoever subscribes when: only to the end, and after the functions were taken from the store", async () => {
    const { beginExecution } = openStore();
    await beginExecution(newId());
    const ended = [];
    const handlers = { asyncEnd: ({ call }) => ended.push(call) };
    subscribe(handlers);
    await beginExecution(newId());
    expect(ended).toEqual(["beginExecution"]);
    calls.unsubscribe(handlers);
    await beginExecution(newId());
    expect(ended).toHaveLength(1);
  });

  it("is made within toJSON like any other", async () => {
    const store = openStore();
    const published = record();
    const id = newId();
    let inner;
    const value = {
      toJSON() {
        inner = store.beginExecution(id);
        return 1;
      },
    };
    await store.commitExecutionTaskResult(id, "task", value);
    await inner;
    const ended = published.filter(([name]) => name === "asyncEnd").map(([, context]) => context);
    expect(ended.map(({ call }) => call).sort()).toEqual(["beginExecution", "commitExecutionTaskResult"]);
    expect(ended.map(({ attempts, peerPort }) => [attempts, peerPort])).toEqual([
      [1, Number(port)],
      [1, Number(port)],
    ]);
  });

  it("that comes second to a claim did not fail, though its caller is told so", async () => {
    const store = openStore(url, { claim: () => new Error("second") });
    const id = newId();
    await store.beginExecution(id);
    await store.beginExecutionTask(id, "task");
    const published = record();
    await expect(store.beginExecutionTask(id, "task")).rejects.toThrow("second");
    expect(published.map(([name]) => name)).toEqual(["start", "end", "asyncStart", "asyncEnd"]);
    expect(published.at(-1)[1]).toMatchObject({ command: "EVAL", commands: 1, attempts: 1 });
    expect(store.stats()).toMatchObject({ calls: 3, errors: 0, pending: 0 });
    expect(store.beginExecutionTask.name).toBe("beginExecutionTask");
  });

  it("does not change what the caller gets", async () => {
    const store = openStore();
    const id = newId();
    await store.commitExecutionTaskResult(id, "task", { n: 1 });
    record();
    expect(await store.getExecutionTaskResult(id, "task")).toEqual({ n: 1 });
    const error = await store.commitExecutionTaskResult(id, "task", 1n).catch((reason) => reason);
    expect(error.code).toBe("ERR_REDIS_SERIALIZE");
  });

  it("has the database that a live client has selected by then", async () => {
    const client = new Redis(url);
    releases.push(() => client.disconnect());
    const store = openStore(client);
    const published = record();
    for (const database of [0, 3, 3, 0]) {
      if (client.condition?.select !== database) await client.select(database);
      await store.beginExecution(newId());
    }
    const begun = published.filter(([name]) => name === "start").map(([, context]) => context);
    expect(begun.map(({ database }) => database)).toEqual([0, 3, 3, 0]);
    expect(new Set(begun.map(({ serverPort }) => serverPort))).toEqual(new Set([Number(port)]));
  });

  it("over a client's own methods has no more than is known there", async () => {
    const client = new Redis(url);
    releases.push(() => client.disconnect());
    const store = openStore(client, { connection: "client" });
    const published = record();
    await store.beginExecution(newId());
    expect(published.at(-1)[1]).toMatchObject({
      call: "beginExecution",
      backend: "client",
      serverAddress: hostname,
      serverPort: Number(port),
      database: 0,
    });
    expect(published.at(-1)[1].attempts).toBeUndefined();
  });

  it("in a cluster says who answered, if it was one", async () => {
    const cluster = await startMasters({ replicas: 0 });
    releases.push(() => cluster.stop());
    const store = openStore(cluster.startup);
    const published = record();
    await store.beginExecution("clustered");
    const ports = cluster.startup.map((node) => node.port);
    expect(ports).toContain(published.at(-1)[1].peerPort);
    expect(published.at(-1)[1]).toMatchObject({ attempts: 1, queuedMs: expect.any(Number) });
  });
});

describe("the first calls of a process", () => {
  it("are published where they are made, also if Node.js loads its channels only then", async () => {
    for (const early of [true, false]) {
      const source = `
        import { AsyncLocalStorage } from "node:async_hooks";
        const own = new AsyncLocalStorage();
        const spans = new AsyncLocalStorage();
        const published = [];
        function subscribe({ tracingChannel, channel }) {
          const note = (name) => ({ executionId }) => published.push([name, executionId, own.getStore(), spans.getStore()]);
          const names = ["start", "end", "asyncEnd"];
          channel("tracing:idioteque-redis:call:start").bindStore(spans, ({ executionId }) => "span of " + executionId);
          tracingChannel("idioteque-redis:call").subscribe(Object.fromEntries(names.map((name) => [name, note(name)])));
        }
        if (args.early) subscribe(process.getBuiltinModule?.("diagnostics_channel") ?? (await import("node:diagnostics_channel")));
        const store = createRedisStore(args.url);
        let unseen;
        if (!args.early) {
          unseen = store.isExecutionInProgress("unseen");
          subscribe(require("node:diagnostics_channel"));
        }
        const calls = ["one", "two"].map((id) => {
          const call = own.run("request " + id, () => store.isExecutionInProgress(id));
          published.push(["returned", id]);
          return call;
        });
        await Promise.all([...calls, unseen]);
        await store.close();
        console.log(JSON.stringify(published));`;
      const { lines, errors } = await runScript(
        `import { createRequire } from "node:module";
        const require = createRequire(import.meta.url);${source}`,
        { args: { url, early } },
      );
      expect(errors).toBe("");
      const published = JSON.parse(lines[0]);
      const of = (id) => [id, `request ${id}`, `span of ${id}`];
      expect(published.slice(0, 6)).toEqual(
        ["one", "two"].flatMap((id) => [
          ["start", ...of(id)],
          ["end", ...of(id)],
          ["returned", id],
        ]),
      );
      expect(published.slice(6)).toEqual(["one", "two"].map((id) => ["asyncEnd", ...of(id)]));
    }
  });

  it("are traced like any other, whether or not anybody waits for them", async () => {
    const source = `
      import { tracingChannel } from "node:diagnostics_channel";
      const published = [];
      const note = (name) => ({ executionId, attempts, error }) => published.push([name, executionId, attempts, error?.code]);
      const names = ["start", "end", "asyncEnd", "error"];
      tracingChannel("idioteque-redis:call").subscribe(Object.fromEntries(names.map((name) => [name, note(name)])));
      const store = createRedisStore(args.url);
      const ids = Array.from({ length: 40 }, (_, index) => args.id + index);
      const outcomes = await Promise.allSettled([...ids.map((id) => store.isExecutionInProgress(id)), store.beginExecution("")]);
      await store.beginExecution(args.id);
      await store.close();
      console.log(JSON.stringify({ published, outcomes: outcomes.map(({ status }) => status) }));`;
    const { code, lines, errors } = await runScript(source, { args: { url, id: newId() } });
    expect({ code, errors }).toEqual({ code: 0, errors: "" });
    const { published, outcomes } = JSON.parse(lines[0]);
    expect(outcomes.filter((status) => status === "rejected")).toHaveLength(1);
    for (const name of ["start", "end", "asyncEnd"]) {
      const ids = published.filter(([of]) => of === name).map(([, id]) => id);
      expect({ name, count: new Set(ids).size, times: ids.length }).toEqual({ name, count: 42, times: 42 });
    }
    const attempts = published.filter(([name]) => name === "asyncEnd").map(([, , attempts]) => attempts);
    expect(attempts.filter((count) => count === 1)).toHaveLength(41);
    expect(published.filter(([name]) => name === "error")).toEqual([["error", "", 0, "ERR_INVALID_ARG_VALUE"]]);
  });

  it("over a client's own methods have below them what the client publishes", async () => {
    const source = `
      import { AsyncLocalStorage } from "node:async_hooks";
      import { tracingChannel } from "node:diagnostics_channel";
      const span = new AsyncLocalStorage();
      tracingChannel("idioteque-redis:call").start.bindStore(span, ({ executionId }) => executionId);
      const seen = [];
      const client = { set: async () => seen.push(span.getStore()) };
      for (const name of ["get", "hset", "hget", "hdel", "hgetall", "del", "expire"]) client[name] = async () => null;
      const store = createRedisStore(client);
      await Promise.all([store.beginExecution("first"), store.beginExecution("second")]);
      console.log(JSON.stringify(seen));`;
    expect(await runScript(source)).toMatchObject({ code: 0, errors: "", lines: ['["first","second"]'] });
  });

  it("leave it to Node.js to notice an error that nobody handles, traced or not", async () => {
    for (const subscribed of [true, false]) {
      const source = `
        import { channel } from "node:diagnostics_channel";
        const unhandled = [];
        process.on("unhandledRejection", ({ code }) => unhandled.push(code));
        if (args.subscribed) channel("tracing:idioteque-redis:call:start").subscribe(() => {});
        const store = createRedisStore(args.url);
        store.beginExecution("");
        await store.beginExecution(args.id);
        for (let call = 0; call < 20; call += 1) await store.isExecutionInProgress(args.id + call);
        store.beginExecution("");
        await new Promise((resolve) => setImmediate(resolve));
        await store.close();
        console.log(JSON.stringify(unhandled));`;
      const { code, lines } = await runScript(source, { args: { url, id: newId(), subscribed } });
      expect({ code, lines }).toEqual({ code: 0, lines: ['["ERR_INVALID_ARG_VALUE","ERR_INVALID_ARG_VALUE"]'] });
    }
  });
});
