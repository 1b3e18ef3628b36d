// A ttl that looks like seconds on a server that is not this machine: the store is made, and the process warned once per server.
import { Cluster, Redis } from "ioredis";
import { createClient } from "redis";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { createRedisStore } from "../../index.js";
import { createMapClient } from "../support/map-client.mjs";
import { eventually } from "../support/redis.mjs";

const CODE = "IDIOTEQUE_REDIS_TTL";
const warnings = [];
const note = (warning) => warnings.push(warning);
beforeAll(() => void process.on("warning", note));
afterAll(() => void process.off("warning", note));

const endings = [];
afterEach(() => {
  for (const end of endings.splice(0)) end();
});

let hosts = 0;
const newHost = () => {
  hosts += 1;
  return `ttl-${hosts}.example`;
};

const told = () => warnings.filter(({ code }) => code === CODE).map(({ message }) => message);

/** What the process was warned of because of these calls: warnings come in the order in which they are emitted. */
async function warningsOf(make) {
  const before = told().length;
  make();
  const marker = `marker ${warnings.length}`;
  process.emitWarning(marker, { code: "TEST" });
  await eventually(() => warnings.some(({ message }) => message === marker));
  return told().slice(before);
}

const lazy = (client) => {
  endings.push(() => client.disconnect());
  return client;
};

describe("a ttl below a minute", () => {
  it.each([
    ["a URL", (host) => `redis://${host}`],
    ["a configuration", (host) => ({ host })],
    ["a node-redis-style configuration", (host) => ({ socket: { host } })],
    ["servers of a cluster", (host) => [{ host }]],
    ["sentinels", (host) => ({ sentinels: [{ host }], name: "main" })],
    ["Upstash", (host) => ({ url: `https://${host}`, token: "token" })],
    ["an ioredis instance", (host) => lazy(new Redis({ host, lazyConnect: true }))],
    ["an ioredis cluster", (host) => lazy(new Cluster([{ host }], { lazyConnect: true }))],
    ["a node-redis client", (host) => createClient({ url: `redis://${host}` })],
  ])("is asked about once for each server: %s", async (_, make) => {
    const [one, other] = [newHost(), newHost()];
    const open = (host, options) => createRedisStore(make(host), { ttl: 3600, ...options });
    expect(await warningsOf(() => open(one, { warnings: false }))).toEqual([]);
    expect(await warningsOf(() => [open(one), open(one, { ttl: 86_400 / 24 }), open(other)])).toEqual([
      expect.stringMatching(/^`ttl` is 3600: are these seconds\? .* expires 3\.6 seconds .* `ttl: 3600 \* 1000`/),
      expect.stringContaining("`ttl` is 3600"),
    ]);
  });

  it.each(["localhost", "127.0.0.1", "[::1]", "redis.localhost"])("is nobody's concern on %s", async (host) => {
    expect(await warningsOf(() => createRedisStore(`redis://${host}:1`, { ttl: 1 }))).toEqual([]);
  });

  it("is nobody's concern over a Unix socket and over the methods of a client", async () => {
    expect(await warningsOf(() => createRedisStore("/run/redis.sock", { ttl: 1 }))).toEqual([]);
    expect(await warningsOf(() => createRedisStore(createMapClient(), { ttl: 1 }))).toEqual([]);
  });
});

it.each([undefined, null, 0, 60_000, 86_400_000])("no warning is given for a ttl of %s", async (ttl) => {
  expect(await warningsOf(() => createRedisStore(`redis://${newHost()}`, { ttl }))).toEqual([]);
});
