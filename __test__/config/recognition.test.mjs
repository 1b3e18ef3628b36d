// What is made of every real client: a native connection with its settings, or its own methods and through which adapter.
import { createRequire } from "node:module";
import { types } from "node:util";
import * as upstash from "@upstash/redis";
import { Batch, GlideClient } from "@valkey/valkey-glide";
import { createClient as createVercelClient } from "@vercel/kv";
import { Queue } from "bullmq";
import Mock from "ioredis-mock";
import * as redis4 from "redis-4";
import { afterEach, describe, expect, it, vi } from "vitest";
import { createRedisStore } from "../../index.js";
import { IOREDIS, NODE_REDIS } from "../support/client-packages.mjs";
import { createMapClient } from "../support/map-client.mjs";
import { sharedRedis } from "../support/redis.mjs";

const binding = createRequire(import.meta.url)("../../lib/binding.js");
const { url, newId, admin } = sharedRedis();

const release = [];

afterEach(async () => {
  for (const end of release.splice(0)) await end();
});

/** What createRedisStore does with a client: "native", or the settings it opens a store over the client's own methods with. */
function recognise(client, options) {
  const open = (called, settings) => ({ ...settings, called });
  const load = () => createRequire(import.meta.url)("../../lib/adopted-client.js");
  const { parse, stringify } = JSON;
  const { setPrototypeOf } = Object;
  const realm = {
    RedisStoreError: Error,
    rejectLater: (error) => Promise.reject(error),
    parse,
    stringify,
    setPrototypeOf,
    addEntries: () => {},
  };
  const helpers = { ...realm, openClientStore: open, isProxy: types.isProxy, loadLive: load };
  const made = binding.createRedisStore(client, options, helpers);
  if (!made.backend?.startsWith("redis")) return made;
  release.push(() => made.close());
  return "native";
}

/** That the store calls the client itself: proxies cannot be compared by content. */
function expectCalled(client, adapter) {
  const { called, ...settings } = recognise(client);
  expect(settings.adapter).toBe(adapter);
  expect(called === client).toBe(true);
}

const refusal = (client, options) => {
  try {
    createRedisStore(client, options);
  } catch (error) {
    return error;
  }
  return expect.fail("it was accepted");
};

function ioredis(Client, ...args) {
  const options = args.pop();
  const client = new Client(...args, { lazyConnect: true, ...options });
  release.push(() => client.disconnect());
  return client;
}

function nodeRedis(module, options) {
  const client = module.createClient({ url, ...options });
  client.on("error", () => {});
  release.push(() => client.isOpen && client.disconnect());
  return client;
}

/** What instrumentation such as OpenTelemetry's does to a class of clients. Returns what undoes it. */
function patchClass(prototype) {
  const { connect, sendCommand } = prototype;
  for (const [name, method] of Object.entries({ connect, sendCommand })) {
    prototype[name] = function (...args) {
      return method.apply(this, args);
    };
  }
  return () => Object.assign(prototype, { connect, sendCommand });
}

const NOWHERE = { host: "127.0.0.1", port: 1 };

describe.each(IOREDIS)("%s", (_, Client) => {
  it("is connected for natively, or called with connection: client", () => {
    expect(recognise(ioredis(Client, {}))).toBe("native");
    expect(recognise(ioredis(Client, {}), { connection: "native" })).toBe("native");
    const client = ioredis(Client, { commandTimeout: 1234 });
    expect(recognise(client, { connection: "client" })).toMatchObject({ adapter: "ioredis", commandTimeout: 1234 });
    const own = recognise(client, { connection: "client", commandTimeout: 99 });
    expect(own).toMatchObject({ called: client, commandTimeout: 99 });
  });

  it.each([
    ["tls", { sentinels: [NOWHERE], name: "main", tls: {} }],
    [
      "sentinelTLS.rejectUnauthorized",
      { sentinels: [NOWHERE], name: "main", sentinelTLS: { rejectUnauthorized: false } },
    ],
    ["tls.rejectUnauthorized", { tls: { rejectUnauthorized: false } }],
    ["reconnectOnError", { reconnectOnError: () => true }],
    ["natMap", { natMap: {} }],
  ])("with %s is called, and the setting named", (setting, options) => {
    const client = ioredis(Client, options);
    expect(recognise(client).adapter).toBe("ioredis");
    expect(refusal(client, { connection: "native" }).message).toContain(`\`${setting}\``);
  });

  it("is called where a class of its own sends the commands", () => {
    class Custom extends Client {
      sendCommand(...args) {
        return super.sendCommand(...args);
      }
    }
    const client = ioredis(Custom, {});
    expect(recognise(client).adapter).toBe("ioredis");
    expect(refusal(client, { connection: "native" }).message).toContain("`sendCommand`");
  });

  it("is called where it connects in a way of its own, which may choose another server or login each time", async () => {
    const { hostname: host, port } = new URL(url);
    class Custom extends Client {
      connect(...args) {
        Object.assign(this.options, { host, port: Number(port || 6379) });
        return super.connect(...args);
      }
    }
    const client = ioredis(Custom, NOWHERE);
    expect(recognise(client).adapter).toBe("ioredis");
    expect(refusal(client, { connection: "native" }).message).toContain("`connect`");
    const store = createRedisStore(client);
    const id = newId();
    await store.beginExecution(id);
    expect(await admin.get(id)).toBe("true");
    const own = ioredis(Client, {});
    own.connect = own.connect.bind(own);
    expect(recognise(own).adapter).toBe("ioredis");
  });

  it("is connected for natively where instrumentation has patched the class itself", () => {
    const restore = patchClass(Client.prototype);
    expect(recognise(ioredis(Client, {}))).toBe("native");
    restore();
  });

  it("as a cluster is connected for natively, or called where it has to be", () => {
    const made = (options) => {
      const cluster = new Client.Cluster([NOWHERE], { lazyConnect: true, ...options });
      release.push(() => cluster.disconnect());
      return cluster;
    };
    const plain = made({ redisOptions: { commandTimeout: 77 } });
    expect(recognise(plain)).toBe("native");
    expect(recognise(plain, { connection: "client" })).toMatchObject({ adapter: "ioredis", commandTimeout: 77 });
    for (const [setting, options] of [
      ["natMap", { natMap: {} }],
      ["reconnectOnError", { redisOptions: { reconnectOnError: () => true } }],
    ]) {
      const cluster = made(options);
      expect(recognise(cluster).adapter).toBe("ioredis");
      expect(refusal(cluster, { connection: "native" }).message).toContain(setting);
    }
  });

  it("is refused as a pipeline or transaction, and once it has ended", async () => {
    const client = ioredis(Client, url, {});
    for (const queued of [client.pipeline(), client.multi()]) {
      expect(refusal(queued)).toMatchObject({ name: "TypeError", code: "ERR_REDIS_CONFIG" });
      expect(refusal(queued).message).toContain("exec()");
    }
    await client.connect();
    const ended = new Promise((resolve) => client.once("end", resolve));
    client.disconnect();
    await ended;
    expect(refusal(client).message).toContain("has ended");
  });
});

describe.each(NODE_REDIS)("%s", (name, module) => {
  it("is connected for natively before and after connect(), or called with connection: client", async () => {
    const client = nodeRedis(module);
    expect(recognise(client)).toBe("native");
    await client.connect();
    expect(recognise(client, { connection: "native" })).toBe("native");
    expect(recognise(client, { connection: "client" })).toMatchObject({ adapter: "node-redis", called: client });
  });

  it("is connected for natively without options, and with those that do not matter", () => {
    expect(recognise(module.createClient())).toBe("native");
    expect(recognise(nodeRedis(module, { socket: { reconnectStrategy: false, noDelay: true } }))).toBe("native");
    const limited = nodeRedis(module, { commandOptions: { timeout: 1234 } });
    expect(recognise(limited, { connection: "client" }).commandTimeout).toBe(1234);
  });

  it.each([
    ["socket.rejectUnauthorized", { url: "rediss://127.0.0.1", socket: { tls: true, rejectUnauthorized: false } }],
    ["socket.lookup", { socket: { lookup: () => {} } }],
    ["socket.localAddress", { socket: { localAddress: "127.0.0.1" } }],
    ["credentialsProvider", { credentialsProvider: { type: "streaming-credentials-provider", subscribe() {} } }],
  ])("with %s is called, and the setting named", (setting, options) => {
    const client = nodeRedis(module, options);
    expect(recognise(client).adapter).toBe("node-redis");
    expect(refusal(client, { connection: "native" }).message).toContain(`\`${setting}\``);
  });

  it("is called where a spy sits on a method", () => {
    const client = nodeRedis(module);
    vi.spyOn(client, "hSet");
    expectCalled(client, "node-redis");
    expect(refusal(client, { connection: "native" }).message).toContain("`hSet`");
  });

  it("is connected for natively where instrumentation has patched the class itself", () => {
    const client = nodeRedis(module);
    let prototype = client;
    while (!Object.hasOwn(prototype, "connect")) prototype = Object.getPrototypeOf(prototype);
    const restore = patchClass(prototype);
    expect(recognise(client)).toBe("native");
    restore();
  });

  it("is called where it connects in a way of its own", () => {
    const client = nodeRedis(module);
    client.connect = client.connect.bind(client);
    expectCalled(client, "node-redis");
    expect(refusal(client, { connection: "native" }).message).toContain("`connect`");
  });

  it("is called behind a proxy", () => {
    expect(recognise(new Proxy(nodeRedis(module), {})).adapter).toBe("node-redis");
  });

  it("is connected for natively as a cluster with readable settings", () => {
    const cluster = module.createCluster({ rootNodes: [{ url: "redis://127.0.0.1:1" }] });
    if (name !== "node-redis 4") return expect(recognise(cluster)).toBe("native");
    expectCalled(cluster, "node-redis");
    expect(refusal(cluster, { connection: "native" }).message).toContain("cluster");
  });

  it("is called as a cluster that translates addresses, sentinel or pool", () => {
    const rootNodes = [{ url: "redis://127.0.0.1:1" }];
    const clients = [
      [name === "node-redis 4" ? "cluster" : "nodeAddressMap", module.createCluster({ rootNodes, nodeAddressMap: {} })],
      ["createSentinel", module.createSentinel?.({ name: "main", sentinelRootNodes: [NOWHERE] })],
      ["pool", module.createClientPool?.({ url })],
    ].filter(([, client]) => client !== undefined);
    expect(clients).toHaveLength(name === "node-redis 4" ? 1 : 3);
    for (const [kind, client] of clients) {
      expectCalled(client, "node-redis");
      expect(refusal(client, { connection: "native" }).message).toContain(kind);
    }
  });

  it("is refused as a transaction, with callbacks, and once it has been closed", async () => {
    const client = nodeRedis(module);
    expect(refusal(client.multi()).message).toContain("exec()");
    if (client.legacy) expect(refusal(client.legacy()).message).toContain("legacy()");
    await client.connect();
    await client.disconnect();
    // Before version 5 a client does not show whether it was ever connected.
    if (client.socketEpoch !== undefined) expect(refusal(client).message).toContain("has been closed");
  });
});

describe("node-redis 4 in legacy mode", () => {
  it("is connected for natively, or called through the methods that return promises", async () => {
    const client = nodeRedis(redis4, { legacyMode: true });
    expect(recognise(client)).toBe("native");
    expect(recognise(client, { connection: "client" })).toMatchObject({ adapter: "node-redis", called: client.v4 });
    expect(recognise(client.v4).adapter).toBe("node-redis");
  });
});

const REST = { url: "https://nowhere.upstash.io", token: "hunter2" };

describe("clients over HTTP", () => {
  const upstashWith = (settings) => new upstash.Redis({ ...REST, ...settings });
  const withMiddleware = (client) => {
    client.use((request, next) => next(request));
    return client;
  };

  it.each([
    ["Upstash", () => upstashWith({})],
    ["Upstash without pipelining", () => upstashWith({ enableAutoPipelining: false })],
    ["Upstash without deserialisation", () => upstashWith({ automaticDeserialization: false })],
    ["Upstash without telemetry", () => upstashWith({ enableTelemetry: false, readYourWrites: false })],
    ["Upstash with its own count of attempts, said again", () => upstashWith({ retry: { retries: 5 } })],
    ["Vercel KV", () => createVercelClient(REST)],
  ])("%s is requested natively, or called with connection: client", (_, make) => {
    const client = make();
    for (const connection of ["auto", "native"]) {
      const store = recognise(client, { connection });
      expect([store.backend, store.called]).toEqual(["upstash", undefined]);
    }
    expect(recognise(client, { connection: "client" }).called === client).toBe(true);
    for (const queued of [client.pipeline(), client.multi()]) expect(refusal(queued).message).toContain("exec()");
  });

  it.each([
    ["requester", () => new upstash.Redis({ request: async () => ({ result: null }) })],
    ["middleware", () => withMiddleware(upstashWith({}))],
    ["`agent`", () => upstashWith({ agent: {} })],
    ["`signal`", () => upstashWith({ signal: new AbortController().signal })],
    ["`signal`", () => upstashWith({ signal: () => AbortSignal.timeout(1) })],
    ["`retry`", () => upstashWith({ retry: false })],
    ["`retry`", () => upstashWith({ retry: { retries: 2 } })],
    ["`retry`", () => upstashWith({ retry: { backoff: () => 1 } })],
    ["token", () => upstashWith({ token: "two words" })],
    ["url", () => upstashWith({ url: undefined })],
    [
      "`x-team`",
      () => {
        const client = upstashWith({});
        client.client.headers["x-team"] = "a";
        return client;
      },
    ],
  ])("Upstash with a %s of its own is called through its requests, and that named", (what, make) => {
    const client = make();
    expectCalled(client, "upstash");
    const error = refusal(client, { connection: "native" });
    expect(error.message).toContain(what);
    expect(error.message).not.toContain("hunter2");
  });
});

describe("kv of Vercel KV", () => {
  it("is requested natively, and says itself which variables are missing", async () => {
    const { kv } = await import("@vercel/kv");
    vi.stubEnv("KV_REST_API_URL", undefined).stubEnv("KV_REST_API_TOKEN", undefined);
    expect(refusal(kv).message).toContain("KV_REST_API_URL");
    vi.stubEnv("KV_REST_API_URL", REST.url).stubEnv("KV_REST_API_TOKEN", REST.token);
    expect(recognise(kv).backend).toBe("upstash");
    vi.unstubAllEnvs();
  });
});

describe("all others", () => {
  it("valkey-glide is called through its own adapter, and refused once closed", async () => {
    const { hostname: host, port } = new URL(url);
    const client = await GlideClient.createClient({ addresses: [{ host, port: Number(port || 6379) }] });
    expectCalled(client, "glide");
    expect(refusal(client, { connection: "native" }).message).toContain("valkey-glide");
    expect(refusal(new Batch(true)).message).toContain("exec()");
    client.close();
    expect(refusal(client).message).toContain("has been closed");
  });

  it("valkey-glide behind a proxy is called through its own adapter", async () => {
    const { hostname: host, port } = new URL(url);
    const client = await GlideClient.createClient({ addresses: [{ host, port: Number(port || 6379) }] });
    const proxy = new Proxy(client, {});
    expectCalled(proxy, "glide");
    const store = createRedisStore(proxy);
    const id = newId();
    await store.commitExecutionTaskResult(id, "task", 1);
    await store.disposeExecution(id);
    expect(await store.getExecutionTaskResults(id)).toEqual({});
    client.close();
  });

  it("ioredis-mock is called, and its transactions are refused", () => {
    expect(recognise(new Mock()).adapter).toBe("ioredis");
    expect(recognise(new Mock.Cluster([])).adapter).toBe("ioredis");
    for (const queued of [new Mock().multi(), new Mock().pipeline()]) {
      expect(refusal(queued).message).toContain("exec()");
    }
  });

  it("the client inside a BullMQ queue is called, and stays connected", async () => {
    const { hostname: host, port } = new URL(url);
    const queue = new Queue(newId("queue"), { connection: { host, port: Number(port || 6379) } });
    release.push(() => queue.close());
    const client = await queue.backend.client;
    expectCalled(client, "ioredis");
    const store = createRedisStore(client);
    const id = newId();
    await store.beginExecution(id);
    expect(await admin.get(id)).toBe("true");
    await store.close();
    expect(await client.ping()).toBe("PONG");
  });

  it("anything with the eight methods is called, in either spelling", () => {
    const client = createMapClient();
    expectCalled(client, "ioredis");
    expect(recognise(new Proxy(client, {})).adapter).toBe("ioredis");
    const answersToAll = new Proxy({}, { get: () => () => {} });
    expect(recognise(answersToAll).adapter).toBe("ioredis");
    const { hget: hGet, hset: hSet, hdel: hDel, hgetall: hGetAll, get, set, del, expire } = client;
    expect(recognise({ hGet, hSet, hDel, hGetAll, get, set, del, expire }).adapter).toBe("node-redis");
    expect(refusal({ hSet, get }).message).toBe("The client lacks the methods set, del, expire, hGet, hDel, hGetAll");
  });

  it("a function with the eight methods is called, as some mocks and lazy proxies are one", async () => {
    const client = createMapClient();
    const lazy = new Proxy(() => {}, { get: (_, name) => client[name] });
    for (const made of [Object.assign(() => {}, client), lazy]) {
      expectCalled(made, "ioredis");
      const store = createRedisStore(made);
      await store.beginExecution("id");
      expect(await store.isExecutionInProgress("id")).toBe(true);
    }
    expect(refusal(() => {}).message).toContain("a function");
  });

  it("a proxy that throws at what its client does not have is called", async () => {
    const client = createMapClient();
    const known = (name) => {
      if (name in client) return client[name];
      throw new Error(`unexpected: ${String(name)}`);
    };
    const refuse = () => {
      throw new Error("unexpected");
    };
    const handler = { has: refuse, ownKeys: refuse, getPrototypeOf: refuse, getOwnPropertyDescriptor: refuse };
    const strict = new Proxy({}, { ...handler, get: (_, name) => known(name) });
    expectCalled(strict, "ioredis");
    const store = createRedisStore(strict);
    await store.commitExecutionTaskResult("id", "task", [1]);
    expect(await store.getExecutionTaskResults("id")).toEqual({ task: [1] });
    // What it says of a method counts, such as what a lazy client says of missing variables.
    expect(refusal(new Proxy({}, { get: refuse })).message).toBe("unexpected");
  });

  it("a promise of a client is refused with advice", () => {
    expect(refusal(Promise.resolve({})).message).toContain("await it first");
  });
});
