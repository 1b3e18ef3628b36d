// A password for a server that has none: the store works all the same, as ioredis does, and the process is warned once per
// server, because the password was set to protect something, and does not.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { secret } from "../../tooling/secrets.mjs";
import { runScript } from "../support/child.mjs";
import { refusedWith } from "../support/proxy.mjs";
import { privateRedis } from "../support/redis.mjs";
import { rejectionOf, temporaryClient, temporaryProxy, temporaryStore } from "../support/temporary.mjs";
import { SENTINEL_MASTER, startTopologies } from "../support/topologies.mjs";

const PASSWORD = secret("needless");
const CODE = "IDIOTEQUE_REDIS_PASSWORD";
const host = "127.0.0.1";

let server;
let topologies;
beforeAll(async () => {
  server = await privateRedis();
  topologies = await startTopologies();
});
afterAll(() => topologies?.stop());

const portOf = (url) => Number(new URL(url).port);

/** Makes stores in a process of its own: over `redis`, an expression, which finds the server's `port` and the `password`. */
const WORKS = (redis) => `
  import { Cluster, Redis } from "ioredis";
  import { Redis as Redis5 } from "ioredis-5";
  import { createClient } from "redis";
  import { createClient as createClient5 } from "redis-5";
  import { createClient as createClient4 } from "redis-4";
  process.on("warning", ({ name, code, message }) => console.log(JSON.stringify({ name, code, message })));
  const { host, port, sentinel, options } = args;
  const lazyConnect = true;
  const works = async (store, id) => {
    await store.beginExecution(id);
    await store.commitExecutionTaskResult(id, "task", id);
    if ((await store.getExecutionTaskResult(id, "task")) !== id) throw new Error("the result is not there");
    await store.disposeExecution(id);
  };
  const open = (password) => createRedisStore(${redis}, { commandTimeout: 20_000, ...options });
  const admin = new Redis(args.adminUrl);
  const [one, other] = [open(args.password), open(args.password + "-2")];
  await works(one, "first");
  await works(other, "of another store");
  await admin.client("KILL", "TYPE", "normal", "SKIPME", "yes");
  await works(one, "after a reconnect");
  await Promise.all([one.close(), other.close()]);
  const later = open(args.password);
  await works(later, "of a later store");
  await later.close();
  admin.disconnect();
`;

/** Runs it to its end and returns what it was warned of. */
async function warningsOf(redis, { port, sentinel, adminUrl, options }) {
  const args = { host, port, sentinel, adminUrl, options, password: PASSWORD };
  const { code, lines, errors } = await runScript(WORKS(redis), { args });
  expect(code, errors).toBe(0);
  expect(errors).not.toContain(PASSWORD);
  return lines.map((line) => JSON.parse(line)).filter((warning) => warning.code === CODE);
}

function expectOneWarning(warnings, port) {
  expect(warnings).toEqual([{ name: expect.any(String), code: CODE, message: expect.any(String) }]);
  const [{ message }] = warnings;
  expect(message).toContain(`${host}:${port}`);
  expect(message).not.toContain(PASSWORD);
  expect(message).toMatch(/\bremove\b.*\bset\b|\bset\b.*\bremove\b/is);
}

describe("a password for a server that has none", () => {
  it.each([
    ["in a URL", '"redis://:" + password + "@" + host + ":" + port'],
    ["in an ioredis-style configuration", "{ host, port, password }"],
    ["in a node-redis-style configuration", "{ socket: { host, port }, password }"],
    ["of an ioredis 6 instance", "new Redis({ host, port, password, lazyConnect })"],
    ["of an ioredis 5 instance", "new Redis5({ host, port, password, lazyConnect })"],
    ["of a node-redis 6 client", "createClient({ socket: { host, port }, password })"],
    ["of a node-redis 5 client", "createClient5({ socket: { host, port }, password })"],
    ["of a node-redis 4 client", "createClient4({ socket: { host, port }, password })"],
  ])("is done without, and the process is warned once: %s", async (_, redis) => {
    expectOneWarning(await warningsOf(redis, { port: server.port, adminUrl: server.url }), server.port);
  });

  it.each([
    ["in a configuration", "[{ host, port, password }]"],
    ["of an ioredis cluster", "new Cluster([{ host, port }], { lazyConnect, redisOptions: { password } })"],
  ])("is done without, and the process is warned once: a cluster, %s", async (_, redis) => {
    const adminUrl = topologies.clusterUrl;
    const port = portOf(adminUrl);
    expectOneWarning(await warningsOf(redis, { port, adminUrl }), port);
  });

  it.each([
    ["that of the primary", "password", () => portOf(topologies.sentinelUrl)],
    ["that of the sentinels", "sentinelPassword: password", () => topologies.sentinel.port],
  ])("is done without, and the process is warned once: behind sentinels, %s", async (_, given, port) => {
    const { sentinel, sentinelUrl: adminUrl } = topologies;
    const redis = `{ sentinels: [sentinel], name: ${JSON.stringify(SENTINEL_MASTER)}, ${given} }`;
    expectOneWarning(await warningsOf(redis, { sentinel, adminUrl }), port());
  });

  it("is done without, whatever the text of the server's error", async () => {
    const proxy = await temporaryProxy(server);
    // Before Redis 6.
    const error = "ERR Client sent AUTH, but no password is set";
    proxy.translate = ([name]) => (name === "AUTH" ? refusedWith(error) : undefined);
    const warnings = await warningsOf("{ host, port, password }", { port: proxy.port, adminUrl: server.url });
    expectOneWarning(warnings, proxy.port);
  });

  it("is done without and without a warning, with warnings: false", async () => {
    const asked = { port: server.port, adminUrl: server.url, options: { warnings: false } };
    expect(await warningsOf("{ host, port, password }", asked)).toEqual([]);
  });

  it("needs no warning where it is the default user's, who may log in with any", async () => {
    const asked = { port: server.port, adminUrl: server.url };
    expect(await warningsOf('{ host, port, username: "default", password }', asked)).toEqual([]);
  });
});

describe("a server without a password", { timeout: 15_000 }, () => {
  const patient = { commandTimeout: 30_000 };

  it.each([
    ["a URL", () => `redis://nobody:${PASSWORD}@${host}:${server.port}`],
    ["a configuration", () => ({ host, port: server.port, username: "nobody", password: PASSWORD })],
    [
      "a server of a cluster",
      () => [{ host, port: portOf(topologies.clusterUrl), username: "nobody", password: PASSWORD }],
    ],
    [
      "the sentinels",
      () => ({
        sentinels: [topologies.sentinel],
        name: SENTINEL_MASTER,
        sentinelUsername: "nobody",
        sentinelPassword: PASSWORD,
      }),
    ],
  ])("refuses a user that it does not know, which is reported at once: %s", async (_, make) => {
    const error = await rejectionOf(temporaryStore(make(), patient).beginExecution("run"));
    expect(error).toMatchObject({ code: "ERR_REDIS_REPLY", reply: "WRONGPASS" });
  });

  it("whose default user is off requires a login, which is reported at once", async () => {
    const closed = await privateRedis();
    const admin = temporaryClient(closed);
    await admin.acl("SETUSER", "default", "off");
    const store = temporaryStore({ host, port: closed.port, password: PASSWORD }, patient);
    const errors = await Promise.all(
      [store.isExecutionInProgress("run"), store.beginExecution("run")].map(rejectionOf),
    );
    for (const error of errors) {
      expect(error).toMatchObject({ code: "ERR_REDIS_REPLY", reply: "NOAUTH" });
      expect(error.message).not.toContain("none was given");
    }
  });
});
