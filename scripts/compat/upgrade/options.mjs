/**
 * What may be passed to `createRedisStore`: whatever the earlier release accepted is accepted, and means the same; what it refused is
 * refused in the same way, unless it was made to be accepted. What differs stands in the table, with the words of the changelog.
 */
import { deepStrictEqual, match, notDeepStrictEqual, strictEqual } from "node:assert";
import { Redis as Upstash } from "@upstash/redis";
import { Cluster, Redis } from "ioredis";
import Mock from "ioredis-mock";
import { Redis as Valkey } from "iovalkey";
import { createClient, createCluster, createSentinel } from "redis";
import { changesSince } from "./changelog.mjs";
import { describe } from "./errors.mjs";

const lazy = { lazyConnect: true };

/** Arguments by what they are. Nothing is called, so nothing is connected to. */
const ARGUMENTS = {
  "a URL": ["redis://localhost"],
  "a URL with everything": ["rediss://user:p%40ss@host:6390/3"],
  "a URL of Valkey": ["valkey://localhost"],
  "a URL of Valkey with TLS": ["valkeys://localhost"],
  "an address without a scheme": ["localhost:6380"],
  "the path of a socket": ["/tmp/redis.sock"],
  "a URL of a socket": ["unix:///tmp/redis.sock"],
  "a URL object": [new URL("redis://localhost")],
  "a port": [6379],
  "an empty text": [""],
  "a URL over HTTP": ["https://localhost"],
  "a configuration of ioredis": [
    { host: "h", port: 1, username: "u", password: "p", db: 2, keyPrefix: "k:", family: 4 },
  ],
  "more of ioredis": [
    { host: "h", connectTimeout: 1, commandTimeout: 2, connectionName: "n", maxRetriesPerRequest: 3 },
  ],
  "a configuration of ioredis with TLS": [{ host: "h", tls: { servername: "s", minVersion: "TLSv1.2" } }],
  "a configuration of ioredis without certificates": [{ host: "h", tls: { rejectUnauthorized: false } }],
  "a configuration of node-redis": [{ url: "redis://h", socket: { connectTimeout: 1 }, database: 1, name: "n" }],
  "node-redis with TLS": [{ socket: { host: "h", tls: true, servername: "s" } }],
  "sentinels of ioredis": [{ sentinels: [{ host: "s", port: 26379 }], name: "main", sentinelPassword: "p" }],
  "sentinels of ioredis, a replica": [{ sentinels: [{ host: "s" }], name: "main", role: "slave" }],
  "sentinels of node-redis": [{ sentinelRootNodes: [{ host: "s", port: 26379 }], name: "main" }],
  "nodes of a cluster": [[{ host: "a", port: 1 }, "redis://b:2", 6379]],
  "a configuration of a cluster of node-redis": [{ rootNodes: [{ url: "redis://a:1" }], defaults: { password: "p" } }],
  "an Upstash configuration": [{ url: "https://example.upstash.io", token: "t" }],
  "an Upstash configuration without read-your-writes": [
    { url: "https://e.upstash.io", token: "t", readYourWrites: false },
  ],
  "no servers": [[]],
  "an unknown key": [{ host: "h", nonsense: 1 }],
  "a misspelt key": [{ hots: "h" }],
  "options of a cluster": [{ host: "h", redisOptions: { password: "p" } }],
  "a client of ioredis": () => [new Redis(lazy)],
  "a cluster of ioredis": () => [new Cluster([{ host: "a" }], lazy)],
  "a cluster of ioredis that reads from replicas": () => [
    new Cluster([{ host: "a" }], { ...lazy, scaleReads: "slave" }),
  ],
  "a client of ioredis, readOnly": () => [new Redis({ ...lazy, readOnly: true })],
  "a client of ioredis with sentinels, a replica": () => [
    new Redis({ ...lazy, sentinels: [{ host: "s" }], name: "main", role: "slave" }),
  ],
  "a cluster of ioredis that reads from replicas, with natMap": () => [
    new Cluster([{ host: "a" }], { ...lazy, scaleReads: "slave", natMap: { "a:1": { host: "b", port: 2 } } }),
  ],
  "a client of ioredis-mock": () => [new Mock()],
  "a client of ioredis of which a method is replaced": () => [
    Object.assign(new Redis(lazy), { get: async () => null }),
  ],
  "a client of node-redis": () => [createClient()],
  "a client of node-redis, readonly": () => [createClient({ readonly: true })],
  "a cluster of node-redis": () => [createCluster({ rootNodes: [{ url: "redis://a:1" }] })],
  "a cluster of node-redis that reads from replicas": () => [
    createCluster({ rootNodes: [{ url: "redis://a:1" }], useReplicas: true }),
  ],
  "a Sentinel client of node-redis": () => [
    createSentinel({ name: "main", sentinelRootNodes: [{ host: "s", port: 1 }] }),
  ],
  "a client of Upstash": () => [new Upstash({ url: "https://e.upstash.io", token: "t" })],
  "a client of Upstash without read-your-writes": () => [
    new Upstash({ url: "https://e.upstash.io", token: "t", readYourWrites: false }),
  ],
  "a client of Valkey": () => [new Valkey(lazy)],
  "a pipeline": () => [new Redis(lazy).pipeline()],
  "eight methods": () => [eightMethods()],
  "seven methods": () => [{ ...eightMethods(), del: undefined }],
  "eight methods, and a native connection": () => [eightMethods(), { connection: "native" }],
  null: [null],
  undefined: [undefined],
  "undefined with options": [undefined, { ttl: 1 }],
  nothing: [],
  "a number that is no port": [0],
  "a function": [() => 1],
  "a Map": [new Map()],
  ...options({
    none: [undefined, {}, null, 1, "text", []],
    ttl: [undefined, null, 0, 1, 1.5, 3_600, 86_400_000, -1, Number.NaN, Infinity, "1", 1n, true, 2 ** 53],
    slidingTtl: [undefined, null, true, false, 1, "true"],
    keyPrefix: [undefined, null, "", "p:", 1, Buffer.from("p")],
    hashTags: [undefined, null, true, false, 0],
    connection: [undefined, null, "auto", "native", "client", "other", true],
    readAhead: [undefined, null, true, false, "false"],
    commandTimeout: [undefined, null, 0, 1, 1.5, 600_000, Infinity, -1, Number.NaN, "1", 2 ** 31],
    connectTimeout: [undefined, null, 0, 1, 600_000, Infinity, -1, Number.NaN, "1", 2 ** 31],
    maxPending: [undefined, null, 0, 1, 1e6, Infinity, -1, 1.5, Number.NaN, "1"],
    warnings: [undefined, null, true, false, 0],
    tll: [1],
  }),
};

const REST = { UPSTASH_REDIS_REST_URL: "https://e.upstash.io", UPSTASH_REDIS_REST_TOKEN: "t" };
const KV = { KV_REST_API_URL: "https://e.upstash.io", KV_REST_API_TOKEN: "t" };
const ENVIRONMENTS = [
  {},
  { REDIS_URL: "redis://localhost" },
  { REDIS_URL: "" },
  { REDIS_URL: "nonsense://localhost" },
  REST,
  KV,
  { REDIS_URL: "redis://localhost", ...REST },
  { UPSTASH_REDIS_REST_URL: "https://e.upstash.io" },
  { ...KV, REDIS_URL: "" },
];

const UNDEFINED = /Breaking: an `undefined` as first argument throws/;
const REPLICAS = /Breaking: a client that reads from replicas is refused by name where nothing else can be done/;
const READ_ONLY =
  /`readOnly` of ioredis and `readonly` of node-redis.*`backend` is then `"redis"`, where it was `"client"`/;

/**
 * What differs, what becomes of it (a backend, or `refused`), and where the changelog says so.
 *
 * @type {Record<string, { now: string, said: RegExp }>}
 */
const DIFFERENCES = {
  undefined: { now: "refused", said: UNDEFINED },
  "undefined with options": { now: "refused", said: UNDEFINED },
  "a client of ioredis with sentinels, a replica": { now: "refused", said: REPLICAS },
  "a cluster of ioredis that reads from replicas, with natMap": { now: "refused", said: REPLICAS },
  "a client of ioredis, readOnly": { now: "redis", said: READ_ONLY },
  "a client of node-redis, readonly": { now: "redis", said: READ_ONLY },
};

/** @param {import("./run.mjs").Context} context */
export async function checkOptions({ check, earlier, current, servers }) {
  const changes = changesSince(earlier.version);
  const environment = { ...process.env };
  try {
    for (const variables of ENVIRONMENTS) {
      await check(`createRedisStore(), ${JSON.stringify(variables)}`, async () => {
        setEnvironment(environment, variables);
        deepStrictEqual(await outcome(current, () => []), await outcome(earlier, () => []));
      });
    }
    setEnvironment(environment, { REDIS_URL: servers.redis.server.url });
    for (const [name, passed] of Object.entries(ARGUMENTS)) {
      await check(`createRedisStore, ${name}`, async () => {
        const make = typeof passed === "function" ? passed : () => passed;
        const [before, now] = [await outcome(earlier, make), await outcome(current, make)];
        const difference = differenceOf(name, passed);
        if (!difference) return deepStrictEqual(now, before);
        notDeepStrictEqual(now, before);
        strictEqual(typeof now === "string" ? now : "refused", difference.now);
        match(changes, difference.said);
      });
    }
    await check("the defaults", () => defaults([earlier, current], servers));
  } finally {
    process.env = environment;
  }
}

/** Nothing of the own environment says where to connect. */
function setEnvironment(own, variables) {
  const neutral = Object.entries(own).filter(([name]) => !/^(REDIS|KV|UPSTASH)_/.test(name));
  process.env = { ...Object.fromEntries(neutral), ...variables };
}

function differenceOf(name, passed) {
  // `null` counts as absent, in every option and in place of them.
  const isNull = Array.isArray(passed) && (passed[1] === null || Object.values(passed[1] ?? {}).includes(null));
  return isNull ? { now: "redis", said: /`null` counts as absent in every option/ } : DIFFERENCES[name];
}

/** The backend of the store that was made, or the error. */
async function outcome({ lib }, make) {
  const args = make();
  try {
    const store = lib.createRedisStore(...args);
    const { backend } = store;
    await store.close();
    return backend;
  } catch (error) {
    return describe(error, lib);
  } finally {
    args[0]?.disconnect?.();
  }
}

function options(table) {
  const entries = Object.entries(table).flatMap(([name, values]) =>
    values.map((value) => [
      `${name === "none" ? "options" : name}: ${textOf(value)}`,
      ["redis://localhost", name === "none" ? value : { [name]: value }],
    ]),
  );
  return Object.fromEntries(entries);
}

function textOf(value) {
  if (typeof value === "bigint") return `${value}n`;
  return typeof value === "number" || value === undefined ? String(value) : JSON.stringify(value);
}

function eightMethods() {
  const answer = async () => null;
  return {
    get: answer,
    set: answer,
    hset: answer,
    hget: answer,
    hdel: answer,
    hgetall: answer,
    del: answer,
    expire: answer,
  };
}

/** No expiry, no prefix, no tags, ten seconds for a call; the marks of tasks and orphans stay. */
async function defaults(sides, { redis: { server, admin } }) {
  const found = [];
  for (const { lib } of sides) {
    await admin.flushall();
    const store = lib.createRedisStore(server.url);
    await store.beginExecution("defaults");
    await store.beginExecutionTask("defaults", "a");
    await store.beginExecutionTask("defaults", "a");
    await store.commitExecutionTaskResult("defaults", "b", 1);
    const keys = (await admin.keys("*")).sort();
    found.push({
      keys,
      expiries: await Promise.all(keys.map((key) => admin.pttl(key))),
      ...(await whatIsPending(lib)),
    });
    await store.close();
  }
  deepStrictEqual(found[1], found[0]);
}

/** How many calls may be in flight at once, and how long one may take: at a port that accepts and says nothing. */
async function whatIsPending({ createRedisStore }) {
  const { createServer } = await import("node:net");
  const sockets = new Set();
  const silent = createServer((socket) => sockets.add(socket.on("error", () => {}))).listen(0, "127.0.0.1");
  await new Promise((resolve) => silent.once("listening", resolve));
  const store = createRedisStore(`redis://127.0.0.1:${silent.address().port}`);
  const began = Date.now();
  const codes = new Map();
  const calls = Array.from({ length: PENDING }, () =>
    store.isExecutionInProgress("pending").catch(({ code }) => codes.set(code, (codes.get(code) ?? 0) + 1)),
  );
  await Promise.all(calls);
  const seconds = Math.floor((Date.now() - began) / 1000);
  await store.close();
  for (const socket of sockets) socket.destroy();
  silent.close();
  return { codes: Object.fromEntries(codes), seconds: seconds >= 9 && seconds < 30 ? "about ten" : seconds };
}

const PENDING = 110_000;
