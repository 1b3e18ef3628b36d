/**
 * What else a program, an operator or a project can see of a release: exports and members, what is in the package, connections and
 * their names, the permissions that are needed, warnings, when the first connection is made. Where the two differ, the table below
 * says how, with the words of the changelog; any other difference fails, and so does one that is not there any more.
 */
import { deepStrictEqual, match, ok, strictEqual } from "node:assert";
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { Redis } from "ioredis";
import Mock from "ioredis-mock";
import { eventually } from "../../../tooling/eventually.mjs";
import { startRedis } from "../../../tooling/servers/redis-server.mjs";
import { changesSince } from "./changelog.mjs";

const TTL_MS = 60_000;
const DEADLINE_MS = 30_000;

/** What a user of the earlier release was told to allow: at least, where it may be had, and to a server of a cluster. */
const PERMISSIONS = ["get", "set", "hget", "hset", "hdel", "hgetall", "unlink", "pexpire", "multi", "exec"];
const MORE_PERMISSIONS = ["select", "client|info", "client|kill", "client|setname"];
const CLUSTER_PERMISSIONS = ["cluster|slots", "cluster|myid", "asking"];

/** What differs, `[earlier, current]`, and the words of the changelog. */
const DIFFERENCES = {
  exports: {
    found: [[], ["createRedisStoreFromEnv"]],
    said: /there is the new `createRedisStoreFromEnv\(options\)`/,
  },
  members: {
    found: [[], ["ping", "stats", "status", "touch"]],
    said: /`status`, `stats\(\)`.*and `ping\(\)`.*`store\.touch\(executionId, taskId\?\)`/,
  },
  enumerable: { found: [[], ["ping", "stats", "touch"]], said: /`status`, `stats\(\)`.*and `ping\(\)`/ },
  entries: {
    found: [[], ["./admin", "./otel"]],
    said: /`@idioteque\/redis\/otel`.*`@idioteque\/redis\/admin`/,
  },
  manifest: {
    found: [[], ["bin", "peerDependencies", "peerDependenciesMeta"]],
    said: /`@opentelemetry\/api` is an optional peer dependency.*`npx @idioteque\/redis`\*\* \(`idioteque-redis`\)/,
  },
  "connection's name": { found: ["", "idioteque-redis"], said: /Connections have a name in `CLIENT LIST`/ },
  "warnings about the server": {
    found: [[], ["IDIOTEQUE_REDIS_PERSISTENCE"]],
    said: /keep nothing on disk \(`IDIOTEQUE_REDIS_PERSISTENCE`\)/,
  },
};

/** @param {import("./run.mjs").Context} context */
export async function checkSurface({ check, earlier, current, servers }) {
  const changes = changesSince(earlier.version);
  const both = async (name, find) => {
    const [before, now] = [await find(earlier), await find(current)];
    const difference = DIFFERENCES[name];
    if (!difference) return deepStrictEqual(now, before);
    deepStrictEqual(Array.isArray(before) ? onlyIn(before, now) : [before, now], difference.found);
    match(changes, difference.said);
  };
  const compared = (title, name, find) => check(title, () => both(name, find));

  await compared("what is exported", "exports", ({ lib }) => Object.keys(lib));
  await compared("the class of errors", "class", ({ lib: { RedisStoreError } }) => {
    const error = new RedisStoreError("text", { code: "ERR_REDIS_CLOSED" });
    return [Object.getPrototypeOf(RedisStoreError) === Error, RedisStoreError.name, String(error), Object.keys(error)];
  });
  await compared("the members of a store", "members", (side) => membersOf(side, servers));
  await compared("those of them that a copy has", "enumerable", (side) => membersOf(side, servers, Object.keys));
  await compared("its methods", "methods", (side) => methodsOf(side, servers));
  await compared("a store as JSON", "json", ({ lib }) => JSON.stringify(lib.createRedisStore("redis://localhost")));
  await compared("the calls that a client's methods see", "calls", (side) => callsOf(side, servers));
  await compared("those with a ttl", "calls with a ttl", (side) => callsOf(side, servers, { ttl: TTL_MS + 1 }));
  await check("ioredis-mock takes the place of a server", async () => {
    for (const { lib } of [earlier, current]) await everyCall(lib, new Mock(), { ttl: TTL_MS });
  });
  await compared("what can be imported", "entries", ({ manifest }) => Object.keys(manifest.exports).sort());
  await compared("the runtimes that entries are for", "conditions", ({ manifest }) =>
    Object.keys(manifest.exports["."]),
  );
  await compared("what the package says of itself", "manifest", ({ manifest }) => Object.keys(manifest).sort());
  await compared("the versions of Node.js", "engines", ({ manifest }) => manifest.engines);
  await compared("the platforms", "platforms", ({ manifest }) => Object.keys(manifest.optionalDependencies).sort());
  await compared("dependencies", "dependencies", ({ manifest }) => manifest.dependencies ?? {});
  await check("no file of the earlier package that can be imported is gone", () => importable(earlier, current));

  await compared("no connection before the first call", "first", (side) => connectionsBefore(side));
  await compared("the connections of eight stores with equal settings", "connections", (side) => connectionsOf(side));
  await compared("the connection's name", "connection's name", (side) => nameOf(side));
  await compared("a name that is configured", "configured name", (side) => nameOf(side, { connectionName: "mine" }));
  await compared("warnings about the server", "warnings about the server", (side) => warningsOf(side));
  await compared("the warning about a password that nobody asked for", "password", (side) =>
    warningsOf(side, {}, ["IDIOTEQUE_REDIS_PASSWORD"]),
  );
  await compared("none with warnings: false", "no warnings", (side) => warningsOf(side, { warnings: false }));
  await check("the permissions of the earlier release are enough", () =>
    permissions(current, servers, [...PERMISSIONS, ...MORE_PERMISSIONS]),
  );
  await check("the fewest permissions of the earlier release are enough", () =>
    permissions(current, servers, PERMISSIONS),
  );
  await check("those for a cluster too", () => clusterPermissions(current, servers));
}

const METHODS = [
  ["beginExecution", "isExecutionInProgress", "beginExecutionTask", "isExecutionTaskInProgress"],
  ["commitExecutionTaskResult", "getExecutionTaskResult", "getExecutionTaskResults", "disposeExecution", "close"],
].flat();

async function methodsOf({ lib }, { redis }) {
  const store = lib.createRedisStore(redis.server.url);
  await store.close();
  const described = METHODS.map((name) => [name, typeof store[name], store[name].name]);
  return { described, disposal: typeof store[Symbol.asyncDispose], frozen: Object.isFrozen(store) };
}

/** What a mock that is spied on would have been called with. */
async function callsOf({ lib }, { redis: { admin } }, options) {
  await admin.flushall();
  const calls = [];
  const names = ["get", "set", "hset", "hget", "hdel", "hgetall", "del", "expire"];
  const methods = names.map((name) => {
    const method = (...args) => {
      calls.push([name, ...args]);
      return admin[name](...args);
    };
    return [name, method];
  });
  await everyCall(lib, Object.fromEntries(methods), options);
  return calls;
}

function onlyIn(before, now) {
  return [before.filter((one) => !now.includes(one)), now.filter((one) => !before.includes(one)).sort()];
}

async function membersOf({ lib }, { redis }, names = Object.getOwnPropertyNames) {
  const store = lib.createRedisStore(redis.server.url);
  await store.close();
  return names(store).sort();
}

/** Each file that `exports` leads to, for each condition. */
function importable(earlier, current) {
  const leads = ({ manifest }) =>
    Object.entries(manifest.exports).flatMap(([name, to]) =>
      Object.keys(typeof to === "string" ? { default: to } : to).map((condition) => `${name} ${condition}`),
    );
  for (const name of leads(earlier)) ok(leads(current).includes(name), name);
  for (const side of [earlier, current]) {
    ok(existsSync(join(side.home, side.manifest.types)), side.manifest.types);
    createRequire(join(side.home, "..", "..", "package.json"))(side.home);
  }
  // What was no entry could not be imported: `exports` has led nowhere else.
  ok(earlier.manifest.exports["./*"] === undefined);
}

/** A server of its own, whose counts nobody else changes. */
async function withServer(use) {
  const server = await startRedis();
  const admin = new Redis(server.url);
  try {
    return await use(server, admin);
  } finally {
    admin.disconnect();
    await server.stop();
  }
}

const others = async (admin) => {
  const own = await admin.client("ID");
  const list = await admin.client("LIST");
  return list
    .trim()
    .split("\n")
    .filter((line) => !line.startsWith(`id=${own} `));
};

function connectionsBefore({ lib }) {
  return withServer(async (server, admin) => {
    const store = lib.createRedisStore(server.url);
    await admin.ping();
    const before = (await others(admin)).length;
    await store.isExecutionInProgress("first");
    const during = (await others(admin)).length;
    await store.close();
    await eventually(async () => (await others(admin)).length === 0, { message: "the end of the connection" });
    return { before, during };
  });
}

function connectionsOf({ lib }) {
  return withServer(async (server, admin) => {
    const stores = Array.from({ length: 8 }, () => lib.createRedisStore(server.url));
    await Promise.all(stores.map((store) => store.beginExecution("connections")));
    const count = (await others(admin)).length;
    await Promise.all(stores.map((store) => store.close()));
    return count;
  });
}

function nameOf({ lib }, more) {
  return withServer(async ({ host, port }, admin) => {
    const store = lib.createRedisStore({ host, port, ...more });
    await store.beginExecution("name");
    const [line] = await others(admin);
    await store.close();
    return / name=(\S*)/.exec(line)[1];
  });
}

/** The codes of the warnings that a process gets which makes a call, and waits until nothing more can come: all, or some. */
function warningsOf({ home }, options = {}, only = undefined) {
  return withServer(async (server, admin) => {
    await admin.config("SET", "save", "");
    const url = only ? server.url.replace("//", "//:needless@") : server.url;
    const source = `
      const { createRedisStore } = require(${JSON.stringify(home)});
      const codes = [];
      process.on("warning", ({ code }) => codes.push(code));
      const store = createRedisStore(${JSON.stringify(url)}, ${JSON.stringify(options)});
      store.beginExecution("warnings").then(() => setTimeout(async () => {
        await store.close();
        console.log(JSON.stringify(codes));
      }, ${WARNED_WITHIN_MS}));
    `;
    const { status, stdout, stderr } = spawnSync(process.execPath, ["--eval", source], {
      encoding: "utf8",
      timeout: DEADLINE_MS,
    });
    strictEqual(status, 0, stderr);
    return JSON.parse(stdout).filter((code) => only === undefined || only.includes(code));
  });
}

/** The server is asked when a connection has been idle for a second, and at the latest after ten. */
const WARNED_WITHIN_MS = 12_000;

async function permissions({ lib }, { redis: { server, admin } }, allowed) {
  await setUser(admin, allowed);
  try {
    for (const options of [{}, { ttl: TTL_MS }, { ttl: TTL_MS, slidingTtl: true }, { readAhead: false }]) {
      await admin.flushall();
      await everyCall(lib, server.url.replace("//", "//upgrade:secret@"), options);
    }
  } finally {
    await admin.call("ACL", "DELUSER", "upgrade");
  }
}

async function clusterPermissions({ lib }, { cluster: { startup, admins } }) {
  for (const admin of admins) await setUser(admin, [...PERMISSIONS, ...MORE_PERMISSIONS, ...CLUSTER_PERMISSIONS]);
  try {
    const nodes = startup.map((node) => ({ ...node, username: "upgrade", password: "secret" }));
    for (const options of [{}, { ttl: TTL_MS }, { ttl: TTL_MS, slidingTtl: true, hashTags: true }]) {
      for (const admin of admins) await admin.flushall();
      await everyCall(lib, nodes, options);
    }
  } finally {
    for (const admin of admins) await admin.call("ACL", "DELUSER", "upgrade");
  }
}

async function setUser(admin, commands) {
  const rules = commands.map((command) => `+${command}`);
  await admin.call("ACL", "SETUSER", "upgrade", "reset", "on", ">secret", "~*", "-@all", ...rules);
}

/** A workflow of a few steps, as a worker asks. */
async function everyCall({ createRedisStore }, input, options) {
  const store = createRedisStore(input, options);
  try {
    for (const id of ["first", "second"]) {
      await store.beginExecution(id);
      deepStrictEqual({ ...(await store.getExecutionTaskResults(id)) }, {});
      for (const task of ["a", "b", "c"]) {
        strictEqual(await store.isExecutionInProgress(id), true);
        strictEqual(await store.getExecutionTaskResult(id, task), undefined);
        strictEqual(await store.isExecutionTaskInProgress(id, task), false);
        await store.beginExecutionTask(id, task);
        strictEqual(await store.isExecutionTaskInProgress(id, task), true);
        await store.commitExecutionTaskResult(id, task, task);
        strictEqual(await store.getExecutionTaskResult(id, task), task);
      }
      deepStrictEqual({ ...(await store.getExecutionTaskResults(id)) }, { a: "a", b: "b", c: "c" });
      await store.disposeExecution(id);
      strictEqual(await store.isExecutionInProgress(id), false);
    }
  } finally {
    await store.close();
  }
}
