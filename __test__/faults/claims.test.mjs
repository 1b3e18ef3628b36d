// Claims of two processes that get each message at the same moment, also with answers lost and connections cut, and claims that their
// callers gave up: each task is handed out once, and what was given up is free again.
import { Redis } from "ioredis";
import { describe, expect, it } from "vitest";
import { slotsOf, startMasters } from "../../tooling/servers/cluster.mjs";
import { startScript } from "../support/child.mjs";
import { ioredisConfiguration } from "../support/inputs.mjs";
import { usePlaces } from "../support/places.mjs";
import { createRandom } from "../support/random.mjs";
import { eventually, sharedRedis } from "../support/redis.mjs";
import { moveSlots } from "../support/resharding.mjs";
import { note, times } from "../support/scale.mjs";
import { temporaryProxy, temporaryStore } from "../support/temporary.mjs";

const RACES = times(200, 1_000);
/** Milliseconds from one race to the next. */
const INTERVAL = 2;
/** Milliseconds until both processes have started. */
const LEAD = 1_000;

const { url, newId } = sharedRedis();
const configuration = ioredisConfiguration(url);
const { topologies, rest } = usePlaces(url);

/** Claims the task of each execution in its turn, and prints what became of that. */
const RACER = `
  class Taken extends Error {}
  const store = createRedisStore(args.redis, { ...args.options, claim: () => new Taken("taken"), commandTimeout: 20_000 });
  await store.isExecutionInProgress("warm");
  const claims = args.ids.map(async (id, index) => {
    await new Promise((resolve) => setTimeout(resolve, args.at + index * args.interval - Date.now()));
    try {
      await store.beginExecutionTask(id, "step");
      return { id };
    } catch (error) {
      return error instanceof Taken ? {} : { failure: error.message };
    }
  });
  console.log(JSON.stringify(await Promise.all(claims)));
  await store.close();
`;

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** A way to a server over a proxy, and what makes it a bad one: connections end while answers are held back, or requests under way. */
async function wayOver(server, at) {
  const proxy = await temporaryProxy(server);
  const disturb = async ({ chance }) => {
    for (const connection of proxy.connections.slice(-2)) {
      if (chance(0.5)) connection.hold("toClient");
      await pause(3);
      if (chance(0.5)) connection.cutClient();
      else connection.cut();
    }
  };
  return { redis: at(proxy), disturb };
}

/** A way to the cluster, whose node ends the connections: behind a proxy, it would be connected to without. */
async function wayToCluster() {
  const disturb = async (_, admin) => void (await admin.client("KILL", "TYPE", "normal", "SKIPME", "yes"));
  return { redis: [topologies().clusterUrl], disturb };
}

const toServer = () => wayOver(configuration, ({ host, port }) => ({ ...configuration, host, port }));

const toEndpoint = () => {
  const { hostname: host, port } = new URL(rest().url);
  const at = (proxy) => ({ url: `http://${proxy.host}:${proxy.port}`, token: rest().token });
  return wayOver({ host, port: Number(port) }, at);
};

const PLACES = [
  { name: "one server", at: () => url, way: toServer },
  { name: "a cluster", at: () => topologies().clusterUrl, way: wayToCluster },
  {
    name: "a cluster with hash tags",
    at: () => topologies().clusterUrl,
    way: wayToCluster,
    options: { hashTags: true },
  },
  { name: "Upstash", at: () => url, way: toEndpoint },
];

describe.each(PLACES)("two processes over $name", ({ name, at, way, options }) => {
  it.each([
    ["undisturbed", false],
    ["with answers lost and connections cut", true],
  ])("are handed out each task once between them, %s", async (how, isDisturbed) => {
    const seed = Math.floor(Math.random() * 2 ** 32);
    const random = createRandom(seed);
    const admin = new Redis(at());
    const ids = Array.from({ length: RACES }, () => newId());
    for (const id of ids) await admin.set(options?.hashTags ? `{${id}}` : id, "true");
    const ways = await Promise.all([way(), way()]);
    const begin = Date.now() + LEAD;
    const racers = ways.map(({ redis }) =>
      startScript(RACER, { args: { redis, options, ids, at: begin, interval: INTERVAL } }),
    );
    let isOver = false;
    const ended = Promise.all(racers.map((racer) => racer.ended)).finally(() => {
      isOver = true;
    });
    let disturbances = 0;
    while (isDisturbed && !isOver) {
      await pause(20);
      if (Date.now() < begin) continue;
      await random.pick(ways).disturb(random, admin);
      disturbances += 1;
    }
    const outcomes = (await ended).map(({ lines, errors }) => {
      expect([errors, lines.length]).toEqual(["", 1]);
      return JSON.parse(lines[0]);
    });
    const given = outcomes.map((outcome) => outcome.filter(({ id }) => id !== undefined).map(({ id }) => id));
    expect(outcomes.flat().filter(({ failure }) => failure !== undefined)).toEqual([]);
    expect(given.flat().sort(), `seed ${seed}`).toEqual([...ids].sort());
    admin.disconnect();
    note({
      scenario: `claims of two processes, ${name}, ${how}`,
      done: `${RACES} races, won ${given.map(({ length }) => length).join(" to ")}, ${disturbances} disturbances`,
      found: "0 tasks handed out twice, 0 not at all",
      promise: "0, 0",
    });
  });
});

class Taken extends Error {}
const claim = () => new Taken("taken");

describe("a claim that its caller gave up", () => {
  const RETRIES = { timeout: 10_000, message: "the task to be free" };

  /** A store whose claim is carried out, or will be, and is given up before its answer has come. */
  async function giveUp(id, held, close) {
    const proxy = await temporaryProxy(configuration);
    const at = { ...configuration, host: proxy.host, port: proxy.port };
    const store = temporaryStore(at, { claim, commandTimeout: 300 });
    await store.beginExecution(id);
    const [connection] = proxy.connections;
    connection.hold(held);
    proxy.holdNew(held);
    const given = store.beginExecutionTask(id, "step");
    // Before it is given up: it is to find the connection.
    const closed = close
      ? expect(given)
          .rejects.toThrow()
          .then(() => store.close())
      : undefined;
    await expect(given).rejects.toMatchObject({ code: "ERR_REDIS_TIMEOUT" });
    return { proxy, connection, store, closed };
  }

  const mark = async (id) => {
    const admin = new Redis(url);
    const value = await admin.hget(`${id}-transactions`, "step");
    admin.disconnect();
    return value;
  };

  const evals = async (admin) => Number(/cmdstat_eval:calls=(\d+)/.exec(await admin.info("commandstats"))?.[1] ?? 0);

  async function isFree(id) {
    await eventually(async () => (await mark(id)) === null, RETRIES);
    const other = temporaryStore(url, { claim });
    await other.beginExecutionTask(id, "step");
    return mark(id);
  }

  it("is taken back when the answer comes after all", async () => {
    const id = newId();
    const { proxy, connection } = await giveUp(id, "toClient");
    proxy.holdNew();
    connection.release("toClient");
    expect(await isFree(id)).not.toBe(null);
  });

  it("is taken back over the next connection", async () => {
    const id = newId();
    const { proxy, connection } = await giveUp(id, "toClient");
    expect(await mark(id)).not.toBe(null);
    proxy.holdNew();
    connection.cut();
    expect(await isFree(id)).not.toBe(null);
  });

  it("is taken back when it reaches the server only then", async () => {
    const id = newId();
    const { proxy, connection } = await giveUp(id, "toServer");
    expect(await mark(id)).toBe(null);
    proxy.holdNew();
    connection.release("toServer");
    const other = temporaryStore(url, { claim });
    const claimed = () =>
      other.beginExecutionTask(id, "step").then(
        () => true,
        () => false,
      );
    await eventually(claimed, RETRIES);
    // Not by whoever comes second.
    const own = await mark(id);
    await expect(other.beginExecutionTask(id, "step")).rejects.toBeInstanceOf(Taken);
    expect(await mark(id)).toBe(own);
  });

  it("is taken back also when the store is closed meanwhile", async () => {
    const id = newId();
    const { proxy, connection, closed } = await giveUp(id, "toClient", true);
    proxy.holdNew();
    connection.cut();
    await closed;
    expect(await mark(id)).toBe(null);
  });

  it("leaves the mark of whoever came in between", async () => {
    const id = newId();
    const { proxy, connection } = await giveUp(id, "toClient");
    const admin = new Redis(url);
    await admin.hset(`${id}-transactions`, "step", "another");
    const before = await evals(admin);
    proxy.holdNew();
    connection.release("toClient");
    await eventually(async () => (await evals(admin)) > before, RETRIES);
    expect(await mark(id)).toBe("another");
    admin.disconnect();
  });

  it("keeps the mark when nothing more comes through, and says that it may have been applied", async () => {
    const id = newId();
    const proxy = await temporaryProxy(configuration);
    const store = temporaryStore(
      { ...configuration, host: proxy.host, port: proxy.port },
      { claim, commandTimeout: 200 },
    );
    await store.beginExecution(id);
    proxy.connections[0].hold("toClient");
    proxy.refuseNew(true);
    const given = store.beginExecutionTask(id, "step");
    await eventually(() => mark(id), { message: "the mark" });
    proxy.connections[0].cut();
    await expect(given).rejects.toThrow(/may have been applied/);
    await store.close();
    expect(await mark(id)).not.toBe(null);
  });
});

it("takes a mark back when its script is refused in the middle", async () => {
  const admin = new Redis(url);
  await admin.acl("SETUSER", "immortal", "on", ">password", "~*", "+@all", "-pexpire");
  const login = { ...configuration, username: "immortal", password: "password" };
  const [store, id] = [temporaryStore(login, { claim, ttl: 60_000 }), newId()];
  await store.beginExecution(id);
  await expect(store.beginExecutionTask(id, "step")).rejects.toMatchObject({ code: "ERR_REDIS_REPLY" });
  await eventually(async () => (await admin.exists(`${id}-transactions`)) === 0, { message: "the mark taken back" });
  await admin.acl("DELUSER", "immortal");
  admin.disconnect();
});

it("takes a mark back in a cluster when what it asks next is refused", async () => {
  const admin = new Redis(topologies().clusterUrl);
  await admin.acl("SETUSER", "halfway", "on", ">password", "~*", "+@all", "-hexists");
  const { hostname, port } = new URL(topologies().clusterUrl);
  const store = temporaryStore([`redis://halfway:password@${hostname}:${port}`], { claim });
  const id = newId();
  await store.beginExecution(id);
  const refused = { code: "ERR_REDIS_REPLY", reply: "NOPERM" };
  await expect(store.beginExecutionTask(id, "step")).rejects.toMatchObject(refused);
  await eventually(async () => (await admin.exists(`${id}-transactions`)) === 0, { message: "the mark taken back" });
  await admin.acl("DELUSER", "halfway");
  admin.disconnect();
});

it.each([{ hashTags: false }, { hashTags: true }])(
  "each task is handed out once while slots move: %o",
  async (options) => {
    const cluster = await startMasters({ replicas: 0 });
    const { masters } = cluster;
    const nodes = masters.map(({ server }) => server.url);
    // Each has connections of its own.
    const stores = [0, 1, 2].map((index) =>
      temporaryStore(nodes, { ...options, claim, commandTimeout: 20_000 + index }),
    );
    const ids = Array.from({ length: times(500, 5_000) }, () => newId());
    const handedOut = new Map(ids.map((id) => [id, 0]));
    const failures = [];
    let isOver = false;
    let moves = 0;
    const moving = (async () => {
      for (; !isOver; moves += 1) {
        const [from, to] = [masters[moves % 3], masters[(moves + 1) % 3]];
        const [first] = slotsOf(moves % 3, 3);
        const slots = Array.from({ length: 100 }, (_, index) => first + index * 50);
        await moveSlots(masters, from, to, slots);
        await moveSlots(masters, to, from, slots);
      }
    })();
    const handle = async (store, id) => {
      try {
        await store.beginExecutionTask(id, "step");
        handedOut.set(id, handedOut.get(id) + 1);
        await store.commitExecutionTaskResult(id, "step", 1);
        await store.disposeExecution(id);
      } catch (error) {
        if (!(error instanceof Taken)) failures.push(error);
      }
    };
    for (let first = 0; first < ids.length; first += 50) {
      const some = ids.slice(first, first + 50);
      await Promise.all(some.map((id) => stores[0].beginExecution(id)));
      await Promise.all(stores.flatMap((store) => some.map((id) => handle(store, id))));
    }
    isOver = true;
    await moving;
    expect(failures).toEqual([]);
    expect([...new Set(handedOut.values())]).toEqual([1]);
    for (const { admin } of masters) expect(await admin.dbsize()).toBe(0);
    await Promise.all(stores.map((store) => store.close()));
    await cluster.stop();
    note({
      scenario: `claims of three stores while slots move, ${JSON.stringify(options)}`,
      done: `${ids.length} tasks, ${2 * moves} times 100 slots moved`,
      found: "0 tasks handed out twice, 0 not at all, 0 keys left",
      promise: "0, 0, 0",
    });
  },
);
