// A server whose settings lose executions is warned about, once, on an idle moment, and never in the way of a call.
import { Redis } from "ioredis";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { createRedisStore } from "../../index.js";
import { secret } from "../../tooling/secrets.mjs";
import { startFakeRedis } from "../support/fake-redis.mjs";
import { eventually, privateRedis } from "../support/redis.mjs";

const warnings = [];
const note = (warning) => warnings.push(warning);
beforeAll(() => process.on("warning", note));
afterAll(() => process.off("warning", note));

const open = [];
afterEach(() => Promise.all(open.splice(0).map((store) => store.close())));

function openStore(...args) {
  const store = createRedisStore(...args);
  open.push(store);
  return store;
}

/** The codes of the warnings about a server. */
const codesOf = ({ port }) => warnings.filter(({ message }) => message.includes(`:${port} `)).map(({ code }) => code);

/** Waits until a store knows its server, which is when it has warned, too. */
async function known(store) {
  await eventually(() => store.stats().serverVersion !== undefined, { message: "the server's version" });
  await new Promise(setImmediate);
}

it("eviction and missing persistence are warned about, once", async () => {
  const args = ["--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru", "--save", ""];
  const server = await privateRedis({ args });
  const store = openStore(server.url);
  await store.beginExecution("warned");
  const { bytesWritten, roundTrips } = store.stats();
  await known(store);
  expect(codesOf(server).sort()).toEqual(["IDIOTEQUE_REDIS_EVICTION", "IDIOTEQUE_REDIS_PERSISTENCE"]);
  expect(store.stats().serverVersion).toMatch(/^(Redis|Valkey) \d+\.\d+/);
  expect(store.stats().roundTrips).toBe(roundTrips);
  expect(store.stats().bytesWritten).toBeGreaterThan(bytesWritten);
  const another = openStore(server.url, { commandTimeout: 4321 });
  await another.beginExecution("warned");
  await known(another);
  expect(codesOf(server)).toHaveLength(2);
});

it("volatile policies are warned about where keys expire", async () => {
  const args = ["--maxmemory", "100mb", "--maxmemory-policy", "volatile-lru"];
  const [one, other] = await Promise.all([privateRedis({ args }), privateRedis({ args })]);
  const [expiring, lasting] = [openStore(one.url, { ttl: 3_600_000 }), openStore(other.url)];
  await Promise.all([expiring, lasting].map((store) => store.beginExecution("volatile")));
  await Promise.all([expiring, lasting].map(known));
  expect([codesOf(one), codesOf(other)]).toEqual([["IDIOTEQUE_REDIS_EVICTION"], []]);
});

it("nothing is said of a server that is as it should be, or with warnings: false", async () => {
  const good = await privateRedis({ appendonly: true });
  const quiet = await privateRedis({ args: ["--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"] });
  const stores = [openStore(good.url), openStore(quiet.url, { warnings: false })];
  await Promise.all(stores.map((store) => store.beginExecution("quiet")));
  await Promise.all(stores.map(known));
  expect([codesOf(good), codesOf(quiet)]).toEqual([[], []]);
});

it("an old server is warned about, and one that forbids the questions is not asked twice", async () => {
  const asked = [];
  const versions = { server: "redis_version:5.0.14", memory: "maxmemory:0", persistence: "aof_enabled:1" };
  const bulk = (text) => `$${text.length}\r\n${text}\r\n`;
  const answer =
    (knows) =>
    ({ command: [name, section] }) => {
      if (name === "INFO" || name === "CONFIG") asked.push(name);
      if (name === "GET") return "$-1\r\n";
      return knows && name === "INFO" ? bulk(versions[section]) : "-NOPERM this user has no permissions\r\n";
    };
  const [old, silent] = await Promise.all([startFakeRedis(answer(true)), startFakeRedis(answer(false))]);
  try {
    const stores = [old, silent].map(({ port }) => openStore(`redis://127.0.0.1:${port}`));
    await Promise.all(stores.map((store) => store.isExecutionInProgress("old")));
    await eventually(() => asked.length === 8, { message: "both being asked" });
    await known(stores[0]);
    expect(codesOf(old)).toEqual(["IDIOTEQUE_REDIS_VERSION"]);
    await Promise.all(stores.map((store) => store.isExecutionInProgress("old")));
    await Promise.all(stores.map((store) => store.ping().catch(() => {})));
    expect([asked.length, codesOf(silent)]).toEqual([8, []]);
  } finally {
    await Promise.all(open.splice(0).map((store) => store.close()));
    await Promise.all([old.stop(), silent.stop()]);
  }
});

it("a user who may not ask is not warned, and not disturbed", async () => {
  const password = secret("may-not");
  const user = ["--user", "few", "on", `>${password}`, "~*", "-@all", "+set", "+get", "+client|info"];
  const server = await privateRedis({ args: [...user, "--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"] });
  const admin = new Redis(server.url);
  const store = openStore(`redis://few:${password}@127.0.0.1:${server.port}`);
  try {
    await store.beginExecution("few");
    const refused = async () =>
      /cmdstat_info:calls=\d+,[^\r]*rejected_calls=[1-9]/.test(await admin.info("commandstats"));
    await eventually(refused, { message: "the refusal" });
    expect(await store.isExecutionInProgress("few")).toBe(true);
    expect(store.stats()).toMatchObject({ connects: 1, status: "ready" });
    expect(codesOf(server)).toEqual([]);
  } finally {
    admin.disconnect();
  }
});
