/**
 * What a program can test for in an error: the class, the code, the reply, the ids, the key, the cause, and which properties there
 * are. Each failure is made for both releases, one after the other. Texts are no interface, and are not compared.
 */
import { deepStrictEqual, match } from "node:assert";
import { Redis } from "ioredis";
import { createAuthority } from "../../../tooling/servers/certificates.mjs";
import { freePort, startRedis } from "../../../tooling/servers/redis-server.mjs";
import { startTlsRedis } from "../../../tooling/servers/tls.mjs";
import { changesSince } from "./changelog.mjs";

/** Milliseconds a call may take where nothing answers. */
const COMMAND_TIMEOUT = 400;
const ID = "errors";

/** What differs, `[earlier, current]`, and the words of the changelog. */
const DIFFERENCES = {
  "TLS where the server has none": {
    codes: ["ERR_REDIS_CONNECTION", "ERR_REDIS_TIMEOUT"],
    said: /does not answer in TLS is `ERR_REDIS_TIMEOUT` with a `commandTimeout` of less than five seconds, too/,
  },
};

/** @param {import("./run.mjs").Context} context */
export async function checkErrors({ check, earlier, current, servers }) {
  const own = await startOwn();
  const changes = changesSince(earlier.version);
  try {
    for (const [name, make] of Object.entries(FAILURES)) {
      await check(name, async () => {
        const [before, now] = [await errorOf(earlier, make, servers, own), await errorOf(current, make, servers, own)];
        const difference = DIFFERENCES[name];
        if (!difference) return deepStrictEqual(now, before);
        deepStrictEqual([before.code, now.code], difference.codes);
        deepStrictEqual({ ...now, code: before.code }, before);
        match(changes, difference.said);
      });
    }
  } finally {
    await own.stop();
  }
}

/** Servers that refuse: a password, a replica, a full one; and a port at which nothing listens. */
async function startOwn() {
  const started = [];
  const start = async (args) => {
    const server = await startRedis({ args });
    started.push(server);
    return server;
  };
  const guarded = await start(["--requirepass", "right", "--user", "reader", "on", ">right", "~*", "+@read"]);
  const primary = await start([]);
  const replica = await start(["--replicaof", "127.0.0.1", String(primary.port)]);
  const full = await start(["--maxmemory", "1", "--maxmemory-policy", "noeviction"]);
  const stopped = await start([]);
  const authority = createAuthority();
  const secure = await startTlsRedis(authority);
  const mutual = await startTlsRedis(authority, { clients: "yes" });
  started.push(secure, mutual);
  return {
    authority,
    secure,
    mutual,
    guarded,
    replica,
    full,
    stopped,
    closed: `redis://127.0.0.1:${await freePort()}`,
    stop: () => Promise.all(started.map((server) => server.stop())),
  };
}

/** @type {Record<string, (context: { lib: object, open: (input: unknown, options?: object) => object, url: string, admin: Redis, rest: object, own: object }) => unknown>} */
const FAILURES = {
  ...each(
    "an id that is",
    { empty: "", "a number": 1, undefined, null: null, "an object": {} },
    (id) =>
      ({ open, url }) =>
        open(url).beginExecution(id),
  ),
  "a task's id that is empty": ({ open, url }) => open(url).beginExecutionTask(ID, ""),
  "a task's id that is a number": ({ open, url }) => open(url).commitExecutionTaskResult(ID, 7, 1),
  ...each(
    "a result that is",
    unserialisable(),
    (value) =>
      ({ open, url }) =>
        open(url).commitExecutionTaskResult(ID, "task", value),
  ),
  "a stored result that is not JSON": async ({ open, url, admin }) => {
    await admin.hset(`${ID}-results`, "good", "1", "bad", "{");
    return open(url).getExecutionTaskResult(ID, "bad");
  },
  "stored results of which one is not JSON": async ({ open, url, admin }) => {
    await admin.hset(`${ID}-results`, "good", "1", "bad", "{");
    return open(url).getExecutionTaskResults(ID);
  },
  "a key of another type, begun": async ({ open, url, admin }) => {
    await admin.rpush(ID, "element");
    return open(url).beginExecution(ID);
  },
  "a key of another type, read": async ({ open, url, admin }) => {
    await admin.rpush(ID, "element");
    return open(url).isExecutionInProgress(ID);
  },
  "a hash of another type, written": async ({ open, url, admin }) => {
    await admin.rpush(`${ID}-results`, "element");
    return open(url).commitExecutionTaskResult(ID, "task", 1);
  },
  "a hash of another type, read": async ({ open, url, admin }) => {
    await admin.rpush(`${ID}-transactions`, "element");
    return open(url).isExecutionTaskInProgress(ID, "task");
  },
  "a server that is not there, written": ({ open, own }) =>
    open(own.closed, { commandTimeout: COMMAND_TIMEOUT }).beginExecution(ID),
  "a server that is not there, read": ({ open, own }) =>
    open(own.closed, { commandTimeout: COMMAND_TIMEOUT }).getExecutionTaskResult(ID, "task"),
  "a host that does not exist": ({ open }) =>
    open("redis://nowhere.invalid:6379", { commandTimeout: COMMAND_TIMEOUT }).beginExecution(ID),
  "a Unix socket that is not there": ({ open }) =>
    open("/nowhere/redis.sock", { commandTimeout: COMMAND_TIMEOUT }).beginExecution(ID),
  "a server that does not answer, at the first call": ({ open, own }) =>
    whilePaused(own.stopped, () => open(own.stopped.url, { commandTimeout: COMMAND_TIMEOUT }).beginExecution(ID)),
  "a server that does not answer any more, written": ({ open, own }) =>
    afterOneCall(open(own.stopped.url, { commandTimeout: COMMAND_TIMEOUT }), (store) =>
      whilePaused(own.stopped, () => store.commitExecutionTaskResult(ID, "task", 1)),
    ),
  "a server that does not answer any more, read": ({ open, own }) =>
    afterOneCall(open(own.stopped.url, { commandTimeout: COMMAND_TIMEOUT }), (store) =>
      whilePaused(own.stopped, () => store.getExecutionTaskResults(ID)),
    ),
  "a call after the end": async ({ open, url }) => {
    const store = open(url);
    await store.close();
    return store.commitExecutionTaskResult(ID, "task", 1);
  },
  "more calls than maxPending": ({ open, url }) => {
    const store = open(url, { maxPending: 1 });
    return Promise.all([store.beginExecution(ID), store.beginExecution(ID)]);
  },
  "no password": ({ open, own }) => open(own.guarded.url).beginExecution(ID),
  "a wrong password": ({ open, own }) => open(own.guarded.url.replace("//", "//:wrong@")).beginExecution(ID),
  "a user who may not write": ({ open, own }) =>
    open(own.guarded.url.replace("//", "//reader:right@")).beginExecution(ID),
  "a replica": ({ open, own }) => open(own.replica.url, { commandTimeout: COMMAND_TIMEOUT }).beginExecution(ID),
  "a server without memory": ({ open, own }) => open(own.full.url).commitExecutionTaskResult(ID, "task", 1),
  "a database that the server does not have": ({ open, url }) => open(`${url}/999`).beginExecution(ID),
  "a certificate of an authority that is not trusted": ({ open, own }) =>
    open(own.secure.tlsUrl, { commandTimeout: COMMAND_TIMEOUT }).beginExecution(ID),
  "a certificate for another name": ({ open, own }) => {
    const tls = { ca: own.authority.cert, servername: "elsewhere.invalid" };
    return open(
      { host: "127.0.0.1", port: own.secure.tlsPort, tls },
      { commandTimeout: COMMAND_TIMEOUT },
    ).beginExecution(ID);
  },
  "a client certificate that is missing": ({ open, own }) => {
    const tls = { ca: own.authority.cert };
    return open(
      { host: "127.0.0.1", port: own.mutual.tlsPort, tls },
      { commandTimeout: COMMAND_TIMEOUT },
    ).beginExecution(ID);
  },
  "TLS where the server has none": ({ open, url }) =>
    open(url.replace("redis:", "rediss:"), { commandTimeout: COMMAND_TIMEOUT }).beginExecution(ID),
  "no TLS where the server has it": ({ open, own }) =>
    open(own.secure.tlsUrl.replace("rediss:", "redis:"), { commandTimeout: COMMAND_TIMEOUT }).beginExecution(ID),
  "a wrong token over HTTP": ({ open, rest }) => open({ url: rest.url, token: "wrong" }).beginExecution(ID),
  "a key of another type, over HTTP": async ({ open, rest, admin }) => {
    await admin.rpush(ID, "element");
    return open({ url: rest.url, token: rest.token }).isExecutionInProgress(ID);
  },
  "a stored result that is not JSON, over HTTP": async ({ open, rest, admin }) => {
    await admin.hset(`${ID}-results`, "bad", "{");
    return open({ url: rest.url, token: rest.token }).getExecutionTaskResult(ID, "bad");
  },
  "an endpoint that is not there": ({ open, own }) =>
    open(
      { url: own.closed.replace("redis:", "http:"), token: "token" },
      { commandTimeout: COMMAND_TIMEOUT },
    ).beginExecution(ID),
  "a client that rejects": ({ open }) => open(failingClient(new Error("refused by the client"))).beginExecution(ID),
  "a client that rejects with an error of the server": ({ open }) =>
    open(failingClient(Object.assign(new Error("OOM command not allowed"), { name: "ReplyError" }))).beginExecution(ID),
  "a client that throws": ({ open }) => open(failingClient(new TypeError("thrown"), true)).getExecutionTaskResults(ID),
  "a client that never answers": ({ open }) =>
    open({ ...failingClient(), set: () => new Promise(() => {}) }, { commandTimeout: COMMAND_TIMEOUT }).beginExecution(
      ID,
    ),
  "an ioredis client that has ended, through its methods": async ({ open, url }) => {
    const client = new Redis(url);
    await client.ping();
    const store = open(client, { connection: "client" });
    await client.quit();
    return store.beginExecution(ID);
  },
  "an ioredis client that has ended, whose settings are in use": async ({ open, url }) => {
    const client = new Redis(url);
    const store = open(client);
    await store.isExecutionInProgress(ID);
    client.disconnect();
    await new Promise((resolve) => client.once("end", resolve));
    return store.beginExecution(ID);
  },
  "an error that is made by hand": ({ lib }) => {
    throw new lib.RedisStoreError("by hand", { code: "ERR_REDIS_CLOSED", key: "key", cause: "cause" });
  },
};

function each(title, values, make) {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [`${title} ${name}`, make(value)]));
}

function unserialisable() {
  const cycle = {};
  cycle.itself = cycle;
  return {
    "a BigInt": 1n,
    "a cycle": cycle,
    "a function": () => 1,
    "a symbol": Symbol("s"),
    undefined,
    "an object whose toJSON throws": {
      toJSON() {
        throw new RangeError("toJSON");
      },
    },
    "an object whose toJSON gives undefined": { toJSON() {} },
  };
}

function failingClient(error, thrown = false) {
  const fail = () => {
    if (thrown) throw error;
    return Promise.reject(error);
  };
  return { get: fail, set: fail, hset: fail, hget: fail, hdel: fail, hgetall: fail, del: fail, expire: fail };
}

async function afterOneCall(store, then) {
  await store.isExecutionInProgress(ID);
  return then(store);
}

async function whilePaused(server, action) {
  server.pause();
  try {
    return await action();
  } finally {
    server.resume();
  }
}

/** The error that a failure ends with, in what can be compared. */
async function errorOf({ lib }, make, { redis, rest }, own) {
  await redis.admin.flushall();
  rest.clearFaults();
  const stores = [];
  const open = (input, options) => {
    const store = lib.createRedisStore(input, options);
    stores.push(store);
    return store;
  };
  try {
    await make({ lib, open, url: redis.server.url, admin: redis.admin, rest, own });
  } catch (error) {
    return describe(error, lib);
  } finally {
    await Promise.all(stores.map((store) => store.close()));
  }
  throw new Error("It did not fail");
}

/** @param {Error} error */
export function describe(error, { RedisStoreError }) {
  const { name, code, reply, executionId, taskId, key, cause } = error;
  return {
    class: error.constructor.name,
    ofStore: error instanceof RedisStoreError,
    text: Object.prototype.toString.call(error),
    name,
    code,
    reply,
    executionId,
    taskId,
    key,
    cause: cause instanceof Error ? [cause.constructor.name, cause.code] : typeof cause,
    properties: Object.getOwnPropertyNames(error).sort(),
    enumerable: Object.keys(error).sort(),
  };
}
