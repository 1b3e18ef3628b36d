// A store with a connection of its own, made from a live client, whose settings it uses: it follows the client's database and
// credentials, ends with it, and changes nothing of it.
import { Redis } from "ioredis";
import { default as Redis4 } from "ioredis-4";
import { Redis as Redis5 } from "ioredis-5";
import { Redis as Iovalkey } from "iovalkey";
import * as redis6 from "redis";
import * as redis4 from "redis-4";
import * as redis5 from "redis-5";
import { afterAll, afterEach, describe, expect, it } from "vitest";
import { createRedisStore } from "../../index.js";
import { secret } from "../../tooling/secrets.mjs";
import { countConnections } from "../support/connections.mjs";
import { ioredisConfiguration } from "../support/inputs.mjs";
import { eventually, privateRedis, sharedRedis } from "../support/redis.mjs";

const { url, admin, newId } = sharedRedis();

const stray = [];
const note = (error) => stray.push(error);
process.on("unhandledRejection", note);
process.on("uncaughtException", note);
process.on("warning", note);
afterAll(() => {
  process.off("unhandledRejection", note);
  process.off("uncaughtException", note);
  process.off("warning", note);
});

const release = [];
afterEach(async () => {
  for (const end of release.splice(0).reverse()) await end();
  expect(stray).toEqual([]);
});

function open(client, options) {
  const store = createRedisStore(client, options);
  release.push(() => store.close());
  expect(store.backend).toBe("redis");
  return store;
}

function adminOf(server, options) {
  const client = new Redis(server.url, { ...options, maxRetriesPerRequest: null });
  release.push(() => client.disconnect());
  return client;
}

/** How to do the same things with clients of both families. */
const ioredisFamily = (Client) => ({
  async make(at, { name, database, password } = {}) {
    const options = { lazyConnect: true, connectionName: name, db: database, password };
    const client = new Client({ ...ioredisConfiguration(at), ...options });
    client.on("error", () => {});
    release.push(() => client.disconnect());
    return client;
  },
  end: (client) => client.quit(),
  isOpen: (client) => client.status === "ready",
  setPassword(client, password) {
    client.options.password = password;
  },
});

const nodeRedisFamily = (module) => ({
  async make(at, { name, database, password, username } = {}) {
    const options = { url: at, name, database, password, username };
    for (const key of Object.keys(options)) if (options[key] === undefined) delete options[key];
    const client = module.createClient(options);
    client.on("error", () => {});
    release.push(() => client.isOpen && client.disconnect());
    return client;
  },
  end: (client) => client.quit(),
  isOpen: (client) => client.isReady,
  setPassword(client, password) {
    client.options.password = password;
  },
});

const FAMILIES = [
  ["ioredis 6", ioredisFamily(Redis)],
  ["ioredis 5", ioredisFamily(Redis5)],
  ["ioredis 4", ioredisFamily(Redis4)],
  ["iovalkey", ioredisFamily(Iovalkey)],
  ["node-redis 6", nodeRedisFamily(redis6)],
  ["node-redis 5", nodeRedisFamily(redis5)],
  ["node-redis 4", nodeRedisFamily(redis4)],
];

/** The databases in which an execution is marked. */
async function databasesWith(id) {
  const found = [];
  const looking = new Redis(url, { lazyConnect: true });
  for (let database = 0; database < 10; database++) {
    await looking.select(database);
    if (await looking.get(id)) {
      found.push(database);
      await looking.del(id);
    }
  }
  looking.disconnect();
  return found;
}

describe.each(FAMILIES)("a client of %s", (_, family) => {
  it("is not connected for the store, nor changed by it", async () => {
    const client = await family.make(url, { database: 2 });
    const shown = () => [
      Object.getOwnPropertyNames(client),
      JSON.stringify({ ...client.options, modules: undefined }),
      client.eventNames().map((name) => [name, client.listenerCount(name)]),
    ];
    const before = shown();
    const store = open(client);
    const id = newId();
    await store.beginExecution(id);
    expect(family.isOpen(client)).toBe(false);
    expect(shown()).toEqual(before);
    expect(await databasesWith(id)).toEqual([2]);
    await client.connect();
    await store.close();
    expect(await client.ping()).toBe("PONG");
  });

  it("gives the store the database that select() chose before the first call", async () => {
    const client = await family.make(url, { database: 3 });
    const store = open(client);
    await client.connect();
    await client.select(5);
    const id = newId();
    await store.beginExecution(id);
    expect(await databasesWith(id)).toEqual([5]);
  });

  it("has its new database followed after a reconnection", async () => {
    const name = newId("following");
    const client = await family.make(url, { name });
    const store = open(client);
    await client.connect();
    await store.beginExecution(newId());
    await client.select(6);
    // The client's own connection is in database 6 by now, the store's is still in 0.
    const list = (await admin.client("LIST")).split("\n").filter((line) => line.includes(` name=${name} `));
    const left = list.filter((line) => / db=0 /.test(line)).map((line) => /^id=(\d+) /.exec(line)[1]);
    expect(left).toHaveLength(1);
    await admin.client("KILL", "ID", left[0]);
    const id = newId();
    await store.beginExecution(id);
    expect(await databasesWith(id)).toEqual([6]);
  });

  it("may change its password, which is used at the next connection", async () => {
    const server = await privateRedis({ args: ["--requirepass", secret("old")] });
    const looking = adminOf(server, { password: secret("old") });
    const client = await family.make(server.url, { password: secret("old"), name: "rotating" });
    const store = open(client, { commandTimeout: 8000 });
    const id = newId();
    await store.beginExecution(id);
    await looking.config("SET", "requirepass", secret("new"));
    family.setPassword(client, secret("new"));
    await looking.client("KILL", "TYPE", "normal", "SKIPME", "yes");
    expect(await store.isExecutionInProgress(id)).toBe(true);
    expect(await countConnections(looking, "rotating")).toBe(1);
  });

  it("ends the store with it, and releases the connection even without a call", async () => {
    const name = newId("ending");
    const client = await family.make(url, { name });
    await client.connect();
    const store = open(client);
    const idle = open(client);
    await store.beginExecution(newId());
    await idle.beginExecution(newId());
    expect(await countConnections(admin, name)).toBe(2);
    await family.end(client);
    await eventually(() => !family.isOpen(client));
    await eventually(async () => (await countConnections(admin, name)) === 0, { message: "the end of the connection" });
    for (const ended of [store, idle]) {
      const error = await ended.beginExecution("gone").catch((error) => error);
      expect(error).toMatchObject({ name: "RedisStoreError", code: "ERR_REDIS_CLOSED", executionId: "gone" });
      expect(error.message).toContain("the client it was made from has ended");
    }
  });

  it("carries a thousand stores on one connection, without a listener more", async () => {
    const name = newId("many");
    const client = await family.make(url, { name });
    const listeners = () => client.eventNames().map((event) => [event, client.listenerCount(event)]);
    const before = listeners();
    const stores = Array.from({ length: 1000 }, () => createRedisStore(client));
    await Promise.all(stores.map((store) => store.isExecutionInProgress(newId())));
    expect(await countConnections(admin, name)).toBe(1);
    expect(listeners()).toEqual(before);
    await Promise.all(stores.map((store) => store.close()));
    await eventually(async () => (await countConnections(admin, name)) === 0);
    await client.connect();
    expect(await client.ping()).toBe("PONG");
  });
});

describe.each(FAMILIES.slice(0, 4))("an instance of %s", (_, family) => {
  it("has each call go where its own next command would go, whenever select() is called", async () => {
    const client = await family.make(url, { database: 1 });
    await client.connect();
    const store = open(client);
    const ids = [newId(), newId(), newId(), newId()];
    const calls = [store.beginExecution(ids[0])];
    const selected = client.select(4);
    calls.push(store.beginExecution(ids[1]));
    await selected;
    await store.beginExecution(ids[2]);
    await client.select(1);
    await store.beginExecution(ids[3]);
    await Promise.all(calls);
    for (const [index, database] of [1, 4, 4, 1].entries()) {
      expect(await databasesWith(ids[index])).toEqual([database]);
    }
  });

  it("has calls that wait for a connection go where they would have gone when they were made", async () => {
    const server = await privateRedis();
    const looking = adminOf(server);
    const client = await family.make(server.url, {});
    await client.connect();
    const store = open(client);
    await store.beginExecution(newId());
    server.pause();
    const calls = [store.beginExecution("first")];
    const selected = client.select(2);
    calls.push(store.beginExecution("second"));
    server.resume();
    await Promise.all([...calls, selected]);
    expect(await looking.get("first")).toBe("true");
    await looking.select(2);
    expect([await looking.get("first"), await looking.get("second")]).toEqual([null, "true"]);
  });
});

describe.each([
  ["node-redis 6", redis6],
  ["node-redis 5", redis5],
])("a client of %s", (_, module) => {
  it("has its credentials provider asked at every connection", async () => {
    const server = await privateRedis({ args: ["--requirepass", secret("one")] });
    const looking = adminOf(server, { password: secret("one") });
    let password = secret("one");
    let asked = 0;
    const credentialsProvider = {
      type: "async-credentials-provider",
      credentials: async () => {
        asked += 1;
        return { password };
      },
    };
    const client = module.createClient({ url: server.url, credentialsProvider, name: "provided" });
    const store = open(client, { commandTimeout: 8000 });
    const id = newId();
    await store.beginExecution(id);
    expect(asked).toBe(1);
    password = secret("two");
    await looking.config("SET", "requirepass", secret("two"));
    await looking.client("KILL", "TYPE", "normal", "SKIPME", "yes");
    expect(await store.isExecutionInProgress(id)).toBe(true);
    expect(asked).toBeGreaterThan(1);
  });

  it("whose provider fails has calls fail with its reason as the cause, not for ever", async () => {
    let broken = true;
    const credentialsProvider = {
      type: "async-credentials-provider",
      credentials: async () => {
        if (broken) throw new Error("no token today");
        return {};
      },
    };
    const client = module.createClient({ url, credentialsProvider });
    // Longer than the longest pause between two attempts.
    const store = open(client, { commandTimeout: 3000 });
    const error = await store.beginExecution(newId()).catch((error) => error);
    expect(error).toMatchObject({ code: "ERR_REDIS_CONNECTION", cause: { message: "no token today" } });
    broken = false;
    expect(await store.isExecutionInProgress(newId())).toBe(false);
  });

  it("whose user may not ask for the database has calls say what to do", async () => {
    const server = await privateRedis();
    const looking = adminOf(server);
    await looking.acl("SETUSER", "narrow", "on", "nopass", "~*", "+@all", "-client|info");
    const client = module.createClient({ url: server.url, username: "narrow", password: secret("any") });
    client.on("error", () => {});
    release.push(() => client.disconnect());
    await client.connect();
    const store = open(client);
    const error = await store.beginExecution(newId()).catch((error) => error);
    expect(error).toMatchObject({ code: "ERR_REDIS_CONFIG" });
    expect(error.message).toContain('`connection: "client"`');
  });
});

describe("node-redis 4 in legacy mode", () => {
  it("is followed like any other", async () => {
    const client = redis4.createClient({ url, legacyMode: true });
    release.push(() => client.isOpen && client.disconnect());
    await client.connect();
    await client.v4.select(7);
    const id = newId();
    await open(client).beginExecution(id);
    expect(await databasesWith(id)).toEqual([7]);
  });
});
