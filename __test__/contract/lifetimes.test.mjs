// How long things live beyond the expiry of keys: `touch`, marks of tasks that expire by themselves, and what is left of
// executions that are gone. On one server, behind Sentinel, in a cluster with hash tags and without, over HTTP, and over a client's own methods.
import { Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createRedisStore } from "../../index.js";
import { CLIENT_INPUTS } from "../support/inputs.mjs";
import { createMapClient } from "../support/map-client.mjs";
import { hasFieldExpiryOn, keysOf, usePlaces } from "../support/places.mjs";
import { eventually, sharedRedis } from "../support/redis.mjs";

const { url, admin: shared, newId } = sharedRedis();

const HOUR = 3_600_000;
const MINUTE = 60_000;
const SHORT = 150;

const { places, endings } = usePlaces(url);
let hasFieldExpiry;

beforeAll(async () => {
  hasFieldExpiry = await hasFieldExpiryOn(shared);
});

const PLACES = [
  places.single,
  { ...places.single, name: "one server without read-ahead", options: { readAhead: false } },
  places.sentinel,
  places.cluster,
  places.hashTags,
  places.upstash,
];
const CLIENTS = CLIENT_INPUTS.filter(({ name }) => !name.endsWith("a Map")).map((input) => ({
  name: input.name,
  make: () => input.make({ url }),
  end: input.end ?? ((client) => client.disconnect?.()),
  at: () => url,
  options: input.options,
}));

/** Opens stores at a place, closed after the tests that use them. */
function useStores(place) {
  const closers = [];
  let admin;

  beforeAll(() => {
    admin = new Redis(place.at());
  });

  afterAll(async () => {
    for (const close of closers) await close();
    admin.disconnect();
  });

  return {
    admin: () => admin,
    open(options) {
      const redis = place.make();
      const store = createRedisStore(redis, { ...place.options, ...options });
      closers.push(async () => {
        await store.close();
        await place.end?.(redis);
      });
      return store;
    },
    left: (id) => Promise.all(keysOf(id, place).map((key) => admin.pttl(key))),
  };
}

describe.each([...PLACES, ...CLIENTS])("touch over $name", (place) => {
  const { admin, open, left } = useStores(place);

  async function begin(store, id) {
    await store.beginExecution(id);
    await store.commitExecutionTaskResult(id, "done", 1);
    await store.beginExecutionTask(id, "running");
    for (const key of keysOf(id, place)) await admin().pexpire(key, MINUTE);
  }

  it("renews the three expiries", async () => {
    const [store, id] = [open({ ttl: HOUR }), newId()];
    await begin(store, id);
    expect(await store.touch(id)).toBe(true);
    for (const ms of await left(id)) expect(ms).toBeGreaterThan(MINUTE);
  });

  it("may name a task", async () => {
    const [store, id] = [open({ ttl: HOUR }), newId()];
    await begin(store, id);
    expect(await store.touch(id, "running")).toBe(true);
    for (const ms of await left(id)) expect(ms).toBeGreaterThan(MINUTE);
    expect(await store.isExecutionTaskInProgress(id, "running")).toBe(true);
  });

  it("says that an execution is gone", async () => {
    const [store, id] = [open({ ttl: HOUR }), newId()];
    expect(await store.touch(id)).toBe(false);
    await begin(store, id);
    await store.disposeExecution(id);
    expect(await store.touch(id, "running")).toBe(false);
    expect(await left(id)).toEqual([-2, -2, -2]);
  });

  it("changes nothing without a ttl, and still says whether the execution is there", async () => {
    const [store, id] = [open({}), newId()];
    expect(await store.touch(id)).toBe(false);
    await store.beginExecution(id);
    expect(await store.touch(id)).toBe(true);
    expect(await left(id)).toEqual([-1, -2, -2]);
  });

  it("does not take `undefined` and `null` for a task, and refuses what is none", async () => {
    const [store, id] = [open({}), newId()];
    await store.beginExecution(id);
    for (const task of [undefined, null]) expect(await store.touch(id, task)).toBe(true);
    await expect(store.touch(id, "")).rejects.toMatchObject({ code: "ERR_INVALID_ARG_VALUE" });
    await expect(store.touch(id, 1)).rejects.toMatchObject({ code: "ERR_INVALID_ARG_TYPE" });
    await expect(store.touch("")).rejects.toMatchObject({ code: "ERR_INVALID_ARG_VALUE" });
  });
});

describe.each(PLACES)("inProgressTtl over $name", (place) => {
  const { admin, open, left } = useStores(place);
  const lease = async (id, task) => {
    const [, key] = keysOf(id, place);
    return (await admin().call("HPTTL", key, "FIELDS", 1, task))[0];
  };

  it("hands a step out again whose mark has expired, or says that the server cannot", async () => {
    const [store, id] = [open({ inProgressTtl: SHORT }), newId()];
    await store.beginExecution(id);
    if (!hasFieldExpiry) {
      const refused = { code: "ERR_REDIS_REPLY", message: expect.stringMatching(/Redis 7\.4, Valkey 9/) };
      await expect(store.beginExecutionTask(id, "step")).rejects.toMatchObject(refused);
      expect(await store.isExecutionTaskInProgress(id, "step")).toBe(false);
      // The connection is as good as before.
      expect(await store.isExecutionInProgress(id)).toBe(true);
      return;
    }
    await store.beginExecutionTask(id, "step");
    expect(await store.isExecutionTaskInProgress(id, "step")).toBe(true);
    await eventually(async () => !(await store.isExecutionTaskInProgress(id, "step")), { message: "the lease's end" });
    expect(await store.isExecutionInProgress(id)).toBe(true);
    await store.beginExecutionTask(id, "step");
    await store.commitExecutionTaskResult(id, "step", 1);
    expect(await store.getExecutionTaskResults(id)).toEqual({ step: 1 });
  });

  it.each([{}, { ttl: HOUR }, { ttl: HOUR, slidingTtl: true }])("concerns the task alone: %o", async (options) => {
    const [store, id] = [open({ inProgressTtl: MINUTE, ...options }), newId()];
    await store.beginExecution(id);
    if (!hasFieldExpiry) return await expect(store.beginExecutionTask(id, "a")).rejects.toThrow(/inProgressTtl/);
    await open({ ...options }).beginExecutionTask(id, "for ever");
    await store.beginExecutionTask(id, "step");
    expect(await lease(id, "step")).toBeGreaterThan(0);
    expect(await lease(id, "step")).toBeLessThanOrEqual(MINUTE);
    expect(await lease(id, "for ever")).toBe(-1);
    const [, ms] = await left(id);
    if (options.ttl) expect(ms).toBeGreaterThan(MINUTE);
    else expect(ms).toBe(-1);
  });

  it("is renewed by touch, of marks that have a lease", async () => {
    const [store, id] = [open({ inProgressTtl: HOUR }), newId()];
    await store.beginExecution(id);
    if (!hasFieldExpiry) return await expect(store.touch(id, "step")).rejects.toThrow(/inProgressTtl/);
    await open({ inProgressTtl: MINUTE }).beginExecutionTask(id, "step");
    await open({}).beginExecutionTask(id, "for ever");
    for (const task of ["step", "for ever", "not begun"]) expect(await store.touch(id, task)).toBe(true);
    expect(await lease(id, "step")).toBeGreaterThan(MINUTE);
    expect(await lease(id, "for ever")).toBe(-1);
    expect(await store.isExecutionTaskInProgress(id, "not begun")).toBe(false);
    expect(await store.touch(id)).toBe(true);
  });
});

describe.each(PLACES)("orphanTtl over $name", (place) => {
  const { admin, open, left } = useStores(place);
  const begun = async (id) => {
    const [key] = keysOf(id, place);
    return (await admin().exists(key)) === 1;
  };

  it.each([
    ["for ever else", {}, HOUR],
    ["with a longer ttl", { ttl: 2 * HOUR }, HOUR],
    ["with a shorter ttl", { ttl: MINUTE }, MINUTE],
  ])("lets what is written for an execution that is gone expire: %s", async (_, options, longest) => {
    const [store, id] = [open({ orphanTtl: HOUR, ...options }), newId()];
    await store.beginExecution(id);
    await store.disposeExecution(id);
    await store.commitExecutionTaskResult(id, "late", 1);
    await store.beginExecutionTask(id, "late too");
    const [execution, ...hashes] = await left(id);
    expect(execution).toBe(-2);
    for (const ms of hashes) {
      expect(ms).toBeGreaterThan(0);
      expect(ms).toBeLessThanOrEqual(longest);
    }
    expect(await store.getExecutionTaskResults(id)).toEqual({ late: 1 });
    expect(await store.isExecutionTaskInProgress(id, "late too")).toBe(true);
    expect(await store.touch(id)).toBe(false);
    for (const ms of (await left(id)).slice(1)) expect(ms).toBeLessThanOrEqual(longest);
  });

  it.each([{}, { ttl: HOUR }, { ttl: HOUR, slidingTtl: true }])("leaves live executions alone: %o", async (options) => {
    const [store, id] = [open({ orphanTtl: MINUTE, ...options }), newId()];
    await store.beginExecution(id);
    await store.commitExecutionTaskResult(id, "done", 1);
    await store.beginExecutionTask(id, "running");
    for (const ms of await left(id)) {
      if (options.ttl) expect(ms).toBeGreaterThan(MINUTE);
      else expect(ms).toBe(-1);
    }
    expect(await store.isExecutionTaskInProgress(id, "done")).toBe(false);
    await store.commitExecutionTaskResult(id, "running", 2);
    expect(await store.getExecutionTaskResults(id)).toEqual({ done: 1, running: 2 });
    expect(await store.isExecutionInProgress(id)).toBe(true);
  });

  it.each([{}, { ttl: HOUR }])("ends when an execution begins under the id: %o", async (options) => {
    const [store, id] = [open({ orphanTtl: MINUTE, ...options }), newId()];
    await store.commitExecutionTaskResult(id, "early", 1);
    await store.beginExecutionTask(id, "early too");
    await store.beginExecution(id);
    for (const ms of await left(id)) {
      if (options.ttl) expect(ms).toBeGreaterThan(MINUTE);
      else expect(ms).toBe(-1);
    }
    expect(await store.getExecutionTaskResults(id)).toEqual({ early: 1 });
  });

  it("keeps the order of calls that do not wait for each other", async () => {
    const [store, id] = [open({ orphanTtl: HOUR }), newId()];
    await Promise.all([
      store.beginExecution(id),
      store.beginExecutionTask(id, "a"),
      store.commitExecutionTaskResult(id, "a", 1),
      store.commitExecutionTaskResult(id, "b", 2),
      expect(store.getExecutionTaskResults(id)).resolves.toEqual({ a: 1, b: 2 }),
      expect(store.isExecutionTaskInProgress(id, "a")).resolves.toBe(false),
      store.disposeExecution(id),
      store.commitExecutionTaskResult(id, "late", 3),
    ]);
    const [execution, marks, results] = await left(id);
    expect([execution, marks]).toEqual([-2, -2]);
    expect(results).toBeGreaterThan(0);
  });

  it("never lets an execution expire that begins while others write for it", async () => {
    const [one, two] = [open({ orphanTtl: MINUTE }), open({ orphanTtl: MINUTE, commandTimeout: 9_000 })];
    const ids = Array.from({ length: 200 }, () => newId());
    await Promise.all(
      ids.flatMap((id) => [
        one.commitExecutionTaskResult(id, "early", 1),
        one.beginExecutionTask(id, "early too"),
        two.beginExecution(id),
      ]),
    );
    for (const id of ids) expect([id, ...(await left(id))]).toEqual([id, -1, -1, -1]);
    expect(await begun(ids[0])).toBe(true);
  });
});

it("heals the workflow whose message a queue did not take, once its mark has expired", async () => {
  if (!hasFieldExpiry) return;
  const [store, id] = [createRedisStore(url, { inProgressTtl: SHORT }), newId()];
  endings.push(() => store.close());
  let handedOut = 0;
  /** What a worker does with the message of a function that has one step. */
  async function handle(enqueue) {
    if ((await store.getExecutionTaskResults(id)).step !== undefined) return "done";
    if (await store.isExecutionTaskInProgress(id, "step")) return "in progress";
    await store.beginExecutionTask(id, "step");
    await enqueue();
    handedOut += 1;
    return "handed out";
  }
  await store.beginExecution(id);
  await expect(handle(() => Promise.reject(new Error("503")))).rejects.toThrow("503");
  expect(await handle(() => {})).toBe("in progress");
  await eventually(async () => (await handle(() => {})) === "handed out", { message: "the step handed out again" });
  await store.commitExecutionTaskResult(id, "step", 1);
  expect([await handle(() => {}), handedOut]).toEqual(["done", 1]);
});

describe("options that a client's own methods cannot honour", () => {
  it.each([
    ["inProgressTtl", MINUTE],
    ["orphanTtl", MINUTE],
  ])("are refused when the store is made: %s", (name, value) => {
    const make = () => createRedisStore(createMapClient(), { [name]: value });
    expect(make).toThrow(TypeError);
    expect(make).toThrow(expect.objectContaining({ code: "ERR_REDIS_CONFIG", message: expect.stringContaining(name) }));
    expect(() =>
      createRedisStore(new Redis(url, { lazyConnect: true }), { [name]: value, connection: "client" }),
    ).toThrow(name);
    for (const off of [0, null, undefined]) createRedisStore(createMapClient(), { [name]: off });
  });

  it.each(["inProgressTtl", "orphanTtl"])("are checked as `ttl` is: %s", (name) => {
    for (const value of [-1, Number.NaN, Infinity, 2 ** 53]) {
      expect(() => createRedisStore(url, { [name]: value }), value).toThrow(RangeError);
    }
    for (const value of ["1", true, {}]) expect(() => createRedisStore(url, { [name]: value })).toThrow(TypeError);
  });
});
