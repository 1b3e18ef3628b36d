// What happens to connections is published, on the channels of the thread that uses them.
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { Worker } from "node:worker_threads";
import { Redis } from "ioredis";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createRedisStore } from "../../index.js";
import { secret } from "../../tooling/secrets.mjs";
import { startMasters } from "../../tooling/servers/cluster.mjs";
import { startRestEndpoint } from "../../tooling/servers/rest-endpoint.mjs";
import { MASTER, startSentinels } from "../../tooling/servers/sentinels.mjs";
import { startScript } from "../support/child.mjs";
import { eventually, privateRedis } from "../support/redis.mjs";
import { moveSlots } from "../support/resharding.mjs";

const NAMES = ["ready", "disconnected", "closed", "retry", "topology", "warning"];

let events;
const listeners = NAMES.map((name) => [`idioteque-redis:${name}`, (fields) => events.push({ name, ...fields })]);
beforeEach(() => {
  events = [];
  for (const [name, listener] of listeners) subscribe(name, listener);
});

const open = [];
afterEach(async () => {
  for (const [name, listener] of listeners) unsubscribe(name, listener);
  await Promise.all(open.splice(0).map((store) => store.close()));
});

function openStore(...args) {
  const store = createRedisStore(...args);
  open.push(store);
  return store;
}

const named = (name) => events.filter((event) => event.name === name);

/** Waits for the next event of a name, and returns all of them. */
async function come(name, count = 1) {
  await eventually(() => named(name).length >= count, { deadline: 20_000, message: `an event "${name}"` });
  return named(name);
}

describe("one server", () => {
  it("is ready, is lost when it is killed, and is ready again", async () => {
    const server = await privateRedis();
    const address = `127.0.0.1:${server.port}`;
    const store = openStore(server.url, { commandTimeout: 60_000 });
    await store.beginExecution("one");
    expect(await come("ready")).toEqual([{ name: "ready", address, peer: address, ms: expect.any(Number) }]);
    await server.kill();
    const [lost] = await come("disconnected");
    expect(lost).toMatchObject({ address, peer: address, pending: 0, error: { code: "ERR_REDIS_CONNECTION" } });
    const pending = store.isExecutionInProgress("one");
    await eventually(() => named("retry").some(({ pending }) => pending === 1), { message: "a retry with a call" });
    expect(named("retry")[0]).toMatchObject({
      address,
      error: { code: "ERR_REDIS_CONNECTION", message: expect.stringContaining("ECONNREFUSED") },
      pauseMs: expect.any(Number),
    });
    await server.restart();
    expect(await pending).toBe(false);
    expect((await come("ready", 2))[1]).toMatchObject({ peer: address });
    await store.close();
    expect(await come("closed")).toEqual([{ name: "closed", address, peer: address }]);
    expect(named("disconnected")).toHaveLength(1);
  });

  it("is lost while it is silent, and ready when it answers again", async () => {
    const server = await privateRedis();
    const store = openStore(server.url, { commandTimeout: 4000 });
    await store.beginExecution("silent");
    server.pause();
    const pending = store.beginExecutionTask("silent", "task");
    const [lost] = await come("disconnected");
    expect(lost.pending).toBe(1);
    expect(store.status).toBe("reconnecting");
    server.resume();
    await pending;
    await come("ready", 2);
    expect(store.status).toBe("ready");
  });

  it("refuses for now, and the calls are tried again", async () => {
    const server = await privateRedis();
    const admin = new Redis(server.url);
    try {
      await admin.config("SET", "min-replicas-to-write", "1");
      const store = openStore(server.url, { commandTimeout: 60_000 });
      const pending = store.beginExecution("refused");
      const retries = await come("retry", 2);
      expect(retries[0]).toMatchObject({ error: { reply: "NOREPLICAS" }, pending: 1, pauseMs: expect.any(Number) });
      await admin.config("SET", "min-replicas-to-write", "0");
      await pending;
      expect(store.stats().retries).toBeGreaterThan(0);
    } finally {
      admin.disconnect();
    }
  });

  it("refuses the password", async () => {
    const server = await privateRedis({ args: ["--requirepass", secret("right")] });
    const store = openStore(`redis://:${secret("wrong")}@127.0.0.1:${server.port}`);
    await expect(store.beginExecution("refused")).rejects.toMatchObject({ reply: "WRONGPASS" });
    expect(store.stats().lastError).toMatchObject({ reply: "WRONGPASS" });
    expect(named("ready")).toEqual([]);
    expect(JSON.stringify([events, store.stats()])).not.toContain(secret("wrong"));
  });

  it("warns, on a channel too", async () => {
    const server = await privateRedis();
    const warned = new Promise((resolve) => process.once("warning", resolve));
    const store = openStore(`redis://:${secret("needless")}@127.0.0.1:${server.port}`);
    await store.beginExecution("warned");
    expect((await warned).code).toBe("IDIOTEQUE_REDIS_PASSWORD");
    const [{ code, message }] = await come("warning");
    expect({ code, message }).toEqual({ code: "IDIOTEQUE_REDIS_PASSWORD", message: expect.any(String) });
  });
});

it("sentinels name another primary", async () => {
  const set = await startSentinels();
  try {
    const store = openStore({ sentinels: set.addresses, name: MASTER }, { commandTimeout: 60_000 });
    await store.beginExecution("before");
    const [{ peer, epoch }] = await come("ready");
    expect(store.stats().peer).toBe(peer);
    const primary = await set.primary();
    await primary.kill();
    await store.beginExecution("after");
    const [moved] = await come("topology");
    expect(moved).toMatchObject({ from: [peer], toldBy: "sentinel" });
    const after = (await come("ready", 2)).at(-1);
    expect(moved.to).toEqual([after.peer]);
    expect(after.epoch).toBeGreaterThan(epoch);
    expect(store.stats()).toMatchObject({ status: "ready", peer: after.peer, reconnects: 1 });
  } finally {
    await Promise.all(open.splice(0).map((store) => store.close()));
    await set.stop();
  }
}, 120_000);

it("a cluster moves a slot", async () => {
  const cluster = await startMasters({ replicas: 0 });
  try {
    const store = openStore(cluster.startup, { commandTimeout: 60_000, hashTags: true });
    await store.beginExecution("moved");
    await come("ready", 3);
    const { masters } = cluster;
    const slot = await masters[0].admin.cluster("KEYSLOT", "{moved}");
    const counts = await Promise.all(masters.map(({ admin }) => admin.cluster("COUNTKEYSINSLOT", slot)));
    const from = masters[counts.indexOf(1)];
    const to = masters.find((master) => master !== from);
    await moveSlots(masters, from, to, [slot]);
    await store.isExecutionInProgress("moved");
    const [moved] = await come("topology");
    expect(moved).toMatchObject({ slot, toldBy: "MOVED", from: [peerOf(from)], to: [peerOf(to)] });
  } finally {
    await Promise.all(open.splice(0).map((store) => store.close()));
    await cluster.stop();
  }
}, 60_000);

it("an endpoint over HTTP is ready, refuses, and is lost", async () => {
  const server = await privateRedis();
  const endpoint = await startRestEndpoint({ redisUrl: server.url });
  try {
    const store = openStore({ url: endpoint.url, token: endpoint.token }, { commandTimeout: 60_000 });
    await store.beginExecution("http");
    const address = new URL(endpoint.url).host;
    expect(await come("ready")).toEqual([{ name: "ready", address, peer: address, ms: expect.any(Number) }]);
    endpoint.inject({ status: 503 });
    await store.beginExecution("http");
    expect((await come("retry"))[0].error.message).toContain("503");
    expect(await come("disconnected")).toHaveLength(1);
    expect(await come("ready", 2)).toHaveLength(2);
    expect(store.status).toBe("ready");
  } finally {
    await endpoint.stop();
  }
});

it("reaches every thread that uses the connection, and no other", async () => {
  const server = await privateRedis();
  const source = `
    const { parentPort, workerData } = require("node:worker_threads");
    const { subscribe } = require("node:diagnostics_channel");
    subscribe("idioteque-redis:disconnected", ({ peer }) => parentPort.postMessage(peer));
    const { createRedisStore } = require(workerData.entry);
    const store = createRedisStore(workerData.url);
    store.beginExecution("thread").then(() => parentPort.postMessage("begun"));
    parentPort.on("message", () => process.exit());`;
  const entry = new URL("../../index.js", import.meta.url).pathname;
  const worker = new Worker(source, { eval: true, workerData: { entry, url: server.url } });
  const messages = [];
  worker.on("message", (message) => messages.push(message));
  await eventually(() => messages.includes("begun"), { message: "the thread's call" });
  await server.kill();
  await eventually(() => messages.length === 2, { message: "the thread's event" });
  expect(messages[1]).toBe(`127.0.0.1:${server.port}`);
  expect(events).toEqual([]);
  worker.postMessage("end");
});

it("is printed with NODE_DEBUG=idioteque-redis, a line for each", async () => {
  const server = await privateRedis();
  const script = startScript(
    `const store = createRedisStore(args);
     await store.beginExecution("printed");
     // Until it is known here, not only where the connection is.
     const timer = setInterval(() => {}, 1000);
     const { subscribe } = await import("node:diagnostics_channel");
     subscribe("idioteque-redis:disconnected", () => setImmediate(clearInterval, timer));
     console.log("begun");`,
    { args: server.url, within: ["env", "NODE_DEBUG=idioteque-redis"] },
  );
  await script.printed("begun");
  await server.kill();
  const { errors } = await script.ended;
  expect(errors).toMatch(/^IDIOTEQUE-REDIS \d+: ready address=127\.0\.0\.1:\d+ peer=127\.0\.0\.1:\d+ ms=[\d.]+$/m);
  expect(errors).toMatch(/^IDIOTEQUE-REDIS \d+: disconnected address=127\.0\.0\.1:\d+ .*error=".*" pending=0$/m);
});

const peerOf = ({ server }) => `127.0.0.1:${server.port}`;
