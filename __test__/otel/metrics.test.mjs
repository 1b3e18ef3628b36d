// Metrics of OpenTelemetry: durations, connections, what is under way, what was sent again and what read-ahead answered.
import { channel } from "node:diagnostics_channel";
import * as api from "@opentelemetry/api";
import { core } from "@opentelemetry/sdk-node";
import { describe, expect, it } from "vitest";
import { register } from "../../lib/otel.js";
import { startMasters } from "../../tooling/servers/cluster.mjs";
import { MASTER, startSentinels } from "../../tooling/servers/sentinels.mjs";
import { eventually, privateRedis, sharedRedis } from "../support/redis.mjs";
import { openMeter, startTelemetry, undoAfterTest } from "../support/telemetry.mjs";
import { rejectionOf, temporaryProxy, temporaryStore } from "../support/temporary.mjs";

const { url, newId } = sharedRedis();
const { hostname, port } = new URL(url);

const SERVER = {
  "db.system.name": "redis",
  "db.namespace": "0",
  "server.address": hostname,
  "server.port": Number(port),
};

function record(options) {
  const telemetry = startTelemetry();
  undoAfterTest(register(options));
  return telemetry;
}

/** The value of a metric's only series. */
async function seriesOf(collect, name) {
  const points = (await collect()).get(name)?.dataPoints ?? [];
  expect(points.length).toBeLessThanOrEqual(1);
  return points[0]?.value;
}

describe("db.client.operation.duration", () => {
  it("is that of the span, in seconds, in the buckets of the conventions, with what can be told apart", async () => {
    const { spans, collect } = record();
    await temporaryStore(url).beginExecution(newId());
    const { descriptor, dataPoints } = (await collect()).get("db.client.operation.duration");
    expect(descriptor).toMatchObject({ unit: "s" });
    expect(dataPoints).toHaveLength(1);
    const [{ attributes, value }] = dataPoints;
    expect(value.buckets.boundaries).toEqual([0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10]);
    expect(value.count).toBe(1);
    expect(value.sum).toBeCloseTo(core.hrTimeToMilliseconds(spans()[0].duration) / 1000, 5);
    const peer = { "network.peer.address": "127.0.0.1", "network.peer.port": Number(port) };
    expect(attributes).toEqual({ ...SERVER, ...peer, "db.operation.name": "SET" });
  });

  it("has no ids, also if spans have them, and has failures apart", async () => {
    const { collect } = record({ executionIds: true });
    const store = temporaryStore("redis://127.0.0.1:1", { commandTimeout: 100 });
    const id = newId();
    await Promise.all([rejectionOf(store.beginExecution(id)), rejectionOf(store.beginExecution(id))]);
    const { dataPoints } = (await collect()).get("db.client.operation.duration");
    expect(dataPoints.map(({ value }) => value.count)).toEqual([2]);
    expect(dataPoints[0].attributes).toMatchObject({ "error.type": "ERR_REDIS_CONNECTION", "server.port": 1 });
    expect(JSON.stringify(dataPoints)).not.toContain(id);
  });
});

describe("idioteque.redis.pending", () => {
  it("is how many calls are under way", async () => {
    const { collect } = record();
    const server = await privateRedis();
    const store = temporaryStore(server.url);
    await store.beginExecution("first");
    expect(await seriesOf(collect, "idioteque.redis.pending")).toBe(0);
    server.pause();
    const calls = [store.beginExecution("second"), store.isExecutionInProgress("first")];
    expect(await seriesOf(collect, "idioteque.redis.pending")).toBe(2);
    server.resume();
    await Promise.all(calls);
    expect(await seriesOf(collect, "idioteque.redis.pending")).toBe(0);
  });
});

describe("idioteque.redis.retries", () => {
  it("counts each time that a call was sent again", async () => {
    const { collect, spans } = record();
    const { hostname: host } = new URL(url);
    const proxy = await temporaryProxy({ host, port: Number(port) });
    const store = temporaryStore({ host: proxy.host, port: proxy.port });
    await store.beginExecution(newId());
    expect(await seriesOf(collect, "idioteque.redis.retries")).toBe(undefined);
    const connection = proxy.connections.at(-1);
    connection.hold("toClient");
    const call = store.beginExecution(newId());
    await eventually(() => connection.held("toClient") !== "", { message: "an answer that is held back" });
    connection.cut();
    await call;
    expect(await seriesOf(collect, "idioteque.redis.retries")).toBe(1);
    expect(spans().map(({ attributes }) => attributes["idioteque.redis.attempts"])).toEqual([undefined, 2]);
  });
});

describe("idioteque.redis.read_ahead.hits", () => {
  it("counts the calls that needed no round trip", async () => {
    const { collect } = record();
    const store = temporaryStore(url);
    const id = newId();
    for (let calls = 0; store.stats().readAheadHits < 2; calls += 1) {
      await store.getExecutionTaskResults(id);
      await store.isExecutionInProgress(id);
      expect(calls).toBeLessThan(20);
    }
    expect(await seriesOf(collect, "idioteque.redis.read_ahead.hits")).toBe(store.stats().readAheadHits);
    const { dataPoints } = (await collect()).get("idioteque.redis.read_ahead.hits");
    expect(dataPoints[0].attributes).toEqual(SERVER);
  });
});

describe("connections", () => {
  it("are counted while they last, with who is at their other end and how long they took", async () => {
    const { collect } = record();
    const server = await privateRedis();
    const store = temporaryStore(server.url);
    await store.beginExecution("first");
    const { dataPoints } = (await collect()).get("db.client.connection.count");
    const pool = { "db.client.connection.pool.name": `127.0.0.1:${server.port}` };
    expect(dataPoints.map(({ attributes, value }) => [attributes, value])).toEqual([
      [
        {
          ...pool,
          "db.client.connection.state": "used",
          "network.peer.address": "127.0.0.1",
          "network.peer.port": server.port,
        },
        1,
      ],
    ]);
    await server.kill();
    const count = () => seriesOf(collect, "db.client.connection.count");
    await eventually(async () => (await count()) === 0, { message: "its loss" });
    await server.restart();
    await store.beginExecution("second");
    expect(await count()).toBe(1);
    const created = (await collect()).get("db.client.connection.create_time");
    expect(created.descriptor.unit).toBe("s");
    expect(created.dataPoints.map(({ attributes, value }) => [attributes, value.count])).toEqual([[pool, 2]]);
    expect(created.dataPoints[0].value.sum).toBeGreaterThan(0);
    await store.close();
    await eventually(async () => (await count()) === 0, { message: "its end" });
  });

  it("of a cluster are counted one by one", async () => {
    const { collect } = record();
    const cluster = await startMasters({ replicas: 0 });
    undoAfterTest(() => cluster.stop());
    const store = temporaryStore(cluster.startup);
    await Promise.all(Array.from({ length: 50 }, (_, index) => store.beginExecution(`execution ${index}`)));
    const counted = async () => {
      const { dataPoints } = (await collect()).get("db.client.connection.count");
      return dataPoints.map(({ attributes, value }) => [attributes["network.peer.port"], value]).sort();
    };
    expect(await counted()).toEqual(cluster.startup.map(({ port }) => [port, 1]).sort());
    await store.close();
    await eventually(async () => (await counted()).every(([, value]) => value === 0), { message: "their end" });
  });

  it("move with a failover, and spans have where the store asks and who answered", async () => {
    const { collect, spans } = record();
    const group = await startSentinels();
    undoAfterTest(() => group.stop());
    const store = temporaryStore({ sentinels: group.addresses, name: MASTER }, { commandTimeout: 60_000 });
    await store.beginExecution("before");
    const old = await group.primary();
    await old.kill();
    await store.beginExecution("after");
    const { dataPoints } = (await collect()).get("db.client.connection.count");
    const ports = spans().map(({ attributes }) => attributes["network.peer.port"]);
    expect(ports[0]).toBe(old.port);
    expect(ports[1]).not.toBe(old.port);
    const counts = dataPoints.map(({ attributes, value }) => [attributes["network.peer.port"], value]);
    expect(new Map(counts)).toEqual(
      new Map([
        [ports[0], 0],
        [ports[1], 1],
      ]),
    );
    const sentinels = group.addresses.map(({ host, port }) => `${host}:${port}`).sort();
    expect(spans()[1].attributes).toMatchObject({ "server.address": `${sentinels.join(",")}/${MASTER}` });
    expect(spans()[1].attributes).not.toHaveProperty(["server.port"]);
  });

  it("that are gone are forgotten when there are too many", async () => {
    const { collect } = record();
    const [ready, closed] = ["ready", "closed"].map((name) => channel(`idioteque-redis:${name}`));
    for (let number = 0; number < 1000; number += 1) {
      const event = { address: "redis:6379", peer: `[fd00::${number.toString(16)}]:6379`, ms: 1 };
      ready.publish(event);
      if (number > 0) closed.publish(event);
    }
    const { dataPoints } = (await collect()).get("db.client.connection.count");
    expect(dataPoints.length).toBeLessThanOrEqual(256);
    expect(dataPoints.filter(({ value }) => value !== 0).map(({ attributes }) => attributes)).toEqual([
      expect.objectContaining({ "network.peer.address": "fd00::0", "network.peer.port": 6379 }),
    ]);
  });

  it("are not counted below zero when they are lost that were made before anybody looked", async () => {
    const server = await privateRedis();
    const store = temporaryStore(server.url);
    await store.beginExecution("first");
    const { collect } = record();
    await server.kill();
    await eventually(() => store.status === "reconnecting", { message: "the loss of the connection" });
    await server.restart();
    await store.beginExecution("second");
    expect(await seriesOf(collect, "db.client.connection.count")).toBe(1);
  });
});

describe("a meter provider", () => {
  it("may be set after all else", async () => {
    undoAfterTest(register());
    const store = temporaryStore(url);
    await store.beginExecution(newId());
    const { collect } = startTelemetry();
    await store.beginExecution(newId());
    const { dataPoints } = (await collect()).get("db.client.operation.duration");
    expect(dataPoints[0].value.count).toBe(1);
    expect(await seriesOf(collect, "idioteque.redis.pending")).toBe(0);
  });

  it("may be replaced, and may be given", async () => {
    undoAfterTest(register());
    const store = temporaryStore(url);
    const [first, second, given] = [openMeter(), openMeter(), openMeter()];
    undoAfterTest(() => api.metrics.disable());
    for (const { meterProvider } of [first, second]) {
      api.metrics.disable();
      api.metrics.setGlobalMeterProvider(meterProvider);
      await store.beginExecution(newId());
    }
    const unregister = register({ meterProvider: given.meterProvider });
    await store.beginExecution(newId());
    unregister();
    for (const { collect } of [first, second, given]) {
      expect((await collect()).get("db.client.operation.duration").dataPoints[0].value.count).toBe(1);
    }
    // What is no longer used observes nothing.
    expect(await seriesOf(first.collect, "idioteque.redis.pending")).toBe(undefined);
    expect(await seriesOf(given.collect, "idioteque.redis.pending")).toBe(undefined);
    for (const { meterProvider } of [first, second, given]) await meterProvider.shutdown();
  });
});
