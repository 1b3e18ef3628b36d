/**
 * Who takes part in the benchmark: our store, the reference store on ioredis (the baseline), and the reference store's
 * command sequence on other clients through thin adapters.
 */
import { createRequire } from "node:module";
import { createReferenceStore } from "../tooling/reference-store.mjs";
import { upstashAdapter } from "../tooling/upstash-adapter.mjs";

const require = createRequire(import.meta.url);

/** Milliseconds that glide may take for one command: its own default of 250 is too short for the heavy cases. */
const GLIDE_REQUEST_TIMEOUT = 60_000;

/** Commands that glide may have in flight: its own default of 1 000 is below the case with 100 000. */
const GLIDE_INFLIGHT_LIMIT = 1_000_000;

/**
 * A store that is ready to be called. `close` ends its connection, and with it what keeps the process alive.
 *
 * @typedef {{ store: object, close: () => unknown }} Opened
 *
 * @typedef {object} Contender
 * @property {string} title how people call it
 * @property {(url: string, options?: { ttl?: number }) => Opened | Promise<Opened>} open loads the client and makes a
 *   store on it. Nothing of the client is loaded before.
 */

/** @type {Record<string, Contender>} */
export const contenders = {
  ours: {
    title: "@idioteque/redis",
    open(url, options) {
      const store = require("../index.js").createRedisStore(url, options);
      return { store, close: () => store.close() };
    },
  },
  "ours-claim": {
    title: "@idioteque/redis with claim",
    open(url, options) {
      const claim = () => new Error("in progress already");
      const store = require("../index.js").createRedisStore(url, { ...options, claim });
      return { store, close: () => store.close() };
    },
  },
  "ours-client-mode": {
    title: "@idioteque/redis on the caller's ioredis",
    open(url, options) {
      const { Redis } = require("ioredis");
      const redis = new Redis(url);
      const store = require("../index.js").createRedisStore(redis, { ...options, connection: "client" });
      return {
        store,
        async close() {
          await store.close();
          redis.disconnect();
        },
      };
    },
  },
  ioredis: {
    title: "ioredis",
    open(url, options) {
      const { Redis } = require("ioredis");
      const redis = new Redis(url);
      return { store: createReferenceStore(redis, options), close: () => redis.disconnect() };
    },
  },
  "ioredis-cluster": {
    title: "ioredis Cluster",
    open(nodes, options) {
      const { Cluster } = require("ioredis");
      const cluster = new Cluster(nodes);
      return { store: createReferenceStore(cluster, options), close: () => cluster.disconnect() };
    },
  },
  "ioredis-auto-pipelining": {
    title: "ioredis, auto-pipelining",
    open(url, options) {
      const { Redis } = require("ioredis");
      const redis = new Redis(url, { enableAutoPipelining: true });
      return { store: createReferenceStore(redis, options), close: () => redis.disconnect() };
    },
  },
  "node-redis": {
    title: "node-redis",
    async open(url, options) {
      const { createClient } = require("redis");
      const client = createClient({ url });
      await client.connect();
      return { store: createReferenceStore(nodeRedisAdapter(client), options), close: () => client.destroy() };
    },
  },
  "valkey-glide": {
    title: "valkey-glide",
    async open(url, options) {
      const { GlideClient } = require("@valkey/valkey-glide");
      const { hostname, port } = new URL(url);
      const client = await GlideClient.createClient({
        addresses: [{ host: hostname, port: Number(port) }],
        requestTimeout: GLIDE_REQUEST_TIMEOUT,
        inflightRequestsLimit: GLIDE_INFLIGHT_LIMIT,
      });
      return { store: createReferenceStore(glideAdapter(client), options), close: () => client.close() };
    },
  },
  "ours-upstash": {
    title: "@idioteque/redis over HTTP",
    open(address, options) {
      const store = require("../index.js").createRedisStore(restSettings(address), options);
      return { store, close: () => store.close() };
    },
  },
  upstash: {
    title: "@upstash/redis",
    open(address, options) {
      const { Redis } = require("@upstash/redis");
      const redis = new Redis({ ...restSettings(address), automaticDeserialization: false });
      return { store: createReferenceStore(upstashAdapter(redis), options), close: () => undefined };
    },
  },
};

/** The store whose figures all others are compared with. */
export const BASELINE = "ioredis";

/** The same store where the server is a cluster. */
export const BASELINE_CLUSTER = "ioredis-cluster";

/** Everybody else who drives the reference store's command sequence. */
export const RIVALS = ["ioredis-auto-pipelining", "node-redis", "valkey-glide"];

/** The methods of ioredis that the reference store calls, on node-redis, which has them in camel case. */
function nodeRedisAdapter(client) {
  return {
    get: (key) => client.get(key),
    set: (key, value) => client.set(key, value),
    expire: (key, seconds) => client.expire(key, seconds),
    hset: (key, fields) => client.hSet(key, fields),
    hget: (key, field) => client.hGet(key, field),
    hgetall: (key) => client.hGetAll(key),
    hdel: (key, field) => client.hDel(key, field),
    del: (key) => client.del(key),
  };
}

/** The URL and the token of an endpoint, which comes as one URL with the token as its user. */
function restSettings(address) {
  const url = new URL(address);
  const token = url.username;
  url.username = "";
  return { url: url.href, token };
}

/** The same on valkey-glide, which takes lists of keys and fields and answers hashes as a list of pairs. */
function glideAdapter(client) {
  return {
    get: (key) => client.get(key),
    set: (key, value) => client.set(key, value),
    expire: (key, seconds) => client.expire(key, seconds),
    hset: (key, fields) => client.hset(key, fields),
    hget: (key, field) => client.hget(key, field),
    async hgetall(key) {
      const hash = {};
      for (const { field, value } of await client.hgetall(key)) hash[field] = value;
      return hash;
    },
    hdel: (key, field) => client.hdel(key, [field]),
    del: (key) => client.del([key]),
  };
}
