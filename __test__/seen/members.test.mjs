// What a store tells of itself: status, statistics, pings, and how it is printed.
import { inspect } from "node:util";
import { Redis } from "ioredis";
import { createClient } from "redis";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { createRedisStore, RedisStoreError } from "../../index.js";
import { secret } from "../../tooling/secrets.mjs";
import { startMasters } from "../../tooling/servers/cluster.mjs";
import { freePort } from "../../tooling/servers/redis-server.mjs";
import { startRestEndpoint } from "../../tooling/servers/rest-endpoint.mjs";
import { suspend } from "../support/child.mjs";
import { eventually, privateRedis } from "../support/redis.mjs";

const NUMBERS = [
  "connects",
  "reconnects",
  "pending",
  "pendingBytes",
  "calls",
  "errors",
  "retries",
  "roundTrips",
  "readAheadHits",
  "bytesWritten",
  "bytesRead",
];

const open = [];
afterEach(() => Promise.all(open.splice(0).map((store) => store.close())));

function openStore(...args) {
  const store = createRedisStore(...args);
  open.push(store);
  return store;
}

/** How long a promise takes to reject, and with what. */
async function rejection(promise) {
  const started = performance.now();
  const error = await promise.then(
    (value) => expect.unreachable(`resolved with ${value}`),
    (reason) => reason,
  );
  return { error, ms: performance.now() - started };
}

describe("a store on one server", () => {
  let server;
  beforeAll(async () => {
    server = await privateRedis();
  });

  it("tells its status from the beginning to the end", async () => {
    const store = openStore(server.url);
    expect([store.status, store.stats().status]).toEqual(["idle", "idle"]);
    // Another thread connects, which could be done before this one asks.
    await suspend(server.pid);
    const call = store.beginExecution("one");
    expect(store.status).toBe("connecting");
    server.resume();
    await call;
    expect(store.status).toBe("ready");
    const { stats } = store;
    await store.close();
    expect([store.status, stats().status]).toEqual(["closed", "closed"]);
  });

  it("is not copied with the status of the moment", () => {
    const store = openStore(server.url);
    expect(Object.keys(store)).not.toContain("status");
    expect({ ...store }.status).toBeUndefined();
  });

  it("counts calls, what they cost, and errors", async () => {
    const store = openStore(server.url, { commandTimeout: 2345 });
    expect(store.stats()).toEqual({
      status: "idle",
      backend: "redis",
      address: `127.0.0.1:${server.port}`,
      ...Object.fromEntries(NUMBERS.map((name) => [name, 0])),
    });
    const pending = store.commitExecutionTaskResult("counted", "task", { some: "value" });
    expect(store.stats()).toMatchObject({ pending: 1, calls: 1, roundTrips: 0 });
    expect(store.stats().pendingBytes).toBe("counted".length + "task".length + '{"some":"value"}'.length);
    await pending;
    await expect(store.commitExecutionTaskResult("counted", "task", 1n)).rejects.toThrow(RedisStoreError);
    await expect(store.beginExecution("")).rejects.toThrow(TypeError);
    await store.getExecutionTaskResults("counted");
    const stats = store.stats();
    expect(stats).toMatchObject({
      status: "ready",
      peer: `127.0.0.1:${server.port}`,
      pending: 0,
      pendingBytes: 0,
      calls: 4,
      errors: 2,
      roundTrips: 2,
      retries: 0,
      connects: 1,
      reconnects: 0,
    });
    expect(stats.bytesWritten).toBeGreaterThan(100);
    expect(stats.bytesRead).toBeGreaterThan(30);
    expect(JSON.parse(JSON.stringify(stats))).toEqual(stats);
  });

  it("counts what read-ahead answers", async () => {
    const store = openStore(server.url);
    for (let execution = 0; execution < 20; execution += 1) {
      await store.beginExecution(`ahead-${execution}`);
      await store.isExecutionInProgress(`ahead-${execution}`);
    }
    const { calls, roundTrips, readAheadHits } = store.stats();
    expect(readAheadHits).toBeGreaterThan(0);
    expect(roundTrips + readAheadHits).toBe(calls);
  });

  it("is printed on one line, without secrets", async () => {
    const password = secret("printed");
    const guarded = await privateRedis({ args: ["--requirepass", password] });
    const store = openStore(`redis://:${password}@127.0.0.1:${guarded.port}`);
    const line = (status) =>
      `RedisStore { backend: 'redis', address: '127.0.0.1:${guarded.port}', status: '${status}', pending: 0 }`;
    expect(inspect(store)).toBe(line("idle"));
    await store.beginExecution("printed");
    expect(inspect({ store })).toContain(line("ready"));
    expect(JSON.stringify(store.stats())).not.toContain(password);
  });

  it("pings over the connection that calls use", async () => {
    const store = openStore(server.url, { commandTimeout: 3456 });
    const { ping } = store;
    expect(await ping()).toBeLessThan(1000);
    await store.beginExecution("pinged");
    const times = await Promise.all(Array.from({ length: 50 }, () => ping({ timeout: 5000 })));
    expect(times.every((ms) => ms >= 0 && ms < 5000)).toBe(true);
    expect(store.stats()).toMatchObject({ connects: 1, calls: 1, roundTrips: 1 });
  });

  it("refuses timeouts that are none", async () => {
    const store = openStore(server.url);
    await expect(store.ping({ timeout: "1" })).rejects.toMatchObject({
      name: "TypeError",
      code: "ERR_INVALID_ARG_TYPE",
    });
    for (const timeout of [0, -1, Number.NaN, Number.POSITIVE_INFINITY]) {
      await expect(store.ping({ timeout })).rejects.toMatchObject({ name: "RangeError", code: "ERR_OUT_OF_RANGE" });
    }
  });

  it("rejects pings when it is closed", async () => {
    const store = openStore(server.url);
    await store.close();
    await expect(store.ping()).rejects.toMatchObject({ code: "ERR_REDIS_CLOSED" });
  });

  it("says at once that nobody listens at a port, each time", async () => {
    const store = openStore(`redis://127.0.0.1:${await freePort()}`, { commandTimeout: 60_000 });
    for (let time = 0; time < 5; time += 1) {
      const { error, ms } = await rejection(store.ping({ timeout: 20_000 }));
      expect(error).toMatchObject({ name: "RedisStoreError", code: "ERR_REDIS_CONNECTION" });
      expect(error.message).toContain("ECONNREFUSED");
      expect(ms).toBeLessThan(5000);
    }
    expect(store.status).toBe("connecting");
    expect(store.stats().lastError).toMatchObject({ code: "ERR_REDIS_CONNECTION", cause: expect.any(String) });
    expect(Math.abs(Date.now() - store.stats().lastError.at)).toBeLessThan(60_000);
  });

  it("says at once that the password is refused", async () => {
    const guarded = await privateRedis({ args: ["--requirepass", secret("right")] });
    const store = openStore(`redis://:${secret("wrong")}@127.0.0.1:${guarded.port}`, { commandTimeout: 60_000 });
    for (let time = 0; time < 3; time += 1) {
      const { error, ms } = await rejection(store.ping({ timeout: 20_000 }));
      expect(error).toMatchObject({ code: "ERR_REDIS_REPLY", reply: "WRONGPASS" });
      expect(ms).toBeLessThan(5000);
    }
    expect(store.stats().lastError).toMatchObject({ code: "ERR_REDIS_REPLY", reply: "WRONGPASS" });
  });

  it("says in lastError that a password is asked for that was not when it connected", async () => {
    const changed = await privateRedis();
    const store = openStore(changed.url, { commandTimeout: 60_000 });
    await store.beginExecution("changed");
    const admin = new Redis(changed.url);
    await admin.config("SET", "requirepass", secret("new"));
    await admin.client("KILL", "TYPE", "normal", "SKIPME", "yes");
    await eventually(() => store.stats().lastError?.reply === "NOAUTH", { message: "the refusal in lastError" });
    admin.disconnect();
  });

  it("gives up a ping of a stopped server in time, and takes no later answer for another's", async () => {
    const stopped = await privateRedis();
    const store = openStore(stopped.url, { commandTimeout: 60_000 });
    await store.beginExecution("stopped");
    stopped.pause();
    const { error, ms } = await rejection(store.ping({ timeout: 300 }));
    expect(error).toMatchObject({ code: "ERR_REDIS_TIMEOUT" });
    expect(ms).toBeGreaterThanOrEqual(299);
    expect(ms).toBeLessThan(3000);
    const pending = store.isExecutionInProgress("stopped");
    stopped.resume();
    expect(await pending).toBe(true);
    expect(await store.ping()).toBeGreaterThanOrEqual(0);
  });

  it("answers pings where the server does not let us ask", async () => {
    const password = secret("limited");
    const limited = await privateRedis({ args: ["--user", "limited", "on", `>${password}`, "~*", "+@all", "-ping"] });
    const store = openStore(`redis://limited:${password}@127.0.0.1:${limited.port}`);
    expect(await store.ping()).toBeGreaterThanOrEqual(0);
  });

  it("connects again by itself when the server was restarted", async () => {
    const restarted = await privateRedis();
    const store = openStore(restarted.url, { commandTimeout: 60_000 });
    await store.beginExecution("restarted");
    await restarted.kill();
    await eventually(() => store.status === "reconnecting", { message: "the loss being noticed" });
    expect(store.stats().peer).toBeUndefined();
    await rejection(store.ping({ timeout: 5000 }));
    // The system may end a killed server's connections before it ends its listener, which takes one more in between.
    const { connects } = store.stats();
    await restarted.restart();
    await eventually(() => store.status === "ready", { message: "the connection being made again" });
    const peer = `127.0.0.1:${restarted.port}`;
    expect(store.stats()).toMatchObject({ connects: connects + 1, reconnects: 1, peer });
    expect(store.stats().lastError).toMatchObject({ code: "ERR_REDIS_CONNECTION" });
  });
});

describe("a store over something else", () => {
  it("lists the peers of a cluster, and pings all of them", async () => {
    const cluster = await startMasters({ replicas: 0 });
    const store = openStore(cluster.startup);
    try {
      expect(await store.ping({ timeout: 10_000 })).toBeGreaterThan(0);
      await store.beginExecution("clustered");
      await eventually(() => store.stats().peer.length === 3, { message: "connections to all masters" });
      const { backend, status, peer, connects, roundTrips } = store.stats();
      expect({ backend, status, connects, roundTrips }).toEqual({
        backend: "redis-cluster",
        status: "ready",
        connects: 3,
        roundTrips: 1,
      });
      expect(peer).toEqual([...new Set(peer)].sort());
      expect(inspect(store)).toMatch(/^RedisStore { backend: 'redis-cluster', address: '[^']+', status: 'ready', /);
    } finally {
      await store.close();
      await cluster.stop();
    }
  });

  it("counts a failover of a cluster, says who is connected then, and loses no call from its numbers", async () => {
    const cluster = await startMasters();
    const store = openStore(cluster.startup, { commandTimeout: 60_000 });
    try {
      const ids = Array.from({ length: 60 }, (_, index) => `failed over ${index}`);
      const callAll = () => Promise.all(ids.map((id) => store.beginExecution(id)));
      await callAll();
      const [{ server: killed }] = cluster.masters;
      const gone = `127.0.0.1:${killed.port}`;
      expect(store.stats()).toMatchObject({ connects: 3, reconnects: 0, peer: expect.arrayContaining([gone]) });
      await killed.kill();
      const calls = callAll();
      expect(store.stats()).toMatchObject({ calls: 120, pending: 60 });
      await calls;
      await eventually(() => store.status === "ready", { message: "a connection to the new master" });
      const { peer, ...numbers } = store.stats();
      expect(peer).toHaveLength(3);
      expect(peer).not.toContain(gone);
      expect(numbers).toMatchObject({ calls: 120, errors: 0, pending: 0, pendingBytes: 0, reconnects: 1 });
      // The killed server's listener may have taken one more in its last moment.
      expect(numbers.connects).toBeGreaterThanOrEqual(4);
      expect(numbers.roundTrips).toBe(120 + numbers.retries);
    } finally {
      await store.close();
      await cluster.stop();
    }
  });

  it("pings an endpoint over HTTP with a request, and counts requests", async () => {
    const server = await privateRedis();
    const endpoint = await startRestEndpoint({ redisUrl: server.url });
    const store = openStore({ url: endpoint.url, token: endpoint.token });
    try {
      expect(store.stats()).toMatchObject({ status: "idle", backend: "upstash" });
      expect(await store.ping()).toBeGreaterThan(0);
      await store.beginExecution("http");
      expect(store.stats()).toMatchObject({ status: "ready", roundTrips: 1, calls: 1, connects: 1 });
      expect(store.stats().peer).toBe(new URL(endpoint.url).host);
      const refused = openStore({ url: endpoint.url, token: secret("not-it") });
      await expect(refused.ping()).rejects.toMatchObject({ code: "ERR_REDIS_REPLY" });
      const nowhere = openStore({ url: `http://127.0.0.1:${await freePort()}`, token: "token" });
      const { error, ms } = await rejection(nowhere.ping({ timeout: 20_000 }));
      expect(error.code).toBe("ERR_REDIS_CONNECTION");
      expect(ms).toBeLessThan(5000);
    } finally {
      await endpoint.stop();
    }
  });

  describe("a client's own methods", () => {
    let server;
    let gone;
    afterAll(() => gone?.());
    beforeAll(async () => {
      server = await privateRedis();
    });

    it("tells what ioredis tells", async () => {
      const client = new Redis(server.url, { lazyConnect: true });
      gone = () => client.disconnect();
      const store = openStore(client, { connection: "client" });
      expect(store.status).toBe("idle");
      expect(await store.ping()).toBeGreaterThanOrEqual(0);
      await store.beginExecution("ioredis");
      expect(store.stats()).toMatchObject({
        status: "ready",
        backend: "client",
        address: `127.0.0.1:${server.port}`,
        pending: 0,
        calls: 1,
        errors: 0,
        roundTrips: 1,
      });
      expect(inspect(store)).toMatch(
        /^RedisStore { backend: 'client', address: '127.0.0.1:\d+', status: 'ready', pending: 0 }$/,
      );
      client.disconnect();
      await eventually(() => store.status === "closed", { message: "the client's end" });
    });

    it("tells what node-redis tells", async () => {
      const client = createClient({ url: server.url });
      client.on("error", () => {});
      const store = openStore(client, { connection: "client" });
      expect(store.status).toBe("idle");
      await client.connect();
      expect(store.status).toBe("ready");
      expect(await store.ping()).toBeGreaterThanOrEqual(0);
      await client.disconnect();
    });

    it("asks for a key where there is no ping, and guesses the status of a client that tells nothing", async () => {
      const asked = [];
      const answers = { get: (key) => asked.push(key) && null };
      const client = Object.fromEntries(
        ["get", "set", "hset", "hget", "hdel", "hgetall", "del", "expire"].map((name) => [
          name,
          async (key) => answers[name]?.(key),
        ]),
      );
      const store = openStore(client);
      expect(store.status).toBe("idle");
      expect(await store.ping()).toBeGreaterThanOrEqual(0);
      expect(asked).toEqual(["idioteque-redis:ping"]);
      await store.beginExecution("guessed");
      expect(store.status).toBe("ready");
      client.set = () => Promise.reject(new Error("the socket is gone"));
      await rejection(store.beginExecution("guessed"));
      expect(store.stats()).toMatchObject({ errors: 1, lastError: { code: "ERR_REDIS_CONNECTION" } });
      client.get = () => new Promise(() => {});
      const { error, ms } = await rejection(store.ping({ timeout: 200 }));
      expect(error).toMatchObject({ name: "RedisStoreError", code: "ERR_REDIS_TIMEOUT" });
      expect(ms).toBeLessThan(5000);
    });
  });
});
