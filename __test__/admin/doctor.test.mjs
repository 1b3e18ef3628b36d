// The doctor finds what it promises to find, on servers that have it, and nothing on one that is well.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { createRedisStore } from "../../index.js";
import { createRedisAdmin } from "../../lib/admin.js";
import { startMasters } from "../../tooling/servers/cluster.mjs";
import { startRestEndpoint } from "../../tooling/servers/rest-endpoint.mjs";
import { startCommandProxy } from "../support/command-proxy.mjs";
import { eventually, privateRedis } from "../support/redis.mjs";
import { temporaryClient } from "../support/temporary.mjs";

const DAY = 24 * 3_600_000;
let server;
let redis;

beforeAll(async () => {
  server = await privateRedis({ appendonly: true });
  redis = temporaryClient(server);
});

/** What the doctor says, by the names of what it looked at; those of the same name together. */
async function examine(input, options) {
  const admin = createRedisAdmin(input, options);
  try {
    const { ok, checks } = await admin.doctor();
    expect(ok).toBe(checks.every(({ status }) => status !== "problem"));
    return Object.fromEntries(checks.map((check) => [check.name, check]));
  } finally {
    await admin.close();
  }
}

describe("a server that is well", () => {
  beforeEach(() => redis.flushall());

  test("has a ✓ everywhere, also with executions on it", async () => {
    for (const options of [{}, { ttl: DAY, hashTags: true }]) {
      await redis.flushall();
      const store = createRedisStore(server.url, options);
      await store.beginExecution("run");
      await store.commitExecutionTaskResult("run", "task", 1);
      const found = Object.values(await examine(server.url, options));
      expect(found.filter(({ status }) => status !== "ok")).toEqual([]);
      expect(found.map(({ name }) => name)).toEqual([
        ...["version", "role", "persistence", "eviction", "evicted keys", "memory", "replicas", "clients"],
        ...["round trip", "clock", "permissions", "key names", "expiry"],
      ]);
      await store.close();
    }
  });

  test("is left as it was", async () => {
    await examine(server.url);
    expect(await redis.dbsize()).toBe(0);
  });
});

describe("one setting that is wrong", () => {
  /** Sets something for one examination. */
  async function withConfig(settings, options) {
    const before = {};
    for (const [name, value] of Object.entries(settings)) {
      before[name] = (await redis.config("GET", name))[1];
      await redis.config("SET", name, String(value));
    }
    try {
      return await examine(server.url, options);
    } finally {
      for (const [name, value] of Object.entries(before)) await redis.config("SET", name, value);
    }
  }

  test.each(["allkeys-lru", "allkeys-lfu", "allkeys-random"])("%s is a problem", async (policy) => {
    const { eviction } = await withConfig({ "maxmemory-policy": policy });
    expect(eviction).toMatchObject({ status: "problem", message: expect.stringContaining(policy) });
  });

  test.each(["volatile-lru", "volatile-ttl"])("%s is a warning where executions have an expiry", async (policy) => {
    expect((await withConfig({ "maxmemory-policy": policy }, { ttl: DAY })).eviction.status).toBe("warning");
    expect((await withConfig({ "maxmemory-policy": policy })).eviction.status).toBe("ok");
  });

  test("nothing on disk is a problem, snapshots alone are a warning", async () => {
    expect((await withConfig({ appendonly: "no", save: "" })).persistence.status).toBe("problem");
    expect((await withConfig({ appendonly: "no", save: "3600 1" })).persistence.status).toBe("warning");
  });

  test("memory that is nearly full is a warning, and then a problem", async () => {
    const used = async () => Number(/used_memory:(\d+)/.exec(await redis.info("memory"))[1]);
    const { memory } = await withConfig({ maxmemory: Math.round((await used()) / 0.88) });
    expect(memory.status).toBe("warning");
    expect((await withConfig({ maxmemory: await used() })).memory.status).toBe("problem");
    expect((await withConfig({ maxmemory: 2 ** 40 })).memory.status).toBe("ok");
  });

  test("keys that were evicted are a warning", async () => {
    const used = Number(/used_memory:(\d+)/.exec(await redis.info("memory"))[1]);
    await redis.config("SET", "maxmemory", used + 200_000, "maxmemory-policy", "allkeys-lru");
    for (let key = 0; key < 40; key += 1) await redis.set(`filler-${key}`, "x".repeat(20_000));
    await redis.config("SET", "maxmemory", 0, "maxmemory-policy", "noeviction");
    expect((await examine(server.url))["evicted keys"]).toMatchObject({
      status: "warning",
      message: expect.stringMatching(/^[1-9]\d* since/),
    });
    await redis.config("RESETSTAT");
    await redis.flushall();
  });

  test("clients near the limit are a warning, and then a problem", async () => {
    const others = Array.from({ length: 16 }, () => temporaryClient(server));
    await Promise.all(others.map((other) => other.ping()));
    // One is the test's own, and one the doctor's.
    expect((await withConfig({ maxclients: 21 })).clients.status).toBe("warning");
    expect((await withConfig({ maxclients: 18 })).clients.status).toBe("problem");
    for (const other of others) other.disconnect();
  });

  test("replicas that are wanted and missing are a problem", async () => {
    const { replicas } = await withConfig({ "min-replicas-to-write": 1 });
    expect(replicas).toMatchObject({ status: "problem", message: expect.stringContaining("writes are refused") });
  });

  test("snapshots that fail are a problem", async () => {
    const alone = await privateRedis();
    const client = temporaryClient(alone);
    mkdirSync(join(alone.dir, "dump.rdb", "in-the-way"), { recursive: true });
    await client.bgsave();
    const failed = async () => (await client.info("persistence")).includes("rdb_last_bgsave_status:err");
    await eventually(failed, { message: "a snapshot that failed" });
    expect((await examine(alone.url)).persistence).toMatchObject({
      status: "problem",
      message: expect.stringContaining("snapshot failed"),
    });
  });
});

describe("a replica", () => {
  test("in the place of the primary is a problem, and a primary that goes on without it a warning", async () => {
    const replica = await privateRedis({ args: ["--replicaof", server.host, String(server.port)] });
    const client = temporaryClient(replica);
    const linked = async () => (await client.info("replication")).includes("master_link_status:up");
    await eventually(linked, { message: "the replica's link" });
    expect((await examine(replica.url)).role).toMatchObject({
      status: "problem",
      message: expect.stringContaining(`replica of 127.0.0.1:${server.port}`),
    });
    expect((await examine(server.url)).replicas.status).toBe("warning");
    await redis.config("SET", "min-replicas-to-write", 1);
    // Once a second the server counts the replicas that have acknowledged something lately.
    const replicas = async () => (await examine(server.url)).replicas;
    await eventually(async () => (await replicas()).status === "ok", { message: "the replica being in reach" });
    expect((await replicas()).message).toBe("1 connected, 1 needed to write");
    await redis.config("SET", "min-replicas-to-write", 0);
    await replica.stop();
  });
});

describe("a permission that is missing", () => {
  const NEEDED = ["get", "set", "hget", "hset", "hdel", "hgetall", "unlink", "pexpire", "multi", "exec"];
  const ASKED = ["+info", "+ping", "+time", "+scan", "+type", "+pttl", "+config|get", "+client", "+select"];

  const examineAs = (...rules) => examineWith({ ttl: DAY }, ...rules);

  async function examineWith(options, ...rules) {
    await redis.call("ACL", "SETUSER", "worker", "reset", "on", ">secret", "~*", "-@all", ...ASKED, ...rules);
    const { host, port } = server;
    return examine({ host, port, username: "worker", password: "secret" }, options);
  }

  test.each(NEEDED)("%s", async (command) => {
    const granted = NEEDED.filter((name) => name !== command).map((name) => `+${name}`);
    expect((await examineAs(...granted)).permissions).toMatchObject({
      status: "problem",
      message: `${command.toUpperCase()} not permitted`,
      advice: expect.stringContaining(`+${command}`),
    });
  });

  test.each([
    ["inProgressTtl", DAY, ["HPEXPIRE"]],
    ["orphanTtl", DAY, ["PERSIST", "EXISTS", "EVAL"]],
    ["claim", () => new Error("in progress already"), ["EXISTS", "EVAL", "HEXISTS"]],
  ])("that only %s needs", async (option, value, commands) => {
    const granted = NEEDED.map((name) => `+${name}`);
    const { permissions } = await examineWith({ [option]: value }, ...granted);
    expect(permissions).toMatchObject({ status: "problem", message: `${commands.join(", ")} not permitted` });
    expect((await examineAs(...granted)).permissions.status).toBe("ok");
  });

  test("none, and of the keys", async () => {
    const all = NEEDED.map((name) => `+${name}`);
    expect((await examineAs(...all)).permissions.status).toBe("ok");
    const { permissions } = await examineAs(...all, "resetkeys", "~elsewhere:*");
    expect(permissions).toMatchObject({ status: "problem", message: expect.stringContaining("GET, SET, HGET") });
    expect(await redis.dbsize()).toBe(0);
  });

  test("to end an earlier connection is a warning", async () => {
    const found = await examineAs(...NEEDED.map((name) => `+${name}`), "-client|kill");
    expect(found["permissions for reconnecting"]).toMatchObject({
      status: "warning",
      message: expect.stringMatching(/^CLIENT KILL not permitted/),
    });
  });

  test("to look at something is said", async () => {
    const found = await examineAs(...NEEDED.map((name) => `+${name}`), "-info", "-time", "-scan");
    for (const name of ["server", "clock", "executions"]) expect(found[name].status, name).toBe("skipped");
  });
});

describe("a server that refuses whatever is asked", () => {
  test("because it has a password, is not said to be well", async () => {
    await redis.config("SET", "requirepass", "secret");
    try {
      await expect(examine(server.url)).rejects.toMatchObject({
        code: "ERR_REDIS_REPLY",
        reply: "NOAUTH",
        message: expect.stringMatching(/Authentication required: it requires a password/),
      });
    } finally {
      await redis.config("SET", "requirepass", "");
    }
  });

  test("because a script runs, is not said to be well", async () => {
    await redis.config("SET", "lua-time-limit", "1");
    const endless = temporaryClient(server);
    const ended = expect(endless.eval("while true do end", 0)).rejects.toThrow("killed");
    const isBusy = async () => {
      const reply = await redis.ping().catch((error) => error.message);
      return reply.startsWith("BUSY");
    };
    await eventually(isBusy, { message: "a server that is busy" });
    try {
      await expect(examine(server.url)).rejects.toMatchObject({ code: "ERR_REDIS_REPLY", reply: "BUSY" });
    } finally {
      await redis.script("KILL");
      await ended;
    }
  });
});

describe("through something in between", () => {
  /** Examines a server that answers one command in another way. */
  async function examineBehind(change) {
    const proxy = await startCommandProxy(server, () => (command) => change(command.map((word) => word.toLowerCase())));
    try {
      return await examine(proxy.url);
    } finally {
      await proxy.stop();
    }
  }

  const bulk = (text) => `$${Buffer.byteLength(text)}\r\n${text}\r\n`;

  test.each([
    ["6.0.16", "warning"],
    ["5.0.14", "problem"],
    ["6.2.0", "ok"],
  ])("version %s is: %s", async (version, status) => {
    const ofServer = (await redis.info()).replace(/^(server_name|valkey_version):.*\r\n/gm, "");
    const info = ofServer.replace(/redis_version:.*\r/, `redis_version:${version}\r`);
    const found = await examineBehind(([name]) => (name === "info" ? { reply: bulk(info) } : undefined));
    expect(found.version).toMatchObject({ status, message: expect.stringContaining(version) });
  });

  test.each([
    [3, "3.0 s ahead of"],
    [-90, "90.0 s behind"],
  ])("a clock that is off by %d s is a warning", async (seconds, words) => {
    const { clock } = await examineBehind(([name]) => {
      if (name !== "time") return undefined;
      const now = Date.now() + seconds * 1_000;
      return { reply: `*2\r\n${bulk(String(Math.floor(now / 1_000)))}${bulk(String((now % 1_000) * 1_000))}` };
    });
    expect(clock.status).toBe("warning");
    // To a tenth of a second on a machine that is not overloaded.
    expect(clock.message).toMatch(new RegExp(words.replace(/\d+\.\d/, String.raw`\d+\.\d`)));
  });

  test("round trips that are slow are a warning", async () => {
    const rest = await startRestEndpoint({ redisUrl: server.url, latency: 10 });
    const found = await examine({ url: rest.url, token: rest.token });
    expect(found["round trip"]).toMatchObject({ status: "warning", message: expect.stringMatching(/^\d+ ms/) });
    await rest.stop();
  });
});

describe("executions of stores with other options", () => {
  beforeEach(() => redis.flushall());

  async function write(options) {
    const store = createRedisStore(server.url, options);
    await store.beginExecution("run");
    await store.commitExecutionTaskResult("run", "task", 1);
    await store.beginExecutionTask("run", "next");
    await store.close();
  }

  test("names with hash tags and without are a warning", async () => {
    await write({});
    await write({ hashTags: true });
    for (const hashTags of [false, true]) {
      const found = await examine(server.url, { hashTags });
      expect(found["key names"]).toMatchObject({ status: "warning", message: expect.stringContaining("of 4 keys, 2") });
    }
  });

  test("names of the other kind than those of this store are a warning", async () => {
    await write({ hashTags: true });
    expect((await examine(server.url))["key names"].status).toBe("warning");
    expect((await examine(server.url, { hashTags: true }))["key names"].status).toBe("ok");
  });

  test("keys that expire beside keys that never do are a warning", async () => {
    await write({ ttl: DAY });
    expect((await examine(server.url)).expiry.status).toBe("ok");
    await redis.hset("other-results", "task", "1");
    expect((await examine(server.url)).expiry).toMatchObject({
      status: "warning",
      message: "of 3 keys, 2 expire and 1 never do",
    });
  });

  test("no expiry where there should be one is a warning", async () => {
    await write({});
    expect((await examine(server.url, { ttl: DAY })).expiry.status).toBe("warning");
  });
});

describe("a cluster", () => {
  let cluster;

  beforeAll(async () => {
    cluster = await startMasters({ replicas: 0, args: ["--appendonly", "yes"] });
  });

  afterAll(() => cluster.stop());

  test("that is well has a ✓ everywhere, and names no server", async () => {
    const found = Object.values(await examine(cluster.startup));
    expect(found.filter(({ status }) => status !== "ok")).toEqual([]);
    expect(found.filter(({ server }) => server !== undefined)).toEqual([]);
    expect(found.find(({ name }) => name === "slots").message).toBe("16384 of 16384, on 3 primaries");
  });

  test("that is used as one server is a problem", async () => {
    expect((await examine(cluster.masters[0].server.url)).topology.status).toBe("problem");
  });

  test("of which one server has another setting names it", async () => {
    const { admin: client, server: odd } = cluster.masters[1];
    await client.config("SET", "maxmemory-policy", "allkeys-lru");
    const admin = createRedisAdmin(cluster.startup);
    const { checks } = await admin.doctor();
    await admin.close();
    const problems = checks.filter(({ status }) => status === "problem");
    expect(problems).toEqual([expect.objectContaining({ name: "eviction", server: `127.0.0.1:${odd.port}` })]);
    await client.config("SET", "maxmemory-policy", "noeviction");
  });

  test("of which one server does not answer names it, and says the rest", async () => {
    const { server: lost } = cluster.masters[2];
    lost.pause();
    const admin = createRedisAdmin(cluster.startup, { connectTimeout: 500, commandTimeout: 500 });
    const { ok, checks } = await admin.doctor();
    await admin.close();
    lost.resume();
    expect(ok).toBe(false);
    expect(checks.filter(({ name }) => name === "server")).toEqual([
      expect.objectContaining({ status: "problem", server: `127.0.0.1:${lost.port}` }),
    ]);
    expect(checks.find(({ name }) => name === "persistence").status).toBe("ok");
  });

  test("with slots that nobody has is a problem", async () => {
    for (const { admin: client } of cluster.nodes) await client.call("CLUSTER", "DELSLOTS", "0", "1");
    expect((await examine(cluster.startup)).slots).toMatchObject({
      status: "problem",
      message: expect.stringMatching(/^16382 of 16384/),
    });
  });
});
