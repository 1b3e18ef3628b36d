// Redis Cluster: calls find their servers, also while slots move and servers fail.
import { Cluster } from "ioredis";
import { Cluster as Cluster5 } from "ioredis-5";
import { createCluster } from "redis";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { createRedisStore } from "../../index.js";
import { startMasters } from "../../tooling/servers/cluster.mjs";
import { keepCalling } from "../support/load.mjs";
import { eventually } from "../support/redis.mjs";
import { moveSlots, reshard } from "../support/resharding.mjs";

let cluster;
let reader;

beforeAll(async () => {
  cluster = await startMasters();
  // While slots move, this client may be sent on many times.
  reader = new Cluster(cluster.startup, { maxRedirections: 1000 });
});

afterAll(async () => {
  reader?.disconnect();
  await cluster?.stop();
});

const open = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((store) => store.close()));
});

function openStore(options, redis = cluster.startup) {
  const store = createRedisStore(redis, options);
  open.push(store);
  return store;
}

/** Works on many executions at once until stopped; what was acknowledged is noted, what failed as well. */
function workUntilStopped(store, label, lanes = 32) {
  const steps = new Array(lanes).fill(0);
  const acknowledged = [];
  const load = keepCalling(lanes, async (_, lane) => {
    const step = steps[lane]++;
    const [id, task] = [`${label}-${lane}-${Math.floor(step / 5)}`, `task-${step}`];
    await store.beginExecutionTask(id, task);
    await store.commitExecutionTaskResult(id, task, step);
    acknowledged.push([id, task, step]);
  });
  return Object.assign(load, { acknowledged });
}

async function more(worker, calls = 500) {
  const before = worker.acknowledged.length;
  const grown = () => worker.acknowledged.length > before + calls;
  await eventually(grown, { deadline: 30_000, message: "work going on" });
}

/** How many of the acknowledged results are missing or wrong, and how many tasks are still in progress. */
async function lost(acknowledged, tag = (id) => id) {
  let results = 0;
  let marks = 0;
  const check = async ([id, task, value]) => {
    if ((await reader.hget(`${tag(id)}-results`, task)) !== String(value)) results += 1;
    if ((await reader.hexists(`${tag(id)}-transactions`, task)) !== 0) marks += 1;
  };
  for (let start = 0; start < acknowledged.length; start += 1000) {
    await Promise.all(acknowledged.slice(start, start + 1000).map(check));
  }
  return { results, marks };
}

const braces = (id) => `{${id}}`;

describe.each([
  ["without hash tags", {}, (id) => id],
  ["with hash tags", { hashTags: true }, braces],
  ["with a sliding ttl", { ttl: 600_000, slidingTtl: true }, (id) => id],
])("%s", (label, options, tag) => {
  it("does all eight calls, whatever is passed", async () => {
    const url = `redis://${cluster.startup[0].host}:${cluster.startup[0].port}`;
    const nodeRedis = createCluster({ rootNodes: [{ url }] });
    const inputs = [
      cluster.startup,
      [url],
      { rootNodes: [{ url }] },
      new Cluster([url], { lazyConnect: true }),
      new Cluster5([url], { lazyConnect: true }),
      nodeRedis,
    ];
    for (const [index, input] of inputs.entries()) {
      const store = openStore(options, input);
      expect(store.backend).toBe("redis-cluster");
      const id = `${label}-${index}`;
      expect(await store.isExecutionInProgress(id)).toBe(false);
      await store.beginExecution(id);
      expect(await store.isExecutionInProgress(id)).toBe(true);
      await store.beginExecutionTask(id, "one");
      expect(await store.isExecutionTaskInProgress(id, "one")).toBe(true);
      await store.commitExecutionTaskResult(id, "one", { index });
      expect(await store.isExecutionTaskInProgress(id, "one")).toBe(false);
      expect(await store.getExecutionTaskResult(id, "one")).toEqual({ index });
      expect(await store.getExecutionTaskResults(id)).toEqual({ one: { index } });
      expect(await reader.hgetall(`${tag(id)}-results`)).toEqual({ one: JSON.stringify({ index }) });
      const expires = (await reader.pttl(`${tag(id)}-results`)) > 0;
      expect(expires).toBe(options.ttl !== undefined);
      await store.disposeExecution(id);
      const keys = [tag(id), `${tag(id)}-transactions`, `${tag(id)}-results`];
      expect(await Promise.all(keys.map((key) => reader.exists(key)))).toEqual([0, 0, 0]);
    }
    for (const input of inputs) input.disconnect?.();
  });

  it("keeps the order of calls that are not awaited", async () => {
    const store = openStore(options);
    const ids = Array.from({ length: 50 }, (_, index) => `${label}-order-${index}`);
    const work = async (id) => {
      const calls = [
        store.beginExecutionTask(id, "t"),
        store.commitExecutionTaskResult(id, "t", 1),
        store.isExecutionTaskInProgress(id, "t"),
        store.beginExecutionTask(id, "t"),
        store.isExecutionTaskInProgress(id, "t"),
        store.commitExecutionTaskResult(id, "t", 2),
        store.getExecutionTaskResult(id, "t"),
      ];
      const answers = await Promise.all(calls);
      expect([answers[2], answers[4], answers[6]]).toEqual([false, true, 2]);
    };
    await Promise.all(ids.map(work));
  });
});

describe("while the cluster changes", () => {
  it.each([
    ["without hash tags", {}, (id) => id],
    ["with hash tags", { hashTags: true }, braces],
  ])("%s, the order per key is kept while slots of every server move", async (label, options, tag) => {
    // Every slot: faults/resharding.test.mjs. Servers of its own, because the slots do not come back.
    const own = await startMasters({ replicas: 0 });
    const ownReader = new Cluster(own.startup, { maxRedirections: 1000 });
    try {
      const store = openStore({ ...options, commandTimeout: 30_000 }, own.startup);
      const outcome = await reshard({ cluster: own, store, reader: ownReader, tag, label: "some", every: 32 });
      expect(outcome, label).toMatchObject({ errors: [], backwards: [], wrong: [], marks: [], moved: 16_384 / 32 });
    } finally {
      ownReader.disconnect();
      await own.stop();
    }
  });

  it.each([
    ["without hash tags", {}, (id) => id],
    ["with hash tags", { hashTags: true }, braces],
  ])("%s, no call fails and none is lost while slots move", async (label, options, tag) => {
    const store = openStore(options);
    const worker = workUntilStopped(store, `moving ${label}`);
    await more(worker);
    const [first, second] = cluster.masters;
    const slots = Array.from({ length: 400 }, (_, slot) => slot);
    await moveSlots(cluster.masters, first, second, slots);
    await more(worker);
    await moveSlots(cluster.masters, second, first, slots);
    await more(worker);
    await worker.stop();
    expect(worker.errors).toEqual([]);
    expect(await lost(worker.acknowledged, tag)).toEqual({ results: 0, marks: 0 });
  });

  it("a key that has moved ahead of its slot is asked for where it is", async () => {
    const store = openStore({ hashTags: true });
    const slot = await reader.cluster("KEYSLOT", "{asked}");
    const slots = await cluster.masters[0].admin.call("CLUSTER", "SLOTS");
    const port = slots.find(([from, to]) => from <= slot && slot <= to)[2][1];
    const from = cluster.masters.find(({ server }) => server.port === port);
    const to = cluster.masters.find((node) => node !== from);
    await to.admin.call("CLUSTER", "SETSLOT", slot, "IMPORTING", await from.admin.call("CLUSTER", "MYID"));
    await from.admin.call("CLUSTER", "SETSLOT", slot, "MIGRATING", await to.admin.call("CLUSTER", "MYID"));
    await store.beginExecution("asked");
    expect(await store.isExecutionInProgress("asked")).toBe(true);
    const holds = async ({ admin }) => (await admin.call("CLUSTER", "GETKEYSINSLOT", slot, 1000)).includes("{asked}");
    expect(await Promise.all([from, to].map(holds))).toEqual([false, true]);
    await moveSlots(cluster.masters, from, to, [slot]);
    expect(await store.isExecutionInProgress("asked")).toBe(true);
    await moveSlots(cluster.masters, to, from, [slot]);
    expect(await store.isExecutionInProgress("asked")).toBe(true);
  });

  it("a server that is killed delays its own executions only, until its replica takes over", async () => {
    const store = openStore({ hashTags: true, commandTimeout: 30_000 });
    const [victim] = cluster.masters;
    const own = [];
    const others = [];
    for (let index = 0; own.length < 16 || others.length < 16; index += 1) {
      const slot = await reader.cluster("KEYSLOT", `{kill-${index}}`);
      (slot < 16_384 / 3 - 1 ? own : others).push(`kill-${index}`);
    }
    for (const id of [...own, ...others]) await store.beginExecution(id);
    // A replica that is not informed of the slots that were moved cannot take them over.
    const mapOf = async ({ admin }) =>
      JSON.stringify((await admin.call("CLUSTER", "SLOTS")).map(([from, to, [, port]]) => [from, to, port]).sort());
    const agree = async () => new Set(await Promise.all(cluster.nodes.map(mapOf))).size === 1;
    await eventually(agree, { deadline: 30_000, message: "all servers to know the slots" });
    // Until the replica has it, a write can be lost with its server.
    for (const { admin } of cluster.masters) await admin.call("WAIT", 1, 5_000);
    await victim.server.kill();
    let promoted = false;
    const waiting = Promise.all(own.map((id) => store.commitExecutionTaskResult(id, "t", 1)));
    waiting.then(() => {
      promoted = true;
    });
    for (const id of others) await store.commitExecutionTaskResult(id, "t", 1);
    expect(promoted).toBe(false);
    await waiting;
    for (const id of own) expect(await store.getExecutionTaskResult(id, "t")).toBe(1);
    await victim.server.restart();
  });

  it("says that the cluster cannot be reached, within the deadline", async () => {
    const store = openStore({ commandTimeout: 300 }, [{ host: "127.0.0.1", port: 1 }]);
    await expect(store.beginExecution("x")).rejects.toMatchObject({ code: "ERR_REDIS_CONNECTION" });
  });
});
