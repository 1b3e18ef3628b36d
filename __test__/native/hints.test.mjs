// What a server says, or leaves unsaid, before it closes a connection is in the error: protected mode, no room for clients, and TLS
// where plaintext is expected, or the other way round.
import { once } from "node:events";
import { createServer } from "node:net";
import { Redis } from "ioredis";
import { createClient } from "redis";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createAuthority } from "../../tooling/servers/certificates.mjs";
import { startTlsRedis } from "../../tooling/servers/tls.mjs";
import { startSentinelOf } from "../support/lesser-servers.mjs";
import { privateRedis } from "../support/redis.mjs";
import { rejectionOf, temporaryStore } from "../support/temporary.mjs";

const host = "127.0.0.1";
const PROTECTED =
  "DENIED Redis is running in protected mode because protected mode is enabled and no password is set for the default user.";
const NO_ROOM = "ERR max number of clients reached";

/** Time enough for several attempts. */
const IMPATIENT = { commandTimeout: 1_000 };

const ends = [];
afterAll(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

/** A server that says something to whoever connects, before it is asked anything, and closes the connection. */
async function startTurningAway(words) {
  const server = createServer((socket) => socket.on("error", () => {}).end(`-${words}\r\n`));
  server.listen(0, host);
  await once(server, "listening");
  ends.push(() => server.close());
  return server.address().port;
}

/** Every way to pass the server at a port. */
const INPUTS = [
  ["a URL", (port) => `redis://${host}:${port}`],
  ["a URL with a password, a name and a database", (port) => `redis://:secret@${host}:${port}/3?name=worker`],
  ["a configuration", (port) => ({ socket: { host, port } })],
  ["an ioredis instance", (port) => new Redis({ host, port, lazyConnect: true })],
  ["a node-redis client", (port) => createClient({ socket: { host, port } })],
  ["a start-up node of a cluster", (port) => [{ host, port }]],
  ["a sentinel", (port) => ({ sentinels: [{ host, port }], name: "main" })],
  [
    "the primary behind a sentinel",
    async (port) => {
      const sentinel = await startSentinelOf({ host, port });
      ends.push(() => sentinel.stop());
      return { sentinels: [{ host, port: sentinel.port }], name: "main" };
    },
  ],
];

describe.each(INPUTS)("%s", (_, make) => {
  it("in protected mode is reported at once, in the server's words, and nothing is sent", async () => {
    const store = temporaryStore(await make(await startTurningAway(PROTECTED)), { commandTimeout: 20_000 });
    const error = await rejectionOf(store.beginExecution("id"));
    expect(error).toMatchObject({ code: "ERR_REDIS_REPLY", reply: "DENIED" });
    expect(error.message).toMatch(/Redis refused the connection: DENIED Redis is running in protected mode/);
    expect(error.message).toContain("had not been sent");
  });

  it("without room for another client is waited for, and named at the deadline", async () => {
    const store = temporaryStore(await make(await startTurningAway(NO_ROOM)), IMPATIENT);
    const error = await rejectionOf(store.beginExecution("id"));
    expect(error.message).toContain(NO_ROOM);
    expect(error.message).toContain("had not been sent");
  });

  it("that closes connections without a word is named, with a hint at TLS", async () => {
    const server = createServer((socket) => socket.on("error", () => {}).destroy());
    server.listen(0, host);
    await once(server, "listening");
    ends.push(() => server.close());
    const { port } = server.address();
    const error = await rejectionOf(temporaryStore(await make(port), IMPATIENT).beginExecution("id"));
    expect(error).toMatchObject({ code: "ERR_REDIS_CONNECTION" });
    expect(error.message).toContain(`${host}:${port} closed the connection without an answer`);
    expect(error.message).toContain("rediss://");
  });
});

it("no room for clients of a real server is named at the deadline, and room that there is again is used", async () => {
  const server = await privateRedis();
  const admin = new Redis(server.url);
  ends.push(() => admin.disconnect());
  await admin.config("SET", "maxclients", 1);
  const error = await rejectionOf(temporaryStore(server.url, IMPATIENT).beginExecution("id"));
  expect(error.message).toContain("max number of clients reached");
  const waiting = temporaryStore(server.url, { commandTimeout: 20_000 }).beginExecution("id");
  await admin.config("SET", "maxclients", 100);
  await waiting;
});

describe("a port of the other kind", () => {
  let server;
  beforeAll(async () => {
    server = await startTlsRedis(createAuthority());
  });
  afterAll(() => server?.stop());

  it.each(INPUTS)("TLS where plaintext is configured is hinted at: %s", async (_, make) => {
    const error = await rejectionOf(temporaryStore(await make(server.tlsPort), IMPATIENT).beginExecution("id"));
    expect(error).toMatchObject({ code: "ERR_REDIS_CONNECTION" });
    expect(error.message).toMatch(/TLS port \(which needs `rediss:\/\/` or `tls`\)/);
  });

  it.each([
    ["a URL", (port) => `rediss://${host}:${port}`],
    ["a configuration", (port) => ({ host, port, tls: {} })],
    ["a start-up node of a cluster", (port) => [{ host, port, tls: {} }]],
    ["a sentinel", (port) => ({ sentinels: [{ host, port }], name: "main", sentinelTLS: {} })],
  ])("plaintext where TLS is configured is hinted at: %s", async (_, make) => {
    const options = { commandTimeout: 3_000, connectTimeout: 10_000 };
    const error = await rejectionOf(temporaryStore(make(server.port), options).beginExecution("id"));
    expect(error.message).toContain("plaintext port");
  });

  it("an alert of TLS is recognised", async () => {
    const alerting = createServer((socket) => socket.on("error", () => {}).write(Buffer.from("15030300020246", "hex")));
    alerting.listen(0, host);
    await once(alerting, "listening");
    ends.push(() => alerting.close());
    const { port } = alerting.address();
    const error = await rejectionOf(temporaryStore(`redis://${host}:${port}`, IMPATIENT).beginExecution("id"));
    expect(`${error.message} ${error.cause?.message ?? error.cause}`).toContain("TLS port");
  });

  it("TLS where http:// is configured is hinted at", async () => {
    const redis = { url: `http://${host}:${server.tlsPort}`, token: "token" };
    const error = await rejectionOf(temporaryStore(redis, IMPATIENT).beginExecution("id"));
    expect(error.message).toContain("https://");
  });
});
