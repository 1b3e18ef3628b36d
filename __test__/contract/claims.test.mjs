// The option `claim`: a task is handed out once, whoever else wants it and whenever. On one server, behind Sentinel, in a cluster with
// hash tags and without, and over HTTP.
import { Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createRedisStore } from "../../index.js";
import { startRestEndpoint } from "../../tooling/servers/rest-endpoint.mjs";
import { createWorker, WorkerInterrupt } from "../../tooling/workflow/worker.mjs";
import { createMapClient } from "../support/map-client.mjs";
import { hasFieldExpiryOn, keysOf, usePlaces } from "../support/places.mjs";
import { privateRedis, sharedRedis } from "../support/redis.mjs";
import { times } from "../support/scale.mjs";

const { url, admin: shared, newId } = sharedRedis();

const HOUR = 3_600_000;
const MINUTE = 60_000;
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

const { places, endings, topologies } = usePlaces(url);
let spread;
let hasFieldExpiry;

beforeAll(async () => {
  spread = await startRestEndpoint({ redisUrl: topologies().clusterUrl });
  endings.push(() => spread.stop());
  hasFieldExpiry = await hasFieldExpiryOn(shared);
});

const PLACES = [
  places.single,
  places.sentinel,
  places.cluster,
  places.hashTags,
  // It refuses what is about keys of several slots.
  { ...places.cluster, name: "a cluster's node by its URL", make: places.cluster.at },
  { ...places.cluster, name: "Upstash before a cluster", make: () => ({ url: spread.url, token: spread.token }) },
  places.upstash,
];

class Taken extends Error {}
const claim = (executionId, taskId) => new Taken(`${taskId} of ${executionId} is in progress`);

describe.each(PLACES)("claim over $name", (place) => {
  const stores = [];
  let admin;

  beforeAll(() => {
    admin = new Redis(place.at());
  });

  afterAll(async () => {
    await Promise.all(stores.map((store) => store.close()));
    admin.disconnect();
  });

  function open(options) {
    const store = createRedisStore(place.make(), { ...place.options, ...options });
    stores.push(store);
    return store;
  }

  const marks = (id) => admin.hgetall(keysOf(id, place)[1]);

  it("hands a task out to the first, and rejects with the error that is made for the second", async () => {
    const [one, two, plain, id] = [open({ claim }), open({ claim }), open({}), newId()];
    await one.beginExecution(id);
    expect(await one.beginExecutionTask(id, "step")).toBe(undefined);
    const before = await marks(id);
    expect(before).toEqual({ step: expect.stringMatching(UUID) });
    for (const store of [one, two]) {
      const taken = store.beginExecutionTask(id, "step");
      await expect(taken).rejects.toBeInstanceOf(Taken);
      await expect(taken).rejects.toThrow(`step of ${id} is in progress`);
    }
    expect(await marks(id)).toEqual(before);
    for (const store of [one, two, plain]) expect(await store.isExecutionTaskInProgress(id, "step")).toBe(true);
    await two.beginExecutionTask(id, "other");
    await one.commitExecutionTaskResult(id, "step", { done: true });
    expect(await plain.getExecutionTaskResults(id)).toEqual({ step: { done: true } });
    expect(Object.keys(await marks(id))).toEqual(["other"]);
  });

  it("hands out nothing that has a result, or whose execution is gone, and leaves no mark", async () => {
    const [one, two, id] = [open({ claim }), open({ claim }), newId()];
    const isTaken = (task) => expect(two.beginExecutionTask(id, task)).rejects.toBeInstanceOf(Taken);
    await isTaken("before the beginning");
    await one.beginExecution(id);
    await one.beginExecutionTask(id, "step");
    await one.commitExecutionTaskResult(id, "step", 1);
    await isTaken("step");
    expect(await marks(id)).toEqual({});
    await one.disposeExecution(id);
    await isTaken("step");
    expect(await admin.exists(keysOf(id, place)[1])).toBe(0);
  });

  it("takes the mark of a store that does not claim for one", async () => {
    const [store, plain, id] = [open({ claim }), open({}), newId()];
    await store.beginExecution(id);
    await plain.beginExecutionTask(id, "step");
    await expect(store.beginExecutionTask(id, "step")).rejects.toBeInstanceOf(Taken);
    expect(await marks(id)).toEqual({ step: "true" });
  });

  it.each([
    [{}, [-1, -1, -1]],
    [{ ttl: HOUR }, [MINUTE, HOUR, MINUTE]],
    [{ ttl: HOUR, slidingTtl: true, orphanTtl: MINUTE }, [HOUR, HOUR, HOUR]],
  ])("sets the expiries that a beginning sets: %o", async (options, expected) => {
    const [store, id] = [open({ claim, ...options }), newId()];
    await store.beginExecution(id);
    await store.commitExecutionTaskResult(id, "done", 1);
    if (options.ttl) for (const key of keysOf(id, place)) await admin.pexpire(key, MINUTE);
    await store.beginExecutionTask(id, "step");
    for (const [index, key] of keysOf(id, place).entries()) {
      const left = await admin.pttl(key);
      expect(left).toBeLessThanOrEqual(expected[index]);
      expect(left).toBeGreaterThanOrEqual(expected[index] === HOUR ? MINUTE : Math.min(expected[index], 1));
    }
  });

  it("is a lease with inProgressTtl, on a mark that is new", async () => {
    const [store, plain, id] = [open({ claim, inProgressTtl: MINUTE }), open({}), newId()];
    await store.beginExecution(id);
    if (!hasFieldExpiry) {
      await expect(store.beginExecutionTask(id, "step")).rejects.toThrow(/inProgressTtl needs a server/);
      expect(await marks(id)).toEqual({});
      return;
    }
    await plain.beginExecutionTask(id, "for ever");
    await store.beginExecutionTask(id, "step");
    for (const task of ["step", "for ever"]) await expect(store.beginExecutionTask(id, task)).rejects.toThrow(Taken);
    const [step, forEver] = await admin.call("HPTTL", keysOf(id, place)[1], "FIELDS", 2, "step", "for ever");
    expect(step).toBeGreaterThan(0);
    expect(forEver).toBe(-1);
    const short = open({ claim, inProgressTtl: 50 });
    await short.beginExecutionTask(id, "again");
    await expect.poll(() => store.beginExecutionTask(id, "again").then(() => "claimed", String)).toBe("claimed");
  });

  it("keeps the order of calls that do not wait for each other", async () => {
    const [store, id] = [open({ claim }), newId()];
    await Promise.all([
      store.beginExecution(id),
      store.beginExecutionTask(id, "a"),
      expect(store.beginExecutionTask(id, "a")).rejects.toBeInstanceOf(Taken),
      store.commitExecutionTaskResult(id, "a", 1),
      expect(store.beginExecutionTask(id, "a")).rejects.toBeInstanceOf(Taken),
      store.beginExecutionTask(id, "b"),
      expect(store.isExecutionTaskInProgress(id, "b")).resolves.toBe(true),
      store.disposeExecution(id),
      expect(store.beginExecutionTask(id, "c")).rejects.toBeInstanceOf(Taken),
      store.beginExecution(id),
      store.beginExecutionTask(id, "b"),
    ]);
    expect(Object.keys(await marks(id))).toEqual(["b"]);
  });

  it("hands each task out once while it is committed and disposed of", async () => {
    const contenders = Array.from({ length: 4 }, () => open({ claim }));
    const ids = Array.from({ length: times(100, 1_000) }, () => newId());
    const handedOut = new Map(ids.map((id) => [id, 0]));
    await Promise.all(ids.map((id) => contenders[0].beginExecution(id)));
    const handle = async (store, id) => {
      await store.beginExecutionTask(id, "step");
      handedOut.set(id, handedOut.get(id) + 1);
      await store.commitExecutionTaskResult(id, "step", 1);
      await store.disposeExecution(id);
    };
    for (const store of contenders) {
      await Promise.allSettled(
        ids.map((id, index) => handle(contenders[index % 4], id)).concat(ids.map((id) => handle(store, id))),
      );
    }
    expect(new Set(handedOut.values())).toEqual(new Set([1]));
    for (const id of ids) expect(await admin.exists(keysOf(id, place)[1])).toBe(0);
  });
});

describe("the function of `claim`", () => {
  const stores = [];
  const open = (claim) => {
    const store = createRedisStore(url, { claim });
    stores.push(store);
    return store;
  };
  const beginTwice = async (claim) => {
    const [store, id] = [open(claim), newId()];
    await store.beginExecution(id);
    await store.beginExecutionTask(id, "step");
    await store.beginExecutionTask(id, "step");
  };

  afterAll(() => Promise.all(stores.map((store) => store.close())));

  it("may throw in place of returning", async () => {
    const thrown = new Taken("thrown");
    const rejected = beginTwice(() => {
      throw thrown;
    });
    await expect(rejected).rejects.toBe(thrown);
  });

  it.each([undefined, null, "in progress", {}, Promise.resolve(new Taken("late"))])(
    "has to return an Error, not %o",
    async (value) => {
      const wrong = {
        name: "TypeError",
        code: "ERR_INVALID_RETURN_VALUE",
        message: expect.stringContaining("`claim`"),
      };
      await expect(beginTwice(() => value)).rejects.toMatchObject(wrong);
    },
  );

  it("is not asked about ids that are none, nor when the store is closed", async () => {
    const store = open(() => new Taken("asked"));
    await expect(store.beginExecutionTask("", "step")).rejects.toMatchObject({ code: "ERR_INVALID_ARG_VALUE" });
    await expect(store.beginExecutionTask("run", 1)).rejects.toMatchObject({ code: "ERR_INVALID_ARG_TYPE" });
    await store.close();
    await expect(store.beginExecutionTask("run", "step")).rejects.toMatchObject({ code: "ERR_REDIS_CLOSED" });
  });

  it("is checked when the store is made", () => {
    for (const value of [true, "claim", 1, {}]) {
      const make = () => createRedisStore(url, { claim: value });
      expect(make).toThrow(TypeError);
      expect(make).toThrow(
        expect.objectContaining({ code: "ERR_REDIS_CONFIG", message: expect.stringContaining("`claim`") }),
      );
    }
    for (const off of [null, undefined]) createRedisStore(url, { claim: off });
  });

  it("is refused where a client's own methods carry the calls", () => {
    const refused = expect.objectContaining({ code: "ERR_REDIS_CONFIG", message: expect.stringContaining("`claim`") });
    expect(() => createRedisStore(createMapClient(), { claim })).toThrow(refused);
    const client = new Redis(url, { lazyConnect: true });
    expect(() => createRedisStore(client, { claim, connection: "client" })).toThrow(refused);
  });
});

it("says that the server runs no scripts, and goes on", async () => {
  const server = await privateRedis({ args: ["--rename-command", "EVAL", ""] });
  const [store, id] = [createRedisStore(server.url, { claim }), newId()];
  await store.beginExecution(id);
  for (const task of ["one", "two"]) {
    await expect(store.beginExecutionTask(id, task)).rejects.toMatchObject({
      code: "ERR_REDIS_REPLY",
      message: expect.stringMatching(/claim and orphanTtl need a server that runs scripts/),
    });
    expect(await store.isExecutionTaskInProgress(id, task)).toBe(false);
  }
  await store.close();
});

describe.each(["ISOLATED", "UNTIL_ERROR"])("a worker in the mode %s", (mode) => {
  it("leaves to the other what that has claimed", async () => {
    const interrupt = () => new WorkerInterrupt("in progress already");
    const stores = [1, 2].map(() => createRedisStore(url, { claim: interrupt }));
    const queue = [];
    const ran = [];
    const workers = stores.map((store) => {
      const worker = createWorker({ store, mode, dispatcher: { dispatch: (message) => queue.push(message) } });
      worker.createFunction({ id: "order", event: "placed" }, async (_, run) => {
        await run("pay", () => ran.push("pay"));
        await run("send", () => ran.push("send"));
      });
      return worker;
    });
    const message = { id: newId(), event: { name: "placed" } };
    // Both get the message of the event at once, and one of them what that led to.
    await Promise.all(workers.map((worker) => worker.handle(message)));
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) await workers[0].handle(next);
    expect(ran).toEqual(["pay", "send"]);
    expect(await stores[0].isExecutionInProgress(message.id)).toBe(false);
    await Promise.all(stores.map((store) => store.close()));
  });
});
