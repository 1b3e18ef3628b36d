// What the admin API says and does, over every kind of server.
import { randomUUID } from "node:crypto";
import { Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createRedisStore } from "../../index.js";
import { createRedisAdmin } from "../../lib/admin.js";
import { createAuthority } from "../../tooling/servers/certificates.mjs";
import { startMasters } from "../../tooling/servers/cluster.mjs";
import { startRestEndpoint } from "../../tooling/servers/rest-endpoint.mjs";
import { HOST, startTlsRedis } from "../../tooling/servers/tls.mjs";
import { privateRedis } from "../support/redis.mjs";
import { SENTINEL_MASTER, startSentinel } from "../support/topologies.mjs";

const stops = [];
const servers = {};

beforeAll(async () => {
  const authority = createAuthority();
  const [single, cluster, watched, tls] = await Promise.all([
    privateRedis(),
    startMasters({ replicas: 0 }),
    startSentinel(),
    startTlsRedis(authority),
  ]);
  const rest = await startRestEndpoint({ redisUrl: single.url });
  stops.push(cluster.stop, watched.stop, tls.stop, rest.stop);
  Object.assign(servers, { single, cluster, watched, tls, rest, ca: authority.cert });
});

afterAll(() => Promise.all(stops.map((stop) => stop())));

const INPUTS = [
  { name: "one server", backend: "redis", make: ({ single }) => single.url },
  { name: "one server, with a prefix", make: ({ single }) => single.url, options: { keyPrefix: "sh[o]p:" } },
  { name: "one server, with hash tags", make: ({ single }) => single.url, options: { hashTags: true } },
  { name: "one server, with a ttl", make: ({ single }) => single.url, options: { ttl: 60_000, keyPrefix: "ttl:" } },
  { name: "a database of its own", make: ({ single }) => `${single.url}/3` },
  { name: "an ioredis client", make: ({ single }) => client(new Redis(single.url, { keyPrefix: "ioredis:" })) },
  { name: "TLS", make: ({ tls, ca }) => ({ host: HOST, port: tls.tlsPort, tls: { ca } }) },
  {
    name: "Sentinel",
    backend: "redis-sentinel",
    make: ({ watched }) => ({ sentinels: [watched.sentinel], name: SENTINEL_MASTER }),
  },
  { name: "a cluster", backend: "redis-cluster", make: ({ cluster }) => cluster.startup },
  {
    name: "a cluster, with hash tags",
    make: ({ cluster }) => cluster.startup,
    options: { hashTags: true, keyPrefix: "tagged:" },
  },
  {
    name: "Upstash",
    backend: "upstash",
    make: ({ rest: { url, token } }) => ({ url, token }),
    options: { keyPrefix: "upstash:" },
  },
];

function client(redis) {
  stops.push(async () => redis.disconnect());
  return redis;
}

async function all(executions) {
  const found = [];
  for await (const summary of executions) found.push(summary);
  return found;
}

describe.each(INPUTS)("over $name", ({ make, options, backend }) => {
  let admin;
  let store;
  const mine = [];

  beforeAll(() => {
    const redis = make(servers);
    store = createRedisStore(redis, options);
    admin = createRedisAdmin(redis, options);
  });

  afterAll(async () => {
    for (const id of mine) await store.disposeExecution(id);
    await store.close();
    await admin.close();
  });

  /** An execution with a step that is done, and one in progress. */
  async function begin(id = randomUUID()) {
    mine.push(id);
    await store.beginExecution(id);
    await store.beginExecutionTask(id, "order:charge");
    await store.beginExecutionTask(id, "order:pack");
    await store.commitExecutionTaskResult(id, "order:pack", { packed: true });
    return id;
  }

  /** What a late duplicate leaves behind. */
  async function orphan() {
    const id = randomUUID();
    mine.push(id);
    await store.commitExecutionTaskResult(id, "order:late", 1);
    return id;
  }

  const listed = async (filter) => (await all(admin.executions(filter))).filter(({ id }) => mine.includes(id));

  test("says what it is", () => {
    if (backend) expect(admin.backend).toBe(backend);
  });

  test("lists an execution once, with what is known of it", async () => {
    const id = await begin();
    const found = (await listed()).filter((summary) => summary.id === id);
    expect(found).toEqual([
      expect.objectContaining({
        id,
        orphan: false,
        inProgress: ["order:charge"],
        inProgressCount: 1,
        results: 1,
        idleMs: expect.any(Number),
        bytes: expect.any(Number),
      }),
    ]);
    expect(found[0].idleMs).toBeLessThan(30_000);
    if (options?.ttl) {
      expect(found[0].ttlMs).toBeGreaterThan(options.ttl - 30_000);
      expect(found[0].startedMs).toBeLessThan(30_000);
    } else {
      expect(found[0].ttlMs).toBe(undefined);
    }
  });

  test("lists an execution that has only begun, and one with any id that has hashes", async () => {
    const id = randomUUID();
    mine.push(id);
    await store.beginExecution(id);
    const named = await begin(`order ${randomUUID()}`);
    const found = (await listed()).map((summary) => summary.id);
    expect(found).toEqual(expect.arrayContaining([id, named]));
    expect(new Set(found).size).toBe(found.length);
  });

  test("lists the stuck and the orphaned alone", async () => {
    const [running, left] = [await begin(), await orphan()];
    expect(await listed({ stuck: true, olderThan: 3_600_000 })).toEqual([]);
    const stuck = (await listed({ stuck: true, olderThan: 0 })).map(({ id }) => id);
    expect(stuck).toContain(running);
    expect(stuck).not.toContain(left);
    const orphans = await listed({ orphans: true });
    expect(orphans.map(({ id }) => id)).toContain(left);
    expect(orphans.every((summary) => summary.orphan)).toBe(true);
    expect((await listed({ match: `${left.slice(0, 30)}*` })).map(({ id }) => id)).toEqual([left]);
    expect(await all(admin.executions({ limit: 1 }))).toHaveLength(1);
  });

  test("shows an execution, a page at a time", async () => {
    const id = await begin();
    for (let step = 0; step < 5; step += 1) await store.commitExecutionTaskResult(id, `order:step-${step}`, "ü");
    const whole = await admin.execution(id, { values: true });
    expect(whole).toMatchObject({ id, total: 7, offset: 0, results: 6, inProgressCount: 1 });
    expect(whole.tasks.slice(0, 3)).toEqual([
      { id: "order:charge", state: "in progress" },
      { id: "order:pack", state: "done", bytes: 15, value: '{"packed":true}' },
      { id: "order:step-0", state: "done", bytes: 4, value: '"ü"' },
    ]);
    const page = await admin.execution(id, { offset: 2, limit: 2 });
    expect(page.tasks.map((task) => task.id)).toEqual(["order:step-0", "order:step-1"]);
    expect(page).toMatchObject({ offset: 2, total: 7 });
    expect(await admin.execution(id, { limit: 0 })).toMatchObject({ tasks: [], total: 7 });
    expect(await admin.execution(randomUUID())).toBe(undefined);
  });

  test("releases a task, so that it is dispatched again", async () => {
    const id = await begin();
    expect(await admin.releaseTask(id, "order:charge", { dryRun: true })).toBe(true);
    expect(await store.isExecutionTaskInProgress(id, "order:charge")).toBe(true);
    expect(await admin.releaseTask(id, "order:charge")).toBe(true);
    expect(await store.isExecutionTaskInProgress(id, "order:charge")).toBe(false);
    expect(await admin.releaseTask(id, "order:charge")).toBe(false);
    expect(await store.getExecutionTaskResults(id)).toEqual({ "order:pack": { packed: true } });
  });

  test("disposes of an execution", async () => {
    const id = await begin();
    expect(await admin.disposeExecution(id)).toBe(true);
    expect(await store.isExecutionInProgress(id)).toBe(false);
    expect(await admin.execution(id)).toBe(undefined);
    expect(await admin.disposeExecution(id)).toBe(false);
  });

  test("sweeps orphans, and stuck executions when told to", async () => {
    const [running, left] = [await begin(), await orphan()];
    const match = (id) => ({ match: `${id.slice(0, 30)}*` });
    expect(await admin.sweep({ olderThan: 3_600_000, ...match(left) })).toMatchObject({ swept: 0 });
    expect(await admin.sweep({ olderThan: 0, dryRun: true, ...match(left) })).toMatchObject({ swept: 1 });
    expect(await admin.execution(left)).toMatchObject({ orphan: true });
    const swept = [];
    const onSwept = ({ id }) => swept.push(id);
    expect(await admin.sweep({ olderThan: 0, onSwept, ...match(left) })).toMatchObject({ swept: 1, changed: 0 });
    expect(swept).toEqual([left]);
    expect(await admin.execution(left)).toBe(undefined);
    expect(await admin.sweep({ olderThan: 0, ...match(running) })).toMatchObject({ swept: 0 });
    expect(await admin.sweep({ olderThan: 0, stuck: true, ...match(running) })).toMatchObject({ swept: 1 });
    expect(await store.isExecutionInProgress(running)).toBe(false);
  });

  test("a doctor finds no problem", async () => {
    const { ok, checks } = await admin.doctor();
    expect(checks.filter(({ status }) => status === "problem")).toEqual([]);
    expect(ok).toBe(true);
    const names = checks.map(({ name }) => name);
    expect(names).toEqual(expect.arrayContaining(["version", "role", "permissions", "round trip", "clock"]));
    expect(names.includes("slots")).toBe(admin.backend === "redis-cluster");
  });
});
