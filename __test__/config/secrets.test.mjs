// Passwords, tokens and keys are in no error, no matter what is printed of it, and in no store.
import { Redis as Upstash } from "@upstash/redis";
import { Cluster, Redis } from "ioredis";
import { createClient } from "redis";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createRedisStore, RedisStoreError } from "../../index.js";
import { everythingOf, SECRET_MARK, secret } from "../../tooling/secrets.mjs";
import { createAuthority } from "../../tooling/servers/certificates.mjs";
import { freePort } from "../../tooling/servers/redis-server.mjs";
import { startFakeRedis } from "../support/fake-redis.mjs";
import { privateRedis } from "../support/redis.mjs";
import { rejectionOf, temporaryStore } from "../support/temporary.mjs";

const PASSWORD = secret("password");
const authority = createAuthority();
const { cert, key } = authority.issue();
const KEY_LINES = key.split("\n").filter((line) => line.length > 20 && !line.startsWith("-"));
const PLANTED = [SECRET_MARK, encodeURIComponent(PASSWORD), Buffer.from(PASSWORD).toString("base64"), ...KEY_LINES];

function expectNoSecret(value) {
  const shown = everythingOf(value);
  for (const planted of PLANTED) expect(shown.includes(planted), `${planted} in ${shown.slice(0, 2000)}`).toBe(false);
}

function thrownBy(...args) {
  try {
    createRedisStore(...args);
  } catch (error) {
    return error;
  }
  return expect.fail("nothing was thrown");
}

describe("errors about a configuration are without its secrets", () => {
  const login = { username: "user", password: PASSWORD };
  const sentinels = [{ host: "127.0.0.1", port: 1 }];
  const inPem = (text) => `-----BEGIN ENCRYPTED PRIVATE KEY-----\n${text}\n-----END ENCRYPTED PRIVATE KEY-----\n`;

  it.each([
    ["a URL without a host", `redis://user:${PASSWORD}@`],
    ["a URL with a raw @ in the password", `redis://user:a@${PASSWORD}@h:x`],
    ["a URL with a raw / in the password", `redis://user:a/${PASSWORD}@h`],
    ["a URL with a raw # in the password", `redis://user:a#${PASSWORD}@h`],
    ["a URL with a raw % in the password", `redis://user:%${PASSWORD}@h`],
    ["a URL with a space in it", `redis://user:${PASSWORD} @h:1:2`],
    ["a URL without a user", `redis://:${PASSWORD}@h/-1`],
    ["a URL with the password in its query", `redis://h?password=${PASSWORD}&db=x`],
    ["a URL with the password twice", `redis://:${PASSWORD}@h?password=${secret("other")}`],
    ["a URL whose scheme is misspelt", `rediss//user:${PASSWORD}@h`],
    ["the URL of a socket", `unix://user:${PASSWORD}@relative`],
    ["the URL of sentinels", `redis+sentinel://user:${PASSWORD}@a,b/main`],
    ["a URL as the user", { host: "h", username: 1, password: PASSWORD }],
    ["an ioredis-style configuration", { host: "h", ...login, db: "x" }],
    ["a configuration with a misspelt key", { host: "h", ...login, prot: 1 }],
    ["a password in the place of another setting", { host: "h", keyPrefix: { [PASSWORD]: 1 } }],
    ["a node-redis-style configuration", { socket: { host: "h", port: -1 }, ...login }],
    ["a node-redis-style configuration with a URL", { url: `redis://u:${PASSWORD}@h`, database: -1 }],
    ["sentinels", { sentinels, name: "", ...login, sentinelPassword: PASSWORD }],
    ["sentinels in TLS by halves", { sentinels, name: "m", tls: { passphrase: PASSWORD }, sentinelPassword: PASSWORD }],
    ["node-redis-style sentinels", { sentinelRootNodes: sentinels, sentinelClientOptions: { ...login, x: 1 } }],
    ["start-up nodes", [`redis://u:${PASSWORD}@a`, `redis://u:${PASSWORD}@b:x`]],
    ["root nodes", { rootNodes: [{ url: `redis://u:${PASSWORD}@a` }], defaults: { ...login, nonsense: 1 } }],
    ["a private key without its certificate", { host: "h", tls: { key, passphrase: PASSWORD } }],
    ["a private key that is encrypted", { host: "h", tls: { key: inPem(SECRET_MARK), cert, passphrase: PASSWORD } }],
    ["a private key that is none", { host: "h", tls: { key: PASSWORD, cert } }],
    ["a certificate in the place of its key", { host: "h", tls: { key: cert, cert: key } }],
    ["TLS settings with a misspelt key", { host: "h", tls: { key, cert, passphras: PASSWORD } }],
    ["a key store", { host: "h", tls: { pfx: Buffer.from(PASSWORD), passphrase: PASSWORD } }],
    ["Upstash REST", { url: "https://h.upstash.example", token: PASSWORD, nonsense: 1 }],
    ["a URL of Upstash REST", `https://default:${PASSWORD}@h.upstash.example`],
  ])("%s", (_, redis) => {
    expectNoSecret(thrownBy(redis));
  });

  it("wrong options beside a password", () => {
    for (const options of [{ ttl: -1 }, { nonsense: 1 }, { keyPrefix: 1 }, { commandTimeout: 0 }]) {
      expectNoSecret(thrownBy({ host: "h", ...login }, options));
      expectNoSecret(thrownBy(`redis://user:${PASSWORD}@h`, options));
    }
  });
});

describe("with a server that refuses the login", () => {
  let server;
  let fake;
  let closed;

  beforeAll(async () => {
    server = await privateRedis({ args: ["--requirepass", secret("right")] });
    // A server that repeats what it was sent.
    fake = await startFakeRedis(({ command }) => `-WRONGPASS ${command[0]} was refused\r\n`);
    closed = await freePort();
  });

  afterAll(() => fake.stop());

  const at = (port, settings) => ({ host: "127.0.0.1", port, username: "user", password: PASSWORD, ...settings });
  const tls = { ca: authority.cert, cert, key };
  const ways = [
    ["a URL", () => `redis://user:${PASSWORD}@127.0.0.1:${server.port}`],
    ["an ioredis-style configuration", () => at(server.port)],
    ["a node-redis-style configuration", () => ({ socket: { port: server.port }, username: "u", password: PASSWORD })],
    ["a configuration with TLS", () => at(server.port, { tls })],
    ["sentinels that want a password", () => sentinelsAt(server.port)],
    ["sentinels in TLS", () => sentinelsAt(server.port, { tls: {}, sentinelTLS: tls, enableTLSForSentinelMode: true })],
    ["the nodes of a cluster", () => [at(server.port)]],
    ["a server that is not there", () => at(closed)],
    ["a server that says what it was told", () => at(fake.port)],
  ];

  const sentinelsAt = (port, settings) => ({
    sentinels: [{ host: "127.0.0.1", port }],
    name: "main",
    password: PASSWORD,
    sentinelPassword: secret("of-sentinels"),
    ...settings,
  });

  it.each(ways)("nothing shows them: %s", async (_, make) => {
    const store = temporaryStore(make(), { commandTimeout: 1000 });
    expectNoSecret(store);
    const error = await rejectionOf(store.beginExecution("run"));
    expect(error).toBeInstanceOf(RedisStoreError);
    expectNoSecret(error);
    expectNoSecret(store);
  });

  it.each([
    ["ioredis", (port) => new Redis(at(port, { lazyConnect: true, retryStrategy: null }))],
    ["ioredis in a cluster", (port) => new Cluster([at(port)], { lazyConnect: true, redisOptions: at(port) })],
    ["node-redis", (port) => createClient({ socket: { port }, username: "user", password: PASSWORD })],
  ])("nothing of a store over a live client shows them: %s", async (_, make) => {
    const client = make(server.port);
    client.on?.("error", () => {});
    const store = temporaryStore(client, { commandTimeout: 1000 });
    expectNoSecret(store);
    const error = await rejectionOf(store.beginExecution("run"));
    expect(error).toBeInstanceOf(RedisStoreError);
    expectNoSecret(error);
    client.disconnect?.();
  });

  it("nothing of a store over Upstash shows its token", async () => {
    const settings = { token: PASSWORD, retry: false, enableTelemetry: false };
    const store = temporaryStore(new Upstash({ url: `http://127.0.0.1:${closed}`, ...settings }), {
      commandTimeout: 1000,
    });
    expectNoSecret(store);
    expectNoSecret(await rejectionOf(store.beginExecution("run")));
  });
});
