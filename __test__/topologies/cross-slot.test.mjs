// A server that refuses commands over keys of different slots, given by one address: every call works there, in the order of
// the calls, although an execution's keys are in three slots.
import { randomInt } from "node:crypto";
import { Redis } from "ioredis";
import { Redis as Redis5 } from "ioredis-5";
import { createClient } from "redis";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createReferenceStore } from "../../tooling/reference-store.mjs";
import { startMasters } from "../../tooling/servers/cluster.mjs";
import { startRestEndpoint } from "../../tooling/servers/rest-endpoint.mjs";
import { createModelStore, knownOf, makeAll, randomCalls } from "../support/bursts.mjs";
import { countRefusals } from "../support/connections.mjs";
import { ioredisConfiguration } from "../support/inputs.mjs";
import { everyCall } from "../support/methods.mjs";
import { recordCommands } from "../support/monitor.mjs";
import { dump, eventually, privateRedis } from "../support/redis.mjs";
import { watchOrder, writeInOrder } from "../support/resharding.mjs";
import { startShardedEndpoint } from "../support/sharded-endpoint.mjs";
import { idWithin } from "../support/slots.mjs";
import { rejectionOf, temporaryClient, temporaryStore } from "../support/temporary.mjs";
import { startCluster } from "../support/topologies.mjs";

/** What a connection may be refused until its features are known: not one more for each call. */
const A_HANDFUL = 5;

const STYLES = [
  ["without ttl", {}],
  ["with ttl", { ttl: 60_000 }],
  ["with a sliding ttl", { ttl: 60_000, slidingTtl: true }],
  ["with hash tags", { hashTags: true }],
  ["without read-ahead", { readAhead: false }],
];
const SPREAD_STYLES = STYLES.filter(([, { hashTags }]) => !hashTags);

/** A store with a connection of its own, which shares nothing with those before: its deadline differs from theirs. */
let deadline = 20_000;
function freshStore(redis, options) {
  deadline += 1;
  return temporaryStore(redis, { commandTimeout: deadline, ...options });
}

/** Makes all eight calls, in turn, and returns what came of each and what Redis held after it. */
async function doEverything(store, admin, id, key = id) {
  const calls = [
    () => store.isExecutionInProgress(id),
    () => store.beginExecution(id),
    () => store.isExecutionInProgress(id),
    () => store.beginExecutionTask(id, "one"),
    () => store.beginExecutionTask(id, "two"),
    () => store.isExecutionTaskInProgress(id, "one"),
    () => store.getExecutionTaskResult(id, "one"),
    () => store.commitExecutionTaskResult(id, "one", { of: ["one"] }),
    () => store.isExecutionTaskInProgress(id, "one"),
    () => store.isExecutionTaskInProgress(id, "two"),
    () => store.getExecutionTaskResult(id, "one"),
    () => store.getExecutionTaskResults(id),
    () => store.commitExecutionTaskResult(id, "one", "again"),
    () => store.disposeExecution(id),
    () => store.isExecutionInProgress(id),
    () => store.isExecutionTaskInProgress(id, "two"),
    () => store.getExecutionTaskResults(id),
  ];
  const course = [];
  for (const call of calls) course.push([`${call}`, await call(), await dump(admin, key)]);
  return course;
}

/** Checks that a store does and leaves what the TypeScript package's store does. */
async function expectEverything(store, admin, id, options) {
  const expected = await doEverything(createReferenceStore(admin, options), admin, `reference: ${id}`);
  expect(await doEverything(store, admin, id, options.hashTags ? `{${id}}` : id)).toEqual(expected);
}

/**
 * Makes random calls at once, does something meanwhile, and checks every answer, and what is left, against the model.
 *
 * @param {object} store
 * @param {Redis} admin
 * @param {string} label
 * @param {object} [options]
 * @param {() => unknown} [options.meanwhile] loses connections; then a question that is asked again may rightly be answered
 *   with what a later call has done, so only what is left is checked
 */
async function expectOrder(
  store,
  admin,
  label,
  { ids: count = 50, calls: length = 1_500, askedOnce = true, meanwhile } = {},
) {
  const seed = Number(process.env.CROSS_SLOT_SEED ?? randomInt(2 ** 32));
  const message = `seed ${seed} (CROSS_SLOT_SEED)`;
  const ids = Array.from({ length: count }, (_, index) => `${label}-${index}`);
  const calls = randomCalls(seed, ids, length);
  const model = createModelStore();
  const [answers] = await Promise.all([makeAll(store, calls), meanwhile?.()]);
  const right = await model.makeInTurn(calls);
  if (askedOnce && !meanwhile) expect(answers, message).toEqual(right);
  expect(await knownOf(createReferenceStore(admin), ids), message).toEqual(await knownOf(model, ids));
}

/** Looks at all keys again and again, and counts how many there were at most, and how many of them without an expiry. */
function watchExpiry(admin) {
  const seen = { keys: 0, withoutExpiry: 0 };
  let stopped = false;
  const look = async () => {
    const [, keys = 0, expires = 0] = /keys=(\d+),expires=(\d+)/.exec(await admin.info("keyspace")) ?? [];
    seen.keys = Math.max(seen.keys, Number(keys));
    seen.withoutExpiry = Math.max(seen.withoutExpiry, keys - expires);
  };
  const running = (async () => {
    while (!stopped) await look();
  })();
  return async () => {
    stopped = true;
    await running;
    await look();
    return seen;
  };
}

/** A cluster of one node: it refuses a transaction as a whole, at its EXEC. */
async function startOneNode() {
  const server = await startCluster();
  const admin = temporaryClient(server);
  return {
    url: server.url,
    server,
    admin,
    refusals: () => countRefusals(admin, "CROSSSLOT"),
    cut: () => admin.client("KILL", "TYPE", "normal"),
    stop: () => server.stop(),
  };
}

/** A sharded endpoint in front of a server: it refuses the command with which a second slot comes into a transaction. */
async function startEndpoint() {
  const server = await privateRedis();
  const endpoint = await startShardedEndpoint(server);
  return { ...endpoint, server, admin: temporaryClient(server) };
}

describe.each([
  ["a cluster of one node", startOneNode],
  ["a sharded endpoint", startEndpoint],
])("%s", (_, start) => {
  let target;

  beforeAll(async () => {
    target = await start();
  });

  afterAll(() => target?.stop());

  const INPUTS = [
    ["a URL", ({ url }) => url],
    ["a configuration object", ({ url }) => ioredisConfiguration(url)],
    ["an ioredis 6 instance", ({ url }) => new Redis(url, { lazyConnect: true })],
    ["an ioredis 5 instance", ({ url }) => new Redis5(url, { lazyConnect: true })],
    ["a node-redis 6 client", ({ url }) => createClient({ url })],
  ];

  describe.each(INPUTS)("passed as %s", (name, make) => {
    it.each(STYLES)("%s, does and leaves what the TypeScript package's store does", async (style, options) => {
      const input = make(target);
      const store = freshStore(input, options);
      expect(store.backend).toBe("redis");
      await expectEverything(store, target.admin, `${name}, ${style}`, options);
      input.disconnect?.();
    });
  });

  it.each(SPREAD_STYLES)(
    "%s, calls made at once keep their order per execution, the first ones too",
    async (...style) => {
      const [name, options] = style;
      const store = freshStore(target.url, options);
      // What is asked again because of the first refusal may see what was asked for later in the same burst.
      await expectOrder(store, target.admin, `${name}, first`, { askedOnce: false });
      await expectOrder(store, target.admin, `${name}, then`);
    },
  );

  it("keeps the order per execution while connections are lost, and nothing is without its expiry", async () => {
    await target.admin.flushall();
    const stopWatching = watchExpiry(target.admin);
    let seen;
    try {
      const store = freshStore(target.url, { ttl: 600_000, slidingTtl: true });
      for (let round = 0; round < 10; round += 1) {
        await expectOrder(store, target.admin, `cut-${round}`, { meanwhile: target.cut });
      }
    } finally {
      seen = await stopWatching();
    }
    expect(seen.withoutExpiry).toBe(0);
    expect(seen.keys).toBeGreaterThan(50);
  });

  it("no value goes back to an older one while connections are lost and the server is restarted", async () => {
    const { server, admin, url } = target;
    const ids = Array.from({ length: 100 }, (_, index) => `order-${index}`);
    const writer = writeInOrder(freshStore(url), { ids, depth: 3 });
    // For a moment after its start, a cluster says that it is down.
    const hget = async (...args) =>
      (await eventually(async () => [await admin.hget(...args)], { deadline: 30_000 }))[0];
    const observer = watchOrder({ hget }, { ids, tag: (id) => id });
    const more = async (calls = 1_000) => {
      const before = writer.calls();
      await eventually(() => writer.errors.length > 0 || writer.calls() > before + calls, { deadline: 30_000 });
    };
    try {
      await more();
      for (let round = 0; round < 5; round += 1) {
        await target.cut();
        await more();
      }
      await server.restart();
      await more();
    } finally {
      await writer.stop();
      await observer.stop();
    }
    expect(writer.errors).toEqual([]);
    expect(observer.backwards).toEqual([]);
    const left = await Promise.all(ids.map((id) => hget(`${id}-results`, "task")));
    expect(left.map(Number)).toEqual(ids.map((id) => writer.last.get(id)));
  });

  it("is not asked again for what it refuses, once that is known", async () => {
    const store = freshStore(target.url, { ttl: 60_000, slidingTtl: true });
    const before = await target.refusals();
    const countSoFar = async () => (await target.refusals()) - before;
    for (let index = 0; index < 50; index += 1) {
      await store.commitExecutionTaskResult(`learnt-${index}`, "task", 1);
      await store.disposeExecution(`learnt-${index}`);
    }
    expect(await countSoFar()).toBeLessThanOrEqual(A_HANDFUL);
    const learnt = await countSoFar();
    await expectOrder(store, target.admin, "learnt");
    expect(await countSoFar()).toBe(learnt);
    // A new connection may lead to another server, and learn anew.
    for (let round = 1; round <= 3; round += 1) {
      await target.cut();
      for (let index = 0; index < 50; index += 1) await store.commitExecutionTaskResult(`cut-${index}`, "task", round);
      expect(await countSoFar()).toBeLessThanOrEqual(learnt + round * A_HANDFUL);
    }
  });

  describe("executions whose keys share a slot", () => {
    const COMMIT = ["MULTI", "HSET", "HDEL", "EXEC"];

    /** The names of the commands that some calls send. */
    async function sentBy(call) {
      const monitor = await recordCommands(target.admin);
      try {
        await call();
        return (await monitor.take()).map(([name]) => name);
      } finally {
        monitor.stop();
      }
    }

    it.each([
      ["by hash tags", { hashTags: true }, "plain", "}begins with a brace"],
      ["by a tag in their ids", {}, "{tag}-1", "plain"],
      ["by a tag in the prefix", { hashTags: true, keyPrefix: "{app}:" }, "plain", "other"],
    ])("%s, are committed in one transaction, also after others could not be", async (_, options, together, apart) => {
      const store = freshStore(target.url, { readAhead: false, ...options });
      const before = await target.refusals();
      expect(await sentBy(() => store.commitExecutionTaskResult(together, "task", 1))).toEqual(
        expect.arrayContaining(COMMIT),
      );
      expect(await target.refusals()).toBe(before);
      await store.beginExecution(apart);
      await store.beginExecutionTask(apart, "task");
      await store.commitExecutionTaskResult(apart, "task", 1);
      expect(await store.isExecutionTaskInProgress(apart, "task")).toBe(false);
      expect(await store.getExecutionTaskResults(apart)).toEqual({ task: 1 });
      expect(await sentBy(() => store.commitExecutionTaskResult(together, "task", 2))).toEqual(COMMIT);
      for (const id of [together, apart]) await store.disposeExecution(id);
      expect(await store.isExecutionInProgress(apart)).toBe(false);
    });
  });
});

describe("an HTTP endpoint in front of a cluster of one node", () => {
  let target;
  let rest;

  beforeAll(async () => {
    target = await startOneNode();
    rest = await startRestEndpoint({ redisUrl: target.url });
  });

  afterAll(async () => {
    await rest?.stop();
    await target?.stop();
  });

  const openStore = (options) => freshStore({ url: rest.url, token: rest.token }, options);

  it.each(STYLES)("%s, does and leaves what the TypeScript package's store does", async (style, options) => {
    const store = openStore(options);
    expect(store.backend).toBe("upstash");
    await expectEverything(store, target.admin, style, options);
  });

  it.each(SPREAD_STYLES)(
    "%s, calls made at once keep their order per execution, the first ones too",
    async (...style) => {
      const [name, options] = style;
      const store = openStore(options);
      await expectOrder(store, target.admin, `${name}, first`, { ids: 20, calls: 400, askedOnce: false });
      await expectOrder(store, target.admin, `${name}, then`, { ids: 20, calls: 400 });
    },
  );

  it("is not asked again for what it refuses, once that is known", async () => {
    const store = openStore({ ttl: 60_000, slidingTtl: true });
    const before = await target.refusals();
    for (let index = 0; index < 50; index += 1) {
      await store.commitExecutionTaskResult(`learnt-${index}`, "task", 1);
      await store.disposeExecution(`learnt-${index}`);
    }
    expect((await target.refusals()) - before).toBeLessThanOrEqual(A_HANDFUL);
  });
});

describe("one of several nodes of a cluster", () => {
  let cluster;

  beforeAll(async () => {
    cluster = await startMasters({ masters: 2, replicas: 0 });
  });

  afterAll(() => cluster?.stop());

  it("reports what is elsewhere, and how to pass the cluster", async () => {
    const [{ server }] = cluster.masters;
    const store = freshStore(server.url);
    const id = idWithin("elsewhere", { first: 8_192, last: 16_383 });
    const calls = everyCall(store, id);
    for (const call of calls) {
      const error = await rejectionOf(call());
      expect(error, `${call}`).toMatchObject({ code: "ERR_REDIS_REPLY", reply: "MOVED", executionId: id });
      expect(error.message).toContain("array of its nodes");
    }
  });
});
