// Servers that are almost Redis: what is learnt of them, what that costs, and what the process is warned of. That the calls mean the
// same there is in the contract's tests.
import { Redis } from "ioredis";
import { createClient } from "redis";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { secret } from "../../tooling/secrets.mjs";
import { startRestEndpoint } from "../../tooling/servers/rest-endpoint.mjs";
import { runScript } from "../support/child.mjs";
import { startCommandProxy } from "../support/command-proxy.mjs";
import { startLesserRedis, startLesserServer, startSentinelOf } from "../support/lesser-servers.mjs";
import { dump, privateRedis } from "../support/redis.mjs";
import { rejectionOf, temporaryClient, temporaryStore } from "../support/temporary.mjs";

const HANGS_UP = "by hanging up";
const host = "127.0.0.1";

/** A store with a connection of its own. */
let deadline = 20_000;
const freshStore = (redis, options) => temporaryStore(redis, { commandTimeout: ++deadline, ...options });

const names = (commands) => commands.map(([name]) => name);

describe("a server that hangs up at CLIENT", () => {
  let target;
  beforeAll(async () => {
    target = await startLesserRedis(["CLIENT"], HANGS_UP);
  });
  afterAll(() => target?.stop());

  it.each([
    ["a URL", ({ url }) => url],
    ["a URL with a name and a database", ({ url }) => `${url}/2?name=worker`],
    ["a configuration", ({ port }) => ({ host, port, connectionName: "worker" })],
    ["an ioredis instance", ({ port }) => new Redis({ host, port, lazyConnect: true, enableReadyCheck: false })],
    [
      "an ioredis instance without client info",
      ({ url }) => new Redis(url, { lazyConnect: true, disableClientInfo: true }),
    ],
    ["a node-redis client", ({ url }) => createClient({ url, disableClientInfo: true })],
  ])("is done without, within a second, and not tried again at the next connection: %s", async (_, make) => {
    const store = freshStore(make(target), { commandTimeout: undefined });
    const begun = performance.now();
    await store.beginExecution("run");
    expect(performance.now() - begun).toBeLessThan(2_000);
    target.commands.length = 0;
    target.cut();
    await store.beginExecution("run");
    expect(names(target.commands)).not.toContain("CLIENT");
    expect(names(target.commands)).not.toContain("PING");
  });

  it("is not what a server is that hangs up at everything: it gets its CLIENT INFO when it is back", async () => {
    const server = await privateRedis();
    let refusing = true;
    const proxy = await startCommandProxy(server, () => () => (refusing ? { hangUp: true } : undefined));
    const store = freshStore(`redis://${host}:${proxy.port}`);
    const begun = store.beginExecution("run");
    while (proxy.commands.length < 12) await new Promise((resolve) => setTimeout(resolve, 5));
    const before = proxy.commands.length;
    refusing = false;
    await begun;
    const admin = temporaryClient(server);
    expect(proxy.commands.slice(before).map((command) => command.join(" "))).toContain("CLIENT INFO");
    expect(await admin.exists("run")).toBe(1);
    await proxy.stop();
  });
});

it("a server that hangs up at SELECT, which the settings require, is reported", async () => {
  const target = await startLesserRedis(["SELECT"], HANGS_UP);
  const error = await rejectionOf(freshStore(`${target.url}/3`).beginExecution("run"));
  expect(error).toMatchObject({ code: "ERR_REDIS_CONNECTION" });
  expect(error.message).toContain("closes every connection at SELECT");
  await target.stop();
});

describe.each(["with an error", HANGS_UP])("a server without MULTI, answered %s", (manner) => {
  let target;
  let admin;
  beforeAll(async () => {
    target = await startLesserRedis(["MULTI"], manner);
    admin = temporaryClient(target.server);
  });
  afterAll(() => target?.stop());

  it.each([
    ["without ttl", {}],
    ["with ttl", { ttl: 60_000 }],
    ["with a sliding ttl", { ttl: 60_000, slidingTtl: true }],
    ["with hash tags and ttl", { ttl: 60_000, hashTags: true }],
  ])("%s, is asked for transactions once, and every key has its expiry", async (_, options) => {
    const store = freshStore(target.url, { warnings: false, ...options });
    const id = "run";
    const key = options.hashTags ? `{${id}}` : id;
    for (let round = 0; round < 3; round += 1) {
      target.commands.length = 0;
      await store.beginExecution(id);
      await store.beginExecutionTask(id, "task");
      await store.commitExecutionTaskResult(id, "task", round);
      expect(await store.getExecutionTaskResults(id)).toEqual({ task: round });
      const expires = options.ttl !== undefined;
      const left = await dump(admin, key);
      expect(left.results).toEqual({ type: "hash", expires, value: [["task", `${round}`]] });
      expect(left.transactions).toEqual({ type: "none" });
      await store.disposeExecution(id);
    }
    expect(names(target.commands)).not.toContain("MULTI");
  });

  it("is sent the result before the end of the task in progress, and nothing before that is acknowledged", async () => {
    const store = freshStore(target.url);
    await store.commitExecutionTaskResult("ordered", "task", 1);
    target.commands.length = 0;
    await store.commitExecutionTaskResult("ordered", "task", 2);
    expect(names(target.commands)).toEqual(["HSET", "HDEL"]);
  });
});

it("what a server without MULTI has done of a commit is said when the rest fails", async () => {
  const server = await privateRedis();
  let refused = false;
  const proxy = await startCommandProxy(server, () => ([name]) => {
    if (name === "MULTI" || name === "EXEC") {
      refused = name === "MULTI";
      return { reply: `-ERR unknown command '${name}'\r\n` };
    }
    // The first time it stands behind MULTI.
    if (name !== "HSET") return undefined;
    const [first, tooMuch] = [refused, { reply: "-OOM command not allowed when used memory > 'maxmemory'\r\n" }];
    refused = false;
    return first ? undefined : tooMuch;
  });
  const error = await rejectionOf(freshStore(proxy.url).commitExecutionTaskResult("part", "task", 1));
  expect(error).toMatchObject({ code: "ERR_REDIS_REPLY", reply: "OOM" });
  expect(error.message).toContain("have been applied");
  expect(await temporaryClient(server).hget("part-results", "task")).toBe("1");
  await proxy.stop();
});

describe("what the process is warned of", () => {
  const CODE = "IDIOTEQUE_REDIS_NOT_ATOMIC";
  const WORKS = `
    process.on("warning", ({ name, code, message }) => console.log(JSON.stringify({ name, code, message })));
    const { redis, options } = args;
    for (const commandTimeout of [20_000, 20_001]) {
      const store = createRedisStore(redis, { commandTimeout, ...options });
      await store.beginExecution("run");
      await store.beginExecutionTask("run", "task");
      await store.commitExecutionTaskResult("run", "task", 1);
      await store.disposeExecution("run");
      await store.close();
    }
  `;

  async function warningsOf(redis, options) {
    const { code, lines, errors } = await runScript(WORKS, { args: { redis, options } });
    expect(code, errors).toBe(0);
    return lines.map((line) => JSON.parse(line)).filter((warning) => warning.code === CODE);
  }

  let target;
  let sentinel;
  beforeAll(async () => {
    target = await startLesserRedis(["MULTI"]);
    sentinel = await startSentinelOf(target);
  });
  afterAll(() => Promise.all([target?.stop(), sentinel?.stop()]));

  it.each([
    ["a server", () => target.url],
    ["a primary behind sentinels", () => ({ sentinels: [{ host, port: sentinel.port }], name: "main" })],
  ])("is a write and its expiry that are two commands, once: %s", async (_, input) => {
    const warnings = await warningsOf(input(), { ttl: 60_000 });
    expect(warnings).toEqual([{ name: expect.any(String), code: CODE, message: expect.any(String) }]);
    expect(warnings[0].message).toContain(`${host}:${target.port}`);
    expect(warnings[0].message).toContain("MULTI");
  });

  it("is nothing without ttl, with transactions, or with warnings: false", async () => {
    expect(await warningsOf(target.url, {})).toEqual([]);
    expect(await warningsOf(target.server.url, { ttl: 60_000 })).toEqual([]);
    expect(await warningsOf(target.url, { ttl: 60_000, warnings: false })).toEqual([]);
  });

  it("is the same over HTTP", async () => {
    const token = secret("token");
    const rest = await startRestEndpoint({ redisUrl: target.server.url, token, transactions: false });
    const warnings = await warningsOf({ url: rest.url, token }, { ttl: 60_000 });
    expect(warnings).toHaveLength(1);
    await rest.stop();
  });
});

describe.each(["with an error", HANGS_UP])("a primary that sentinels name, without ROLE, answered %s", (manner) => {
  it("is not written to when INFO says that it is a replica, also when it becomes one", async () => {
    const other = await privateRedis();
    const server = await privateRedis();
    const admin = temporaryClient(server);
    await admin.replicaof(host, other.port);
    const target = await startLesserServer(server, ["ROLE"], manner);
    const sentinel = await startSentinelOf(target);
    const redis = { sentinels: [{ host, port: sentinel.port }], name: "main" };
    const error = await rejectionOf(freshStore(redis, { commandTimeout: 1_500 }).beginExecution("run"));
    expect(error).toMatchObject({ reply: "READONLY", executionId: "run" });
    expect(error.message).toContain("the server is a replica");
    expect(names(target.commands)).not.toContain("SET");

    await admin.replicaof("NO", "ONE");
    const store = freshStore(redis);
    await store.beginExecution("run");
    await admin.replicaof(host, other.port);
    target.cut();
    target.commands.length = 0;
    const begun = store.beginExecution("other");
    while (names(target.commands).filter((name) => name === "INFO").length < 2) {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    expect(names(target.commands)).not.toContain("SET");
    await admin.replicaof("NO", "ONE");
    await begun;
    await Promise.all([sentinel.stop(), target.stop()]);
  });
});
