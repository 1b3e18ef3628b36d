// Which executions are found and which are not, how old they are, and what finding them costs the server.
import { randomUUID } from "node:crypto";
import { Redis } from "ioredis";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { createRedisStore } from "../../index.js";
import { Keys, matcher } from "../../lib/admin/keys.js";
import { slotOf } from "../../lib/admin/slots.js";
import { createRedisAdmin } from "../../lib/admin.js";
import { startMasters } from "../../tooling/servers/cluster.mjs";
import { startCommandProxy } from "../support/command-proxy.mjs";
import { privateRedis } from "../support/redis.mjs";
import { moveSlots } from "../support/resharding.mjs";
import { slotOf as slotOfTests } from "../support/slots.mjs";
import { rejectionOf, temporaryClient } from "../support/temporary.mjs";

const HOUR = 3_600_000;
let server;
let redis;
let store;
let admin;

beforeAll(async () => {
  server = await privateRedis();
  redis = temporaryClient(server);
  store = createRedisStore(server.url);
  admin = createRedisAdmin(server.url);
});

beforeEach(() => redis.flushall());

afterAll(async () => {
  await store.close();
  await admin.close();
});

async function listed(filter, of = admin) {
  const found = [];
  for await (const summary of of.executions(filter)) found.push(summary);
  return found;
}

const idsOf = async (filter, of) => (await listed(filter, of)).map(({ id }) => id).sort();

/** Makes keys look as if they had not been used for some seconds. */
async function age(seconds, ...keys) {
  for (const key of keys) {
    const content = await redis.dumpBuffer(key);
    const left = await redis.pttl(key);
    await redis.call("RESTORE", key, Math.max(left, 0), content, "REPLACE", "IDLETIME", seconds);
  }
}

async function begin(id = randomUUID()) {
  await store.beginExecution(id);
  await store.beginExecutionTask(id, "task");
  await store.commitExecutionTaskResult(id, "done", 1);
  return id;
}

async function beginLongAgo(seconds = 7_200) {
  const id = await begin();
  await age(seconds, id, `${id}-transactions`, `${id}-results`);
  return id;
}

describe("what is somebody else's", () => {
  test("is no execution, and no orphan", async () => {
    await redis.set("flag", "true");
    await redis.set("session-results", "text");
    await redis.hset("exam-results", "anna", "1");
    await redis.hset("bank-transactions", "1", "true");
    await redis.set(
      randomUUID(),
      "a session that is longer than a mark would be, and therefore kept apart from its key",
    );
    await redis.hset(randomUUID(), "field", "value");
    await redis.sadd(`${randomUUID()}-results`, "member");
    const taken = randomUUID();
    await redis.hset(taken, "field", "value");
    await redis.hset(`${taken}-results`, "member", "1");
    await redis.set("bank", "a text that is longer than a mark would be, and therefore kept apart from its key");
    expect(await listed()).toEqual([]);
    expect(await listed({ orphans: true })).toEqual([]);
    expect(await admin.sweep({ olderThan: 0, anyAge: true, stuck: true })).toMatchObject({ swept: 0 });
    expect(await redis.dbsize()).toBe(10);
  });

  test("is not swept, however much it looks like one", async () => {
    await redis.set("bank", "open");
    await redis.hset("bank-transactions", "1", "true");
    for (const [name, permission] of [
      ["scripted", "+@all"],
      ["plain", "-eval"],
    ]) {
      await redis.call("ACL", "SETUSER", name, "reset", "on", ">secret", "~*", "+@all", permission);
      const { host, port } = server;
      const own = createRedisAdmin({ host, port, username: name, password: "secret" });
      expect(await own.sweep({ olderThan: 0, anyAge: true, stuck: true, all: true })).toMatchObject({ swept: 0 });
      await own.close();
    }
    expect(await redis.exists("bank", "bank-transactions")).toBe(2);
  });

  test("is given when all that looks like one is asked for", async () => {
    await redis.set("flag", "true");
    await redis.hset("exam-results", "anna", "1");
    await begin("order");
    expect(await idsOf()).toEqual(["order"]);
    expect(await idsOf({ all: true })).toEqual(["exam", "flag", "order"]);
    expect(await idsOf({ all: true, orphans: true })).toEqual(["exam"]);
  });

  test("of another prefix is left alone", async () => {
    const shop = createRedisStore(server.url, { keyPrefix: "shop[1]:" });
    const [mine, other] = [randomUUID(), await begin()];
    await shop.beginExecution(mine);
    const ofShop = createRedisAdmin(server.url, { keyPrefix: "shop[1]:" });
    expect(await idsOf({}, ofShop)).toEqual([mine]);
    expect(await idsOf()).toEqual([other]);
    await Promise.all([shop.close(), ofShop.close()]);
  });
});

describe("ages", () => {
  test("are not changed by looking, also before Redis 7.2", async () => {
    const id = await beginLongAgo();
    for (let look = 0; look < 3; look += 1) {
      const [summary] = await listed({ stuck: true, olderThan: HOUR });
      expect(summary).toMatchObject({ id, inProgress: ["task"], results: 1 });
      expect(summary.idleMs).toBeGreaterThanOrEqual(7_200_000);
      expect((await admin.execution(id)).idleMs).toBeGreaterThanOrEqual(7_200_000);
    }
  });

  test("of orphans are not changed by looking", async () => {
    const id = randomUUID();
    await store.commitExecutionTaskResult(id, "late", 1);
    await age(7_200, `${id}-results`);
    for (let look = 0; look < 3; look += 1) {
      expect((await listed({ orphans: true }))[0].idleMs).toBeGreaterThanOrEqual(7_200_000);
    }
    expect(await admin.sweep({ olderThan: HOUR })).toMatchObject({ swept: 1 });
  });

  test("of what a worker asks for are young again", async () => {
    const id = await beginLongAgo();
    expect(await idsOf({ stuck: true, olderThan: HOUR })).toEqual([id]);
    await store.isExecutionInProgress(id);
    expect(await idsOf({ stuck: true, olderThan: HOUR })).toEqual([]);
  });

  test("follow from what is left of a ttl", async () => {
    const id = await begin();
    for (const [part, left] of [
      ["", 6 * HOUR],
      ["-transactions", 8 * HOUR],
      ["-results", 7 * HOUR],
    ]) {
      await redis.pexpire(`${id}${part}`, left);
    }
    const withTtl = createRedisAdmin(server.url, { ttl: 10 * HOUR });
    const [summary] = await listed({ stuck: true, olderThan: HOUR }, withTtl);
    expect(summary.startedMs / HOUR).toBeCloseTo(4, 1);
    expect(summary.idleMs / HOUR).toBeCloseTo(2, 1);
    expect(summary.ttlMs / HOUR).toBeCloseTo(6, 1);
    expect(await idsOf({ stuck: true, olderThan: 3 * HOUR }, withTtl)).toEqual([]);
    await withTtl.close();
  });

  test("that nobody knows are said to be unknown, and are swept only when told to", async () => {
    await redis.config("SET", "maxmemory-policy", "allkeys-lfu");
    const id = randomUUID();
    await store.commitExecutionTaskResult(id, "late", 1);
    expect((await listed({ orphans: true, olderThan: HOUR }))[0]).toMatchObject({ id, idleMs: undefined, results: 1 });
    expect(await admin.sweep({ olderThan: HOUR })).toMatchObject({ swept: 0, unknownAge: 1 });
    expect(await admin.sweep({ olderThan: HOUR, anyAge: true })).toMatchObject({ swept: 1, unknownAge: 0 });
    await redis.config("SET", "maxmemory-policy", "noeviction");
  });
});

describe("a sweep", () => {
  /** Sweeps through a proxy that has the server carry out another command when the last question before the deletion comes. */
  async function sweepWhile(meanwhile, permissions) {
    const proxy = await startCommandProxy(
      server,
      () =>
        ([name, , key]) =>
          name === "MEMORY" && !key.includes("-t") && !key.includes("-r")
            ? { instead: meanwhile(key), reply: ":100\r\n" }
            : undefined,
    );
    const { host, port } = proxy;
    const own = createRedisAdmin({ host, port, ...permissions });
    try {
      return await own.sweep({ olderThan: HOUR, stuck: true });
    } finally {
      await own.close();
      await proxy.stop();
    }
  }

  test.each([
    ["in the step that deletes", {}],
    ["just before, where scripts are not permitted", { username: "sweeper", password: "secret" }],
  ])("looks once more %s", async (_, login) => {
    await redis.call("ACL", "SETUSER", "sweeper", "reset", "on", ">secret", "~*", "+@all", "-eval");
    const stuck = await beginLongAgo();
    expect(await sweepWhile((key) => ["TOUCH", key], login)).toMatchObject({ swept: 0, changed: 1 });
    expect(await idsOf()).toEqual([stuck]);
    await redis.flushall();

    const left = randomUUID();
    await store.commitExecutionTaskResult(left, "late", 1);
    await age(7_200, `${left}-results`);
    expect(await sweepWhile((key) => ["SET", key, "true"], login)).toMatchObject({ swept: 0, changed: 1 });
    expect(await idsOf()).toEqual([left]);
  });

  test("deletes what is stuck, and what is left over of others", async () => {
    const stuck = await beginLongAgo();
    const running = await begin();
    const left = randomUUID();
    await redis.hset(`${left}-transactions`, "task", "true");
    await age(7_200, `${left}-transactions`);
    expect(await admin.sweep({ olderThan: HOUR })).toMatchObject({ swept: 1 });
    expect(await admin.sweep({ olderThan: HOUR, stuck: true })).toMatchObject({ swept: 1 });
    expect(await idsOf()).toEqual([running]);
    expect(await redis.exists(stuck, `${stuck}-transactions`, `${stuck}-results`)).toBe(0);
  });

  test("needs an age", async () => {
    const error = await rejectionOf(admin.sweep({}));
    expect(error).toBeInstanceOf(TypeError);
    expect(error).toMatchObject({ code: "ERR_REDIS_CONFIG", message: expect.stringContaining("olderThan") });
  });

  test("works where scripts are not permitted", async () => {
    await redis.call("ACL", "SETUSER", "sweeper", "reset", "on", ">secret", "~*", "+@all", "-eval");
    const { host, port } = server;
    const sweeper = createRedisAdmin({ host, port, username: "sweeper", password: "secret" });
    await beginLongAgo();
    expect(await sweeper.sweep({ olderThan: HOUR, stuck: true })).toMatchObject({ swept: 1, changed: 0 });
    expect(await redis.dbsize()).toBe(0);
    await sweeper.close();
  });
});

describe("finding the few among many", () => {
  test("leaves the server four fifths of its time, and finds all of them", async () => {
    await redis.eval("for i = 1, 200000 do redis.call('SET', 'session:' .. i, i) end", 0);
    const pipeline = redis.pipeline();
    for (let count = 0; count < 2_000; count += 1) pipeline.set(randomUUID(), "true");
    await pipeline.exec();
    const stuck = [];
    for (let count = 0; count < 5; count += 1) stuck.push(await beginLongAgo());
    await redis.config("RESETSTAT");
    const started = performance.now();
    expect(await idsOf({ stuck: true, olderThan: HOUR })).toEqual(stuck.sort());
    const elapsed = performance.now() - started;
    const stats = await redis.info("commandstats");
    const busy = [...stats.matchAll(/usec=(\d+)/g)].reduce((sum, [, usec]) => sum + Number(usec), 0) / 1_000;
    expect(busy / elapsed).toBeLessThan(0.2);
  });

  test("gives each once, while the server moves its keys to a larger table", async () => {
    const ids = [];
    for (let count = 0; count < 300; count += 1) {
      ids.push(randomUUID());
      await redis.set(ids.at(-1), "true");
    }
    const found = [];
    let fillers = 0;
    for await (const { id } of admin.executions()) {
      found.push(id);
      if (fillers < 3_000) {
        fillers += 100;
        await redis.mset(Object.fromEntries(Array.from({ length: 100 }, (_, index) => [`f${fillers}-${index}`, "x"])));
      }
    }
    expect(found.sort()).toEqual(ids.sort());
  });
});

test("results larger than what is read at a time are shown without their values", async () => {
  const id = randomUUID();
  await redis.config("SET", "proto-max-bulk-len", "200mb");
  await store.beginExecution(id);
  for (let step = 0; step < 2_000; step += 1) redis.hset(`${id}-results`, `step-${step}`, "1");
  await redis.hset(`${id}-results`, "huge", "x".repeat(70_000_000));
  const { tasks, total } = await admin.execution(id, { limit: 2, values: true });
  expect(total).toBe(2_001);
  expect(tasks).toEqual([
    { id: "huge", state: "done", bytes: 70_000_000 },
    { id: "step-0", state: "done", bytes: 1, value: "1" },
  ]);
});

describe("questions", () => {
  test("end when their signal says so, and when the admin is closed", async () => {
    await begin();
    const own = createRedisAdmin(server.url);
    const reason = new Error("enough");
    const aborted = AbortSignal.abort(reason);
    expect(await rejectionOf(own.execution("x", { signal: aborted }))).toBe(reason);
    expect(await rejectionOf(listed({ signal: aborted }, own))).toBe(reason);
    expect(await rejectionOf(own.doctor({ signal: aborted }))).toBe(reason);
    await own.close();
    expect(await rejectionOf(own.execution("x"))).toMatchObject({ code: "ERR_REDIS_CLOSED" });
  });

  test("have a deadline, and the connection is made anew", async () => {
    const alone = await privateRedis();
    const own = createRedisAdmin(alone.url, { commandTimeout: 300 });
    expect(await own.execution("x")).toBe(undefined);
    alone.pause();
    expect(await rejectionOf(own.execution("x"))).toMatchObject({ code: "ERR_REDIS_TIMEOUT" });
    alone.resume();
    expect(await own.execution("x")).toBe(undefined);
    await alone.restart();
    expect(await own.execution("x")).toBe(undefined);
    await own.close();
  });

  test("of the wrong kind are refused", async () => {
    for (const ask of [
      () => admin.execution(""),
      () => admin.releaseTask("id", 5),
      () => admin.execution("id", { limit: -1 }),
      () => admin.sweep({ olderThan: "7d" }),
      async () => admin.executions({ older: 1 }),
      async () => admin.executions(5),
      () => admin.doctor({ signal: {} }),
    ]) {
      const error = await rejectionOf(ask());
      expect(error).toBeInstanceOf(TypeError);
      expect(error.code).toBe("ERR_REDIS_CONFIG");
    }
  });

  test("need a connection of their own", () => {
    const client = new Redis(server.url, { lazyConnect: true });
    const make = () => createRedisAdmin(client, { connection: "client" });
    expect(make).toThrow(TypeError);
    expect(make).toThrow("The admin API needs a connection of its own");
    client.disconnect();
  });

  test("that are refused say what is not permitted", async () => {
    await redis.call("ACL", "SETUSER", "reader", "reset", "on", ">secret", "~*", "-@all", "+get", "+client");
    const { host, port } = server;
    const reader = createRedisAdmin({ host, port, username: "reader", password: "secret" });
    const error = await rejectionOf(reader.execution("x"));
    expect(error).toMatchObject({ code: "ERR_REDIS_REPLY", reply: "NOPERM", message: expect.stringContaining("TYPE") });
    await reader.close();
    const stranger = createRedisAdmin({ host, port, username: "reader", password: "hunter2" });
    const refused = await rejectionOf(stranger.execution("x"));
    expect(refused).toMatchObject({ code: "ERR_REDIS_REPLY", reply: "WRONGPASS" });
    expect(refused.message).not.toContain("hunter2");
    await stranger.close();
  });
});

test("a cluster whose slots move is asked again where they went", async () => {
  const cluster = await startMasters({ replicas: 0 });
  const own = createRedisAdmin(cluster.startup);
  const ofCluster = createRedisStore(cluster.startup);
  const id = randomUUID();
  await ofCluster.beginExecution(id);
  await ofCluster.commitExecutionTaskResult(id, "task", 1);
  const scan = own.executions();
  expect((await scan.next()).value.id).toBe(id);
  const owner = cluster.masters[Math.floor((slotOf(id) * 3) / 16_384)];
  const other = cluster.masters.find((master) => master !== owner);
  await moveSlots(cluster.masters, owner, other, [slotOf(id)]);
  expect(await own.execution(id)).toMatchObject({ id, results: 1, orphan: false });
  await scan.return();
  await Promise.all([own.close(), ofCluster.close()]);
  await cluster.stop();
});

describe("names of keys", () => {
  test("are those of the store, and are read back", () => {
    for (const keyPrefix of ["", "a*[b]:"]) {
      for (const hashTags of [false, true]) {
        const keys = new Keys({ keyPrefix, hashTags });
        for (const id of ["run", "a b\u0000", "ü-results x"]) {
          for (const [part, key] of Object.entries(keys.of(id))) expect(keys.parse(key)).toEqual({ id, part });
        }
      }
    }
    expect(new Keys({ keyPrefix: "", hashTags: true }).parse("run-results")).toBe(undefined);
    expect(new Keys({ keyPrefix: "a", hashTags: false }).parse("-results")).toBe(undefined);
    expect(new Keys({ keyPrefix: "", hashTags: false }).parse("-results")).toBe(undefined);
  });

  test("have the slots that servers give them", () => {
    for (const key of ["", "a", "{run}-results", "{}x", "a{b}c", "{unclosed", "ü€😀", randomUUID()]) {
      expect(slotOf(key), key).toBe(slotOfTests(key));
    }
  });

  test.each([
    ["*", "anything\n", true],
    ["a?c", "abc", true],
    ["a?c", "ac", false],
    ["[a-c]x", "bx", true],
    ["[^a-c]x", "bx", false],
    ["a\\*", "a*", true],
    ["a\\*", "ab", false],
    ["a.b|c", "a.b|c", true],
    ["a.b", "axb", false],
    ["x[", "x[", true],
  ])("%s matches %s: %s", async (pattern, text, expected) => {
    expect(matcher(pattern)(text)).toBe(expected);
    await redis.set(text, "x");
    // A bracket that is not closed is the server's own affair.
    if (pattern !== "x[") expect((await redis.keys(pattern)).includes(text)).toBe(expected);
  });
});
