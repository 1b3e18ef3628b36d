// Spans of OpenTelemetry: one for each store call that went to Redis, under the caller's, by the semantic conventions, and
// without ids or values unless they are asked for.
import * as api from "@opentelemetry/api";
import { core, tracing } from "@opentelemetry/sdk-node";
import { describe, expect, it } from "vitest";
import { register } from "../../lib/otel.js";
import { startRestEndpoint } from "../../tooling/servers/rest-endpoint.mjs";
import { createMapClient } from "../support/map-client.mjs";
import { recordCommands } from "../support/monitor.mjs";
import { privateRedis, sharedRedis } from "../support/redis.mjs";
import { startTelemetry, undoAfterTest } from "../support/telemetry.mjs";
import { rejectionOf, temporaryClient, temporaryStore } from "../support/temporary.mjs";
import { unhurried } from "../support/unhurried.mjs";

const { url, admin, newId } = sharedRedis();
const { hostname, port } = new URL(url);
const { SpanKind, SpanStatusCode } = api;
const CLOSED_PORT = "redis://127.0.0.1:1";
/** What calls consist of: not the brackets of a transaction, what a script does, and what a connection asks. */
const OF_CALLS = /^(SET|GET|H[A-Z]+|UNLINK|DEL|P?EXPIRE|PERSIST|EVAL)$/;

/** Starts the SDK and registers with it. */
function record(options) {
  const telemetry = startTelemetry();
  undoAfterTest(register(options));
  return telemetry;
}

/** All that a span is exported with. */
function exported(spans) {
  return JSON.stringify(
    spans.map(({ name, attributes, status, events, links }) => [name, attributes, status, events, links]),
  );
}

describe("a span", () => {
  it("is a client's, under the caller's, with where the call went and who answered", async () => {
    const { spans, inSpan } = record();
    const store = temporaryStore(url);
    const { spanId } = await inSpan("caller", () => store.getExecutionTaskResults(newId()));
    const [span, ...more] = spans();
    expect(more).toEqual([]);
    expect(span.name).toBe("HGETALL");
    expect(span.kind).toBe(SpanKind.CLIENT);
    expect(span.parentSpanContext.spanId).toBe(spanId);
    expect(span.status).toEqual({ code: SpanStatusCode.UNSET });
    expect(span.attributes).toEqual({
      "db.system.name": "redis",
      "db.namespace": "0",
      "db.operation.name": "HGETALL",
      "server.address": hostname,
      "server.port": Number(port),
      "network.peer.address": "127.0.0.1",
      "network.peer.port": Number(port),
      "idioteque.redis.call": "getExecutionTaskResults",
      "idioteque.redis.queued_ms": expect.any(Number),
    });
  });

  it.each([
    ["beginExecution", [], "SET"],
    ["isExecutionInProgress", [], "GET"],
    ["beginExecutionTask", ["task"], "HSET"],
    ["isExecutionTaskInProgress", ["task"], "HGET"],
    ["commitExecutionTaskResult", ["task", 1], "MULTI"],
    ["getExecutionTaskResult", ["task"], "HGET"],
    ["getExecutionTaskResults", [], "HGETALL"],
    ["disposeExecution", [], "UNLINK"],
  ])("of %s is named after its command", async (call, args, command) => {
    const { spans } = record();
    const store = temporaryStore(url, { readAhead: false });
    await store[call](newId(), ...args);
    expect(spans().map(({ name }) => name)).toEqual([command]);
    expect(spans()[0].attributes).toMatchObject({ "db.operation.name": command, "idioteque.redis.call": call });
  });

  it("of several commands is named after what they are sent in", async () => {
    const { spans } = record();
    const ioredis = temporaryClient({ url });
    const stores = [
      temporaryStore(url, { ttl: 60_000 }),
      temporaryStore(ioredis, { connection: "client" }),
      temporaryStore(ioredis, { connection: "client", ttl: 60_000 }),
    ];
    for (const store of stores) {
      const id = newId();
      await store.beginExecutionTask(id, "task");
      await store.commitExecutionTaskResult(id, "task", 1);
      await store.disposeExecution(id);
    }
    expect(spans().map(({ name, attributes }) => [name, attributes["db.operation.batch.size"]])).toEqual(
      [
        ...[["MULTI", 2], ["MULTI", 3], ["UNLINK"]],
        ...[["HSET"], ["PIPELINE", 2], ["PIPELINE DEL", 3]],
        ...[
          ["PIPELINE", 2],
          ["PIPELINE", 3],
          ["PIPELINE DEL", 3],
        ],
      ].map(([name, size]) => [name, size]),
    );
    for (const { name, attributes } of spans()) expect(attributes["db.operation.name"]).toBe(name);
  });

  it.each([
    [{}, true],
    [{ ttl: 60_000, slidingTtl: true }, true],
    [{ ttl: 60_000, orphanTtl: 1_000 }, true],
    [{ ttl: 60_000 }, false],
  ])("has as many commands as were sent, with %j", async (options, isNative) => {
    const { spans } = record();
    const server = await privateRedis();
    const client = temporaryClient(server);
    const commands = await recordCommands(client);
    undoAfterTest(commands.stop);
    const redis = isNative ? server.url : client;
    const store = temporaryStore(redis, { ...options, readAhead: false, connection: isNative ? "native" : "client" });
    await store.beginExecution("warm");
    for (const [call, ...args] of [
      ["beginExecution"],
      ["beginExecutionTask", "task"],
      ["commitExecutionTaskResult", "task", 1],
      ["touch"],
      ["touch", "task"],
      ["disposeExecution"],
    ]) {
      await commands.take();
      await store[call]("run", ...args);
      const sent = (await commands.take()).map(([name]) => name).filter((name) => OF_CALLS.test(name));
      const { name, attributes } = spans().at(-1);
      const said = { call, name: name.split(" ").at(-1), size: attributes["db.operation.batch.size"] };
      const one = new Set(sent).size === 1 ? sent[0] : isNative ? "MULTI" : "PIPELINE";
      expect(said).toEqual({ call, name: one, size: sent.length > 1 ? sent.length : undefined });
    }
  });

  it("of a store on several servers has them all, and their port if that is one", async () => {
    const { spans } = record();
    const clusters = [
      [
        ["b.invalid:7000", "a.invalid:7000", "b.invalid:7000"],
        { "server.address": "a.invalid,b.invalid", "server.port": 7000 },
      ],
      [["b.invalid:7001", "a.invalid:7000"], { "server.address": "a.invalid:7000,b.invalid:7001" }],
      [["b.invalid:6379", "a.invalid:6379"], { "server.address": "a.invalid,b.invalid" }],
      [["[::1]:1", "127.0.0.1:2"], { "server.address": "127.0.0.1:2,[::1]:1" }],
    ];
    for (const [nodes, expected] of clusters) {
      const rootNodes = nodes.map((node) => ({ url: `redis://${node}` }));
      const store = temporaryStore({ rootNodes }, { commandTimeout: 50 });
      await rejectionOf(store.beginExecution(newId()));
      const { attributes } = spans().at(-1);
      const server = Object.entries(attributes).filter(([name]) => name.startsWith("server."));
      expect(Object.fromEntries(server)).toEqual(expected);
    }
  });

  it("does not name the port that is usual", async () => {
    const { spans } = record();
    const store = temporaryStore("redis://a.invalid", { commandTimeout: 50 });
    await rejectionOf(store.beginExecution(newId()));
    expect(spans()[0].attributes).toMatchObject({ "server.address": "a.invalid" });
    expect(spans()[0].attributes).not.toHaveProperty(["server.port"]);
  });

  it("lasts from the call to its answer", async () => {
    const { spans } = record();
    const store = temporaryStore(url);
    const before = Date.now();
    await store.beginExecution(newId());
    const after = Date.now();
    const [{ startTime, endTime, duration, ended }] = spans();
    expect(ended).toBe(true);
    expect(core.hrTimeToMilliseconds(startTime)).toBeGreaterThanOrEqual(before);
    // The clock that says when it began has milliseconds.
    expect(core.hrTimeToMilliseconds(endTime)).toBeLessThanOrEqual(after + 1);
    expect(core.hrTimeToMilliseconds(duration)).toBeGreaterThan(0);
  });

  it("has the parent that was current when the call was made, whatever else is under way", async () => {
    const { spans, inSpan } = record();
    const store = temporaryStore(url, { readAhead: false });
    const parents = await Promise.all(
      Array.from({ length: 10 }, (_, index) =>
        inSpan(`caller ${index}`, async () => {
          await store.isExecutionInProgress(newId());
          await store.getExecutionTaskResults(newId());
        }),
      ),
    );
    const seen = spans().map(({ parentSpanContext, name }) => `${parentSpanContext.spanId} ${name}`);
    const expected = parents.flatMap(({ spanId }) => [`${spanId} GET`, `${spanId} HGETALL`]);
    expect(seen.sort()).toEqual(expected.sort());
  });

  it("has no parent outside of any, and is not there then if it needs one", async () => {
    const { spans } = record();
    const store = temporaryStore(url, { readAhead: false });
    await store.isExecutionInProgress(newId());
    expect(spans().map(({ parentSpanContext }) => parentSpanContext)).toEqual([undefined]);
    const unregister = register({ requireParentSpan: true });
    await store.isExecutionInProgress(newId());
    unregister();
    expect(spans()).toHaveLength(1);
  });

  it("is not made of an answer that read-ahead had", async () => {
    const { spans } = record();
    await unhurried(async () => {
      const before = spans().length;
      const store = temporaryStore(url);
      const id = newId();
      let calls = 0;
      for (; store.stats().readAheadHits === 0; calls += 1) {
        await store.isExecutionTaskInProgress(id, "task");
        await store.getExecutionTaskResult(id, "task");
        expect(calls).toBeLessThan(20);
      }
      expect(spans().slice(before)).toHaveLength(2 * calls - 1);
    });
  });

  it("is not made where tracing is suppressed", async () => {
    const { spans } = record();
    const store = temporaryStore(url);
    await api.context.with(core.suppressTracing(api.context.active()), () => store.beginExecution(newId()));
    expect(spans()).toEqual([]);
  });

  it("goes to the provider that was given", async () => {
    const { spans } = startTelemetry();
    const exporter = new tracing.InMemorySpanExporter();
    const spanProcessors = [new tracing.SimpleSpanProcessor(exporter)];
    undoAfterTest(register({ tracerProvider: new tracing.BasicTracerProvider({ spanProcessors }) }));
    await temporaryStore(url).beginExecution(newId());
    expect(spans()).toEqual([]);
    expect(exporter.getFinishedSpans().map(({ name }) => name)).toEqual(["SET"]);
  });

  it("of a store over a client's own methods says as much as that client does", async () => {
    const { spans } = record();
    const store = temporaryStore(createMapClient());
    await store.beginExecution(newId());
    expect(spans()[0].attributes).toEqual({
      "db.system.name": "redis",
      "db.operation.name": "SET",
      "idioteque.redis.call": "beginExecution",
    });
    const ioredis = temporaryClient({ url });
    await temporaryStore(ioredis, { connection: "client" }).beginExecution(newId());
    expect(spans()[1].attributes).toMatchObject({ "server.address": hostname, "server.port": Number(port) });
  });
});

describe("over HTTP", () => {
  it("a span says as much, also of what the service refused", async () => {
    const { spans, collect } = record();
    const rest = await startRestEndpoint({ redisUrl: url });
    undoAfterTest(() => rest.stop());
    const { hostname: host, port: restPort } = new URL(rest.url);
    await temporaryStore({ url: rest.url, token: rest.token }).commitExecutionTaskResult(newId(), "task", 1);
    await rejectionOf(
      temporaryStore({ url: rest.url, token: "wrong" }, { commandTimeout: 500 }).beginExecution(newId()),
    );
    const [done, refused] = spans();
    expect(done.name).toBe("MULTI");
    const address = { "server.address": host, "server.port": Number(restPort) };
    expect(done.attributes).toMatchObject({ ...address, "network.peer.address": "127.0.0.1" });
    expect(refused.attributes).toMatchObject({ ...address, "error.type": expect.stringMatching(/^[A-Z_]+$/) });
    expect(exported(spans())).not.toContain("wrong");
    expect((await collect()).get("db.client.connection.count").dataPoints.length).toBeGreaterThan(0);
  });
});

describe("the span of a call that failed", () => {
  it("has the server's own code", async () => {
    const { spans } = record();
    const store = temporaryStore(url);
    const id = newId();
    await admin.set(`${id}-results`, "no hash");
    await rejectionOf(store.getExecutionTaskResults(id));
    const [{ status, attributes }] = spans();
    expect(status).toEqual({ code: SpanStatusCode.ERROR });
    expect(attributes).toMatchObject({ "error.type": "WRONGTYPE", "db.response.status_code": "WRONGTYPE" });
  });

  it("has ours, and what it says, where no server answered", async () => {
    const { spans } = record();
    const store = temporaryStore(CLOSED_PORT, { commandTimeout: 200 });
    const error = await rejectionOf(store.beginExecution(newId()));
    const [{ status, attributes }] = spans();
    expect(status).toEqual({ code: SpanStatusCode.ERROR, message: error.message });
    expect(attributes["error.type"]).toBe("ERR_REDIS_CONNECTION");
    expect(attributes).not.toHaveProperty(["db.response.status_code"]);
    expect(attributes).not.toHaveProperty(["network.peer.address"]);
    expect(attributes["server.port"]).toBe(1);
  });

  it("has the code of a deadline", async () => {
    const { spans } = record();
    const server = await privateRedis();
    const store = temporaryStore(server.url, { commandTimeout: 200 });
    await store.beginExecution("first");
    server.pause();
    await rejectionOf(store.beginExecution("second"));
    server.resume();
    expect(spans().map(({ attributes }) => attributes["error.type"])).toEqual([undefined, "ERR_REDIS_TIMEOUT"]);
  });

  it("has the code of a store that is closed", async () => {
    const { spans } = record();
    const store = temporaryStore(url);
    await store.close();
    const error = await rejectionOf(store.beginExecution(newId()));
    expect(spans()[0].status.message).toBe(error.message);
    expect(spans()[0].attributes["error.type"]).toBe("ERR_REDIS_CLOSED");
  });

  it("is not made where the caller's arguments were refused", async () => {
    const { spans } = record();
    for (const redis of [url, createMapClient()]) {
      const store = temporaryStore(redis);
      await rejectionOf(store.beginExecution(5));
      await rejectionOf(store.beginExecution(""));
      await rejectionOf(store.commitExecutionTaskResult(newId(), "task", 1n));
    }
    expect(spans()).toEqual([]);
  });
});

describe("ids and values", () => {
  /** Calls of all kinds, some of which fail with messages that have ids and values in them. */
  async function callAll(store, id, task) {
    await store.beginExecution(id);
    await store.beginExecutionTask(id, task);
    await store.commitExecutionTaskResult(id, task, "a-secret-value");
    await store.getExecutionTaskResults(id);
    await admin.hset(`${id}-results`, task, "a-secret-value");
    await rejectionOf(store.getExecutionTaskResult(id, task));
  }

  it("are not in spans", async () => {
    const { spans } = record();
    const task = "the-task";
    const ioredis = temporaryClient({ url });
    const ids = [newId(), newId()];
    await callAll(temporaryStore(url, { readAhead: false }), ids[0], task);
    await callAll(temporaryStore(ioredis, { connection: "client" }), ids[1], task);
    const quoting = Object.assign(createMapClient(), {
      hget: () => Promise.reject(new Error("the command before this one had a-secret-value")),
    });
    await rejectionOf(temporaryStore(quoting).getExecutionTaskResult(ids[0], task));
    expect(spans()).toHaveLength(11);
    for (const text of [...ids, task, "a-secret-value"]) expect(exported(spans())).not.toContain(text);
  });

  it("ids are, if they are asked for, and values are not", async () => {
    const { spans } = record({ executionIds: true });
    const id = newId();
    await callAll(temporaryStore(url, { readAhead: false }), id, "the-task");
    const taskOf = new Map(
      spans().map(({ attributes }) => [attributes["idioteque.redis.call"], attributes["idioteque.task.id"]]),
    );
    for (const { attributes } of spans()) expect(attributes["idioteque.execution.id"]).toBe(id);
    expect(taskOf.get("beginExecution")).toBe(undefined);
    expect(taskOf.get("getExecutionTaskResult")).toBe("the-task");
    expect(exported(spans())).not.toContain("a-secret-value");
  });
});
