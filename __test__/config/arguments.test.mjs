// What createRedisStore refuses, at once and with a message that helps.
import { once } from "node:events";
import { inspect } from "node:util";
import { Redis } from "ioredis";
import { Redis as Redis5 } from "ioredis-5";
import { afterAll, describe, expect, it } from "vitest";
import { createRedisStore } from "../../index.js";
import { createMapClient } from "../support/map-client.mjs";
import { sharedRedis } from "../support/redis.mjs";

const { url } = sharedRedis();

const clients = [];
function connect(Client) {
  const client = new Client(url, { lazyConnect: true });
  clients.push(client);
  return client;
}

afterAll(() => {
  for (const client of clients) client.disconnect();
});

function thrownBy(...args) {
  try {
    createRedisStore(...args);
  } catch (error) {
    return error;
  }
  return expect.fail(`accepted ${inspect(args)}`);
}

describe("what is no place for executions", () => {
  it.each([
    ["null", null, "null"],
    ["a boolean", true, "true"],
    ["a symbol", Symbol("s"), "symbol"],
    ["a BigInt", 1n, "bigint"],
    ["a function", () => 1, "function"],
    ["a class", Redis, "function"],
    ["a date", new Date(), "Date"],
    ["a Map", new Map(), "Map"],
    ["a Buffer", Buffer.from("redis://localhost"), "Buffer"],
  ])("is a TypeError that says what is accepted and what was passed: %s", (_, redis, passed) => {
    const error = thrownBy(redis);
    expect(error).toBeInstanceOf(TypeError);
    for (const accepted of [/URL/, /configuration/, /ioredis/, /hgetall/]) expect(error.message).toMatch(accepted);
    expect(error.message).toContain(passed);
    expect(error.code).toBe("ERR_REDIS_CONFIG");
  });

  it.each([
    ["an empty object", {}, /host/],
    ["an object that says nothing", { password: "x", keyPrefix: "app:" }, /host/],
    ["an empty string", "", /empty/],
    ["an empty list of servers", [], /empty/],
    ["a list of what are no servers", [true], /nodes\[0\]/],
    ["sentinels without a name", { sentinels: [{ host: "h" }] }, /name/],
    ["a cluster without nodes", { rootNodes: [] }, /empty/],
    ["a misspelt key", { hots: "localhost" }, /hots.*host/],
    ["an unknown key", { host: "localhost", nonsense: 1 }, /nonsense/],
    ["an unknown key in the socket", { socket: { hostname: "localhost" } }, /hostname.*socket\.host/],
    [
      "an option of ioredis's Cluster",
      { host: "h", redisOptions: { password: "x" } },
      /Cluster: pass an array of nodes/,
    ],
    ["two of them alone", { nodes: [{ host: "h" }], redisOptions: {} }, /cluster: pass them as an array/],
    ["two styles at once", { port: 6379, socket: { host: "localhost" } }, /socket/],
    ["a URL and a different host beside it", { url: "redis://one:1", socket: { host: "two" } }, /twice/],
    ["a host of the wrong type", { host: 1 }, /host/],
    ["a port that is text", { port: "high" }, /port/],
    ["a timeout that is text", { host: "localhost", connectTimeout: "1s" }, /connectTimeout/],
    ["a client that lacks methods", { ...createMapClient(), hgetall: undefined, expire: undefined }, /expire, hgetall/],
  ])("is a TypeError that says why: %s", (_, redis, reason) => {
    const error = thrownBy(redis);
    expect(error).toBeInstanceOf(TypeError);
    expect(error.message).toMatch(reason);
  });

  it.each([
    ["a port beyond the last", { port: 65_536 }, /port/],
    ["a port that is no integer", { port: 1.5 }, /port/],
    ["a negative database", { db: -1 }, /db/],
    ["a database that is no integer", { socket: {}, database: 0.5 }, /database/],
    ["a negative timeout", { host: "localhost", commandTimeout: -1 }, /commandTimeout/],
    ["a number that is no port", 0, /port/],
  ])("is a RangeError where only the number is wrong: %s", (_, redis, reason) => {
    const error = thrownBy(redis);
    expect(error).toBeInstanceOf(RangeError);
    expect(error.message).toMatch(reason);
  });

  it.each([
    ["rejectUnauthorized", { host: "localhost", tls: { rejectUnauthorized: false } }],
    ["rejectUnauthorized", { socket: { host: "localhost", tls: true, rejectUnauthorized: false } }],
    ["checkServerIdentity", { host: "localhost", tls: { checkServerIdentity: () => undefined } }],
    ["ciphers", { url: "rediss://localhost", socket: { ciphers: "ALL" } }],
    ["tls", { host: "localhost", tls: "yes" }],
    ["tls", { socket: { host: "localhost", tls: {} } }],
    ["tls", { url: "rediss://localhost", socket: { tls: false } }],
    ["ca", { socket: { host: "localhost", ca: "PEM" } }],
    ["ca", { host: "localhost", tls: { ca: "/etc/ssl/ca.pem" } }],
    ["tls", "redis://localhost?tls=true"],
  ])("is a TypeError, and never plaintext, where TLS cannot be as it is asked for: %s of %o", (setting, redis) => {
    const error = thrownBy(redis);
    expect(error).toBeInstanceOf(TypeError);
    expect(error.message).toContain(setting);
  });

  it.each([
    "http://localhost:6379",
    "ftp://localhost",
    "redis:/localhost",
    "redis://localhost:port",
    "redis://localhost:99999",
    "redis://localhost/one",
    "redis://local host",
    "redis://[::1",
    new URL("https://localhost"),
  ])("is an error where a URL makes no sense: %o", (redis) => {
    const error = thrownBy(redis);
    expect(error instanceof TypeError || error instanceof RangeError).toBe(true);
    expect(error.code).toBe("ERR_REDIS_CONFIG");
  });
});

describe("what looks like a client and is none", () => {
  it.each([
    ["a pipeline of ioredis 6", () => connect(Redis).pipeline()],
    ["a transaction of ioredis 6", () => connect(Redis).multi()],
    ["a pipeline of ioredis 5", () => connect(Redis5).pipeline()],
    ["a transaction of ioredis 5", () => connect(Redis5).multi()],
  ])("is a TypeError: %s", (_, make) => {
    for (const connection of ["auto", "client", "native"]) {
      const error = thrownBy(make(), { connection });
      expect(error).toBeInstanceOf(TypeError);
      expect(error.message).toMatch(/pipeline or transaction/);
    }
  });

  it.each([
    ["ioredis 6", Redis],
    ["ioredis 5", Redis5],
  ])("is a TypeError: an instance of %s that has ended", async (_, Client) => {
    const client = connect(Client);
    await client.connect();
    const ended = once(client, "end");
    client.disconnect();
    await ended;
    for (const connection of ["auto", "client", "native"]) {
      const error = thrownBy(client, { connection });
      expect(error).toBeInstanceOf(TypeError);
      expect(error.message).toMatch(/ended/);
    }
  });
});

describe("the options", () => {
  it.each([
    ["a number", 1000],
    ["false", false],
    ["text", "ttl=1000"],
    ["a function", () => ({})],
    ["an array", [1000]],
  ])("are an object: not %s", (_, options) => {
    expect(thrownBy(url, options)).toBeInstanceOf(TypeError);
  });

  it.each([
    ["an unknown one", { nonsense: 1 }, /nonsense/],
    ["a misspelt one", { tll: 1000 }, /tll.*ttl/],
    ["a setting of another package", { px: 1000 }, /px.*ttl/],
    ["a slidingTtl that is text", { slidingTtl: "yes" }, /slidingTtl/],
    ["a keyPrefix that is a number", { keyPrefix: 1 }, /keyPrefix/],
    ["hashTags that are a number", { hashTags: 1 }, /hashTags/],
    ["a connection of no known kind", { connection: "tcp" }, /connection.*auto.*native.*client/],
    ["a connection that is a boolean", { connection: true }, /connection/],
    ["a commandTimeout that is text", { commandTimeout: "1s" }, /commandTimeout/],
    ["a maxPending that is text", { maxPending: "many" }, /maxPending/],
  ])("are a TypeError that names the key: %s", (_, options, reason) => {
    const error = thrownBy(url, options);
    expect(error).toBeInstanceOf(TypeError);
    expect(error.message).toMatch(reason);
  });

  it.each([
    ["commandTimeout", 0],
    ["commandTimeout", -1],
    ["commandTimeout", Number.NaN],
    ["commandTimeout", Number.POSITIVE_INFINITY],
    ["connectTimeout", 0],
    ["connectTimeout", -1],
    ["maxPending", 0],
    ["maxPending", -1],
    ["maxPending", 1.5],
    ["maxPending", Number.NaN],
  ])("are a RangeError that names the key: %s of %s", (key, value) => {
    const error = thrownBy(url, { [key]: value });
    expect(error).toBeInstanceOf(RangeError);
    expect(error.message).toContain(key);
  });

  it.each([
    "ttl",
    "slidingTtl",
    "keyPrefix",
    "hashTags",
    "connection",
    "commandTimeout",
    "connectTimeout",
    "maxPending",
    "readAhead",
    "warnings",
  ])("that are undefined or null are left out: %s", (key) => {
    for (const connection of [url, createMapClient()]) {
      const { backend } = createRedisStore(connection);
      for (const absent of [undefined, null]) {
        expect(createRedisStore(connection, { [key]: absent }).backend).toBe(backend);
      }
    }
  });

  it("may be null themselves", () => {
    expect(createRedisStore(url, null).backend).toBe("redis");
    expect(createRedisStore(createMapClient(), null).backend).toBe("client");
  });

  it.each([
    ["NaN", Number(undefined), RangeError],
    ["text", "60000", TypeError],
    ["empty text", "", TypeError],
    ["a date", new Date(), TypeError],
  ])("have no ttl that is %s, and the error says what was given", (_, ttl, ErrorClass) => {
    for (const connection of [url, createMapClient()]) {
      const error = thrownBy(connection, { ttl });
      expect(error).toBeInstanceOf(ErrorClass);
      expect(error.code).toBe("ERR_REDIS_CONFIG");
      expect(error.message).toMatch(/^`ttl` must be a .*number of milliseconds/);
      const shown = typeof ttl === "string" ? JSON.stringify(ttl) : ttl instanceof Date ? "an instance of Date" : "NaN";
      expect(error.message).toMatch(new RegExp(`got ${shown}$`));
    }
  });

  it("cannot ask for a native connection where there are no settings for one", () => {
    const error = thrownBy(createMapClient(), { connection: "native" });
    expect(error).toBeInstanceOf(TypeError);
    expect(error.message).toMatch(/native/);
  });

  it("cannot ask for the client's own methods where there is no client", () => {
    for (const redis of [url, { host: "localhost" }]) {
      const error = thrownBy(redis, { connection: "client" });
      expect(error).toBeInstanceOf(TypeError);
      expect(error.message).toMatch(/client/);
    }
  });
});

describe("a password", () => {
  const SECRET = "hunter2";

  it.each([
    ["in a URL that asks for TLS twice", `rediss://user:${SECRET}@localhost?tls=true`],
    ["in a URL of another scheme", `amqp://user:${SECRET}@localhost`],
    ["in a URL with a wrong port", `redis://user:${SECRET}@localhost:99999`],
    ["in a URL with a wrong database", `redis://user:${SECRET}@localhost/x`],
    ["with characters that a URL cannot have", `redis://user:${SECRET}/?#@localhost:6379`],
    ["in a URL object", new URL(`https://user:${SECRET}@localhost`)],
    ["in a configuration", { host: "localhost", password: SECRET, port: -1 }],
    ["in a configuration with a misspelt key", { host: "localhost", pasword: SECRET }],
    ["in a configuration, of the wrong type", { host: "localhost", password: [SECRET] }],
    ["in a host", { host: `redis://:${SECRET}@localhost` }],
    ["in a URL that belongs elsewhere", { port: `redis://:${SECRET}@localhost` }],
    ["in a node-redis-style configuration", { socket: { host: "a" }, password: SECRET, database: -1 }],
    ["given twice", { url: `redis://:${SECRET}@localhost`, password: `${SECRET}3` }],
  ])("is in no error: %s", (_, redis) => {
    const error = thrownBy(redis);
    expect(inspect(error, { depth: null, showHidden: true })).not.toContain(SECRET);
    expect(JSON.stringify(error)).not.toContain(SECRET);
  });

  it("is not in the store either", () => {
    const store = createRedisStore(`redis://user:${SECRET}@localhost:6379`);
    expect(inspect(store, { depth: null, showHidden: true })).not.toContain(SECRET);
  });

  it("is not in the error of a call that cannot connect", async () => {
    const store = createRedisStore(`redis://user:${SECRET}@127.0.0.1:1`, { commandTimeout: 200 });
    const error = await store.isExecutionInProgress("execution").catch((reason) => reason);
    expect(error).toMatchObject({ name: "RedisStoreError" });
    expect(inspect(error, { depth: null, showHidden: true })).not.toContain(SECRET);
    await store.close();
  });
});
