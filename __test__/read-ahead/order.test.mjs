// Read-ahead never answers with something older than what this thread was answered about the execution before: not when two
// answers arrive together, nor over two connections, nor when the other one came through a client of the caller's own.
import { Redis } from "ioredis";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { createRedisStore } from "../../index.js";
import { freePort } from "../../tooling/servers/redis-server.mjs";
import { startRestEndpoint } from "../../tooling/servers/rest-endpoint.mjs";
import { startElsewhere } from "../support/elsewhere.mjs";
import { ioredisConfiguration } from "../support/inputs.mjs";
import { createMapClient } from "../support/map-client.mjs";
import { recordCommands } from "../support/monitor.mjs";
import { startProxy } from "../support/proxy.mjs";
import { eventually, sharedRedis } from "../support/redis.mjs";
import { startCluster } from "../support/topologies.mjs";
import { unhurried } from "../support/unhurried.mjs";

/** Tries where chance decides which of two commands comes first. */
const ATTEMPTS = 50;
/** Commands of another client while this thread is held up: enough for what has been let through to arrive. */
const COMMANDS_MEANWHILE = 5;

const { url, admin, newId } = sharedRedis();
const server = ioredisConfiguration(url);
let cluster;
/** Of the proxies in front of it. */
let announcedPort;
let clusterAdmin;
let rest;
let elsewhere;

beforeAll(async () => {
  announcedPort = await freePort();
  [cluster, rest, elsewhere] = await Promise.all([
    startCluster({ announcedPort }),
    startRestEndpoint({ redisUrl: url }),
    startElsewhere(url),
  ]);
  clusterAdmin = new Redis(cluster.url);
});

const releases = [];
async function releaseAll() {
  for (const release of releases.splice(0).reverse()) await release();
}
afterEach(releaseAll);

afterAll(async () => {
  clusterAdmin?.disconnect();
  await Promise.all([cluster?.stop(), rest?.stop(), elsewhere?.stop()]);
});

/** A store that is closed after the test, and has a connection. */
async function openStore(redis, options) {
  const store = createRedisStore(redis, options);
  releases.push(() => store.close());
  await store.isExecutionInProgress("connected");
  return store;
}

async function openProxy(target, address) {
  const proxy = await startProxy(target, address);
  releases.push(proxy.stop);
  return proxy;
}

/** The answers that come through some proxies, kept back until they are let through. */
class Answers {
  #proxies;

  constructor(...proxies) {
    this.#proxies = proxies;
    for (const proxy of proxies) {
      proxy.holdNew("toClient");
      for (const connection of proxy.connections) connection.hold("toClient");
    }
  }

  get #held() {
    const connections = this.#proxies.flatMap((proxy) => proxy.connections);
    return connections.filter((connection) => connection.held("toClient") !== "");
  }

  /** Makes a call and waits until its answer is held; it is in `answer`. */
  async to(call) {
    const bytes = () => this.#held.reduce((sum, connection) => sum + connection.held("toClient").length, 0);
    const before = bytes();
    const answer = call();
    await eventually(() => bytes() > before, { message: "an answer" });
    return { answer };
  }

  /** Lets all answers through, one connection after the other, while this thread is held up: it wakes up once for all. */
  release({ newestFirst = false } = {}) {
    const held = newestFirst ? this.#held.reverse() : this.#held;
    for (const connection of held) {
      connection.release("toClient");
      holdUp();
    }
  }
}

function holdUp() {
  for (let i = 0; i < COMMANDS_MEANWHILE; i += 1) elsewhere.change("PING");
}

/** Ends the turn, in which calls are gathered, before anything that comes from outside. */
const endOfTurn = () => new Promise((resolve) => queueMicrotask(() => process.nextTick(resolve)));

/** Each opens a store behind a proxy; `other` is the client that changes things behind its back. */
const TOPOLOGIES = {
  async "one server"() {
    const proxy = await openProxy(server);
    const store = await openStore({ ...server, host: proxy.host, port: proxy.port });
    return { proxy, store, other: admin, keyOf: (id) => id };
  },
  async "a cluster with hash tags"() {
    const { hostname: host, port } = new URL(cluster.url);
    const proxy = await openProxy({ host, port: Number(port) }, { port: announcedPort });
    const store = await openStore([{ host: proxy.host, port: proxy.port }], { hashTags: true });
    return { proxy, store, other: clusterAdmin, keyOf: (id) => `{${id}}` };
  },
  async "HTTP requests"() {
    const { hostname: host, port } = new URL(rest.url);
    const proxy = await openProxy({ host, port: Number(port) });
    const store = await openStore({ url: `http://${proxy.host}:${proxy.port}`, token: rest.token });
    return { proxy, store, other: admin, keyOf: (id) => id };
  },
};

/** What another client does between two calls, the second of them, and a question whose answer it changes. */
const CHANGES = [
  {
    change: "a mark that was set",
    command: (key) => ["HSET", `${key}-transactions`, "task", "true"],
    second: (store, id) => store.getExecutionTaskResult(id, "task"),
    question: (store, id) => store.isExecutionTaskInProgress(id, "task"),
    answer: true,
  },
  {
    change: "a result that was stored",
    command: (key) => ["HSET", `${key}-results`, "task", "1"],
    second: (store, id) => store.isExecutionTaskInProgress(id, "task"),
    question: (store, id) => store.getExecutionTaskResult(id, "task"),
    answer: 1,
  },
  {
    change: "the execution's beginning",
    command: (key) => ["SET", key, "true"],
    second: (store, id) => store.getExecutionTaskResult(id, "task"),
    question: (store, id) => store.isExecutionInProgress(id),
    answer: true,
  },
  {
    change: "the execution's end",
    begun: true,
    command: (key) => ["UNLINK", key],
    second: (store, id) => store.getExecutionTaskResult(id, "task"),
    question: (store, id) => store.isExecutionInProgress(id),
    answer: false,
  },
];
const [MARK, RESULT, , END] = CHANGES;

const getResults = (store, id) => store.getExecutionTaskResults(id);

describe.each(Object.entries(TOPOLOGIES))("of two answers that arrive together over %s", (name, open) => {
  const isHttp = name === "HTTP requests";

  /** Makes two calls between which another client changes something, and lets both answers arrive. */
  async function overtake(first, { begun, command, second }, order) {
    const id = newId();
    const { proxy, store, other, keyOf } = await open();
    // Before Redis 6.2 the first one of a connection is refused, and sent again after what another client has changed.
    await store.beginExecution(newId());
    if (begun) await other.set(keyOf(id), "true");
    const answers = new Answers(proxy);
    const older = await answers.to(() => first(store, id));
    await other.call(...command(keyOf(id)));
    const newer = await answers.to(() => second(store, id));
    answers.release(order);
    return { id, store, older, newer };
  }

  // Only requests can overtake each other.
  describe.each(isHttp ? [{ newestFirst: false }, { newestFirst: true }] : [{ newestFirst: false }])("%j", (order) => {
    it.each(CHANGES)("the older does not hide $change", async (changed) => {
      const { id, store, newer } = await overtake(getResults, changed, order);
      expect(await newer.answer.then(() => changed.question(store, id))).toEqual(changed.answer);
    });

    it("the older does not hide it from a caller who awaits both", async () => {
      const { id, store, older, newer } = await overtake(getResults, MARK, order);
      await Promise.all([older.answer, newer.answer]);
      expect(await MARK.question(store, id)).toEqual(MARK.answer);
    });

    it("the older does not hide it, whichever call carried something", async () => {
      const getResult = (store, id) => store.getExecutionTaskResult(id, "task");
      const begin = (store, id) => store.beginExecution(id);
      const isAsked = { ...MARK, second: (store, id) => store.isExecutionInProgress(id) };
      // Over HTTP, what follows a write waits for its answer.
      const writes = isHttp ? [] : [MARK, RESULT, END].map((changed) => [begin, changed]);
      for (const [first, changed] of [[getResult, isAsked], ...writes]) {
        const { id, store, newer } = await overtake(first, changed, order);
        expect(await newer.answer.then(() => changed.question(store, id))).toEqual(changed.answer);
        // The next one has the same address.
        await releaseAll();
      }
    });
  });
});

describe("two answers that arrive together because this thread was busy", () => {
  it("are in the order in which Redis gave them", async () => {
    const store = await openStore(url);
    let older = 0;
    for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
      const id = newId();
      const first = store.getExecutionTaskResults(id);
      await endOfTurn();
      elsewhere.change("HSET", `${id}-results`, "task", "1");
      const second = store.isExecutionTaskInProgress(id, "task");
      await endOfTurn();
      holdUp();
      expect(await second.then(() => store.getExecutionTaskResult(id, "task"))).toBe(1);
      if (Object.keys(await first).length === 0) older += 1;
    }
    expect(older, "attempts in which the change came after the first answer").toBeGreaterThan(0);
  });
});

describe("of answers over two connections", () => {
  /** Two stores, each behind a proxy of its own. */
  async function openTwo() {
    const proxies = [await openProxy(server), await openProxy(server)];
    const [first, second] = await Promise.all(
      proxies.map(({ host, port }) => openStore({ ...server, host, port }, { connectTimeout: 4999 })),
    );
    return { proxies, first, second };
  }

  it.each(CHANGES)("the older does not hide $change, in whichever order they arrive together", async (changed) => {
    for (const newestFirst of [false, true]) {
      const id = newId();
      const { proxies, first, second } = await openTwo();
      if (changed.begun) await admin.set(id, "true");
      const answers = new Answers(...proxies);
      const older = await answers.to(() => first.getExecutionTaskResults(id));
      await admin.call(...changed.command(id));
      const newer = await answers.to(() => changed.second(second, id));
      answers.release({ newestFirst });
      expect(await newer.answer.then(() => changed.question(first, id))).toEqual(changed.answer);
      await older.answer;
    }
  });

  it.each(CHANGES)("the older does not hide $change when it arrives later", async (changed) => {
    const id = newId();
    const { proxies, first, second } = await openTwo();
    if (changed.begun) await admin.set(id, "true");
    const answers = new Answers(proxies[0]);
    const older = await answers.to(() => first.getExecutionTaskResults(id));
    await admin.call(...changed.command(id));
    await changed.second(second, id);
    answers.release();
    expect(await older.answer.then(() => changed.question(first, id))).toEqual(changed.answer);
  });
});

describe("what a store over a client's own methods is answered and writes", () => {
  const openClientStore = (client) => openStore(client, { connection: "client" });

  it.each(CHANGES)("is not hidden by what was on its way before: $change", async (changed) => {
    const id = newId();
    const proxy = await openProxy(server);
    const store = await openStore({ ...server, host: proxy.host, port: proxy.port });
    const ofClient = await openClientStore(admin);
    if (changed.begun) await admin.set(id, "true");
    const answers = new Answers(proxy);
    const older = await answers.to(() => store.getExecutionTaskResults(id));
    await admin.call(...changed.command(id));
    await changed.second(ofClient, id);
    answers.release();
    expect(await older.answer.then(() => changed.question(store, id))).toEqual(changed.answer);
  });

  it("is not hidden by what was on its way before: a write of its own", async () => {
    const id = newId();
    const proxy = await openProxy(server);
    const store = await openStore({ ...server, host: proxy.host, port: proxy.port });
    const ofClient = await openClientStore(admin);
    const answers = new Answers(proxy);
    const older = await answers.to(() => store.getExecutionTaskResults(id));
    await ofClient.beginExecutionTask(id, "task");
    answers.release();
    expect(await older.answer.then(() => store.isExecutionTaskInProgress(id, "task"))).toBe(true);
  });

  it.each([
    ["a write, from the moment it is called", (store, id) => void store.beginExecutionTask(id, "task")],
    ["a write, when it is done", (store, id) => store.beginExecutionTask(id, "task")],
    ["an answer", (store, id) => store.getExecutionTaskResult(id, "task")],
  ])("ends what was read ahead in the same turn: %s", async (_, call) => {
    const id = newId();
    const store = await openStore(url);
    // Its answers come within the turn.
    const ofClient = await openClientStore(createMapClient());
    const commands = await recordCommands(admin);
    releases.push(() => commands.stop());
    await store.getExecutionTaskResults(id);
    await call(ofClient, id);
    await store.isExecutionInProgress(id);
    const asked = (await commands.take()).filter(([name, key]) => name === "GET" && key === id);
    expect(asked).toHaveLength(2);
  });

  it("leaves alone what was read ahead of another execution", async () => {
    const id = newId();
    const store = await openStore(url);
    const ofClient = await openClientStore(createMapClient());
    const commands = await recordCommands(admin);
    releases.push(() => commands.stop());
    await unhurried(async () => {
      await store.getExecutionTaskResults(id);
      await ofClient.beginExecutionTask(newId(), "task");
      await store.isExecutionInProgress(id);
      expect((await commands.take()).filter(([name, key]) => name === "GET" && key === id)).toHaveLength(1);
    });
  });
});
