// What a store promises while its server restarts, hangs or is away, and while the network between them fails.
import { Redis } from "ioredis";
import { afterEach, describe, expect, it } from "vitest";
import { freePort, startRedis } from "../scripts/redis-server.mjs";
import { createRedisStore } from "../index.js";
import { ioredisConfiguration } from "./support/inputs.mjs";
import { startProxy } from "./support/proxy.mjs";
import { eventually, privateRedis, sharedRedis } from "./support/redis.mjs";

const { url, admin, newId } = sharedRedis();
const configuration = ioredisConfiguration(url);

const releases = [];
afterEach(async () => {
  for (const release of releases.splice(0).reverse()) await release();
});

/** A store that is closed after the test. */
function openStore(redis, options) {
  const store = createRedisStore(redis, options);
  releases.push(() => store.close());
  return store;
}

/** A client for looking behind a store's back, on a server of the test's own. */
function openAdmin(server) {
  const client = new Redis(server.url, { retryStrategy: () => 20, maxRetriesPerRequest: null });
  client.on("error", () => {});
  releases.push(() => client.disconnect());
  return client;
}

/** A proxy to the shared server that is stopped after the test. */
async function openProxy() {
  const proxy = await startProxy(configuration);
  releases.push(() => proxy.stop());
  return proxy;
}

const atProxy = ({ host, port }) => ({ ...configuration, host, port });

/** How a promise ended: `{ value }` or `{ error }`. */
const outcomeOf = (promise) =>
  promise.then(
    (value) => ({ value }),
    (error) => ({ error }),
  );

/** Calls a function again and again, `width` calls at a time, until it is told to stop. */
function keepCalling(width, call) {
  let stopped = false;
  let made = 0;
  const loops = Array.from({ length: width }, async () => {
    while (!stopped) await call(made++);
  });
  return {
    get made() {
      return made;
    },
    async stop() {
      stopped = true;
      await Promise.all(loops);
    },
  };
}

describe("a server that is killed and comes back", () => {
  it.each([
    ["a TCP port", (server) => server.url],
    ["a Unix socket", (server) => server.unixSocketPath],
  ])("fails no call and loses no acknowledged commit, again and again under load, over %s", async (_, address) => {
    const server = await privateRedis({ unixSocket: true, appendonly: true, args: ["--appendfsync", "always"] });
    const store = openStore(address(server), { commandTimeout: 30_000 });
    const id = newId();
    const acknowledged = [];
    const load = keepCalling(32, async (index) => {
      await store.commitExecutionTaskResult(id, `task-${index}`, { index });
      acknowledged.push(index);
    });
    for (let round = 0; round < 4; round++) {
      const before = acknowledged.length;
      await eventually(() => acknowledged.length > before + 200, { message: "commits between two kills" });
      const inFlight = store.commitExecutionTaskResult(id, `before-${round}`, round);
      await server.kill();
      const whileAway = store.commitExecutionTaskResult(id, `while-${round}`, round);
      const restarted = server.restart();
      await Promise.all([inFlight, whileAway, restarted]);
      await store.commitExecutionTaskResult(id, `after-${round}`, round);
    }
    await load.stop();
    const results = await store.getExecutionTaskResults(id);
    for (const index of acknowledged) expect(results[`task-${index}`]).toEqual({ index });
    for (const when of ["before", "while", "after"]) {
      for (let round = 0; round < 4; round++) expect(results[`${when}-${round}`]).toBe(round);
    }
  });
});

describe("a server that hangs for longer than the deadline", () => {
  it("has every call settled with ERR_REDIS_TIMEOUT, and writes say whether they were sent", async () => {
    const server = await privateRedis();
    const store = openStore(server.url, { commandTimeout: 1500 });
    const id = newId();
    await store.beginExecution(id);
    server.pause();
    const sent = await Promise.all([
      outcomeOf(store.commitExecutionTaskResult(id, "task", 1)),
      outcomeOf(store.isExecutionInProgress(id)),
    ]);
    // By now the connection has been given up, so that this one is never sent.
    const queued = await outcomeOf(store.commitExecutionTaskResult(id, "late", 1));
    for (const { error } of [...sent, queued]) {
      expect(error).toMatchObject({ name: "RedisStoreError", code: "ERR_REDIS_TIMEOUT", executionId: id });
      expect(error.message).toContain("1500 ms");
    }
    expect(sent[0].error.message).toContain("The command had been sent, so it may have been applied");
    expect(sent[1].error.message).not.toContain("applied");
    expect(queued.error.message).toContain("The command had not been sent, so it was not applied");
    server.resume();
    expect(await store.isExecutionInProgress(id)).toBe(true);
    expect(await store.getExecutionTaskResult(id, "late")).toBe(undefined);
  });

  it("has calls that are made one after the other settled each by its own deadline", async () => {
    const server = await privateRedis();
    const commandTimeout = 2000;
    const store = openStore(server.url, { commandTimeout });
    server.pause();
    const took = [];
    for (let index = 0; index < 20; index++) {
      const started = performance.now();
      took.push(outcomeOf(store.beginExecution(newId())).then(() => performance.now() - started));
      // The next one comes in a later turn of the event loop, and finds the I/O thread asleep.
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    expect(Math.max(...(await Promise.all(took)))).toBeLessThan(commandTimeout * 1.75);
    server.resume();
  });

  it("works again afterwards, and no answer belongs to another call", async () => {
    const server = await privateRedis();
    const store = openStore(server.url, { commandTimeout: 1000 });
    const looking = openAdmin(server);
    const id = newId();
    const tasks = Array.from({ length: 4000 }, (_, index) => `task-${index}`);
    const commit = (task) => outcomeOf(store.commitExecutionTaskResult(id, task, `result of ${task}`));

    const outcomes = tasks.slice(0, 2000).map(commit);
    await outcomes[0];
    server.pause();
    outcomes.push(...tasks.slice(2000).map(commit));
    const settled = await Promise.all(outcomes);
    server.resume();

    expect(await store.isExecutionInProgress(id)).toBe(false);
    const results = await store.getExecutionTaskResults(id);
    const oneByOne = await Promise.all(tasks.map((task) => store.getExecutionTaskResult(id, task)));
    expect(await looking.hlen(`${id}-results`)).toBe(Object.keys(results).length);
    expect(settled.some(({ error }) => error !== undefined)).toBe(true);
    for (const [index, { error }] of settled.entries()) {
      const [task, result] = [tasks[index], oneByOne[index]];
      expect(results[task]).toBe(result);
      if (error === undefined) expect(result).toBe(`result of ${task}`);
      else if (error.message.includes("was not applied")) expect(result).toBe(undefined);
      else expect([undefined, `result of ${task}`]).toContain(result);
    }
  });

  it("has the call above maxPending refused at once, and more taken when the others are done", async () => {
    const server = await privateRedis();
    const maxPending = 1000;
    const store = openStore(server.url, { commandTimeout: 30_000, maxPending });
    const id = newId();
    await store.beginExecution(id);
    server.pause();
    let answered = 0;
    const pending = Array.from({ length: maxPending }, async () => {
      const answer = await store.isExecutionInProgress(id);
      answered += 1;
      return answer;
    });
    for (const refused of [store.isExecutionInProgress(id), store.commitExecutionTaskResult(id, "task", 1)]) {
      await expect(refused).rejects.toMatchObject({ code: "ERR_REDIS_OVERLOADED", executionId: id });
    }
    expect(answered).toBe(0);
    server.resume();
    expect(await Promise.all(pending)).toEqual(Array(maxPending).fill(true));
    await store.commitExecutionTaskResult(id, "task", 2);
    expect(await store.getExecutionTaskResult(id, "task")).toBe(2);
  });
});

describe("a server that is not there", () => {
  it("has every call settled with ERR_REDIS_CONNECTION that names the address and asks whether Redis runs", async () => {
    const away = await freePort();
    const store = openStore({ host: "127.0.0.1", port: away }, { commandTimeout: 500 });
    const id = newId();
    const [read, write] = await Promise.all([
      outcomeOf(store.isExecutionInProgress(id)),
      outcomeOf(store.beginExecution(id)),
    ]);
    for (const { error } of [read, write]) {
      expect(error).toMatchObject({ name: "RedisStoreError", code: "ERR_REDIS_CONNECTION", executionId: id, key: id });
      expect(error.message).toContain(`ECONNREFUSED 127.0.0.1:${away}: is Redis running?`);
    }
    expect(write.error.message).toContain("The command had not been sent, so it was not applied");
  });

  it("has a waiting call succeed when it appears within the deadline", async () => {
    const later = await freePort();
    const store = openStore({ host: "127.0.0.1", port: later }, { commandTimeout: 30_000 });
    const id = newId();
    const waiting = store.beginExecution(id);
    const server = await startRedis({ port: later });
    releases.push(() => server.stop());
    await waiting;
    expect(await store.isExecutionInProgress(id)).toBe(true);
  });
});

describe("a network that fails", () => {
  it("has calls sent again on a new connection when the old one has become a black hole", async () => {
    const proxy = await openProxy();
    const store = openStore(atProxy(proxy), { commandTimeout: 4000 });
    const id = newId();
    await store.beginExecution(id);
    proxy.connections[0].hold("toServer", "toClient");
    await Promise.all([
      store.commitExecutionTaskResult(id, "one", 1),
      store.commitExecutionTaskResult(id, "two", 2),
      expect(store.isExecutionInProgress(id)).resolves.toBe(true),
    ]);
    expect(await store.getExecutionTaskResults(id)).toEqual({ one: 1, two: 2 });
    expect(proxy.connections.length).toBe(2);
  });

  it("has another attempt made when a connection opens and then nobody speaks", async () => {
    const proxy = await openProxy();
    proxy.holdNew("toServer");
    const store = openStore(atProxy(proxy), { commandTimeout: 30_000, connectTimeout: 500 });
    const begun = store.beginExecution(newId());
    await eventually(() => proxy.connections.length === 1, { message: "the first attempt" });
    proxy.holdNew();
    await begun;
  });

  it("has a commit whose answer was lost sent again, and it is there once and whole", async () => {
    const proxy = await openProxy();
    const store = openStore(atProxy(proxy));
    const id = newId();
    await store.beginExecutionTask(id, "task");
    proxy.connections[0].hold("toClient");
    const commit = store.commitExecutionTaskResult(id, "task", { total: 7 });
    await eventually(() => admin.hexists(`${id}-results`, "task"), { message: "the commit on the server" });
    proxy.connections[0].cut();
    await commit;
    expect(await store.getExecutionTaskResults(id)).toEqual({ task: { total: 7 } });
    expect(await store.isExecutionTaskInProgress(id, "task")).toBe(false);
  });

  it("leaves result and mark alone when a commit is cut in half, and completes it on the next connection", async () => {
    const proxy = await openProxy();
    const store = openStore(atProxy(proxy));
    const id = newId();
    const parts = ["MULTI", "HSET", "HDEL", "EXEC"];
    for (const [index, part] of parts.entries()) {
      const task = `task-${index}`;
      await store.beginExecutionTask(id, task);
      const connection = proxy.connections.at(-1);
      connection.hold("toServer");
      // Nothing gets through before the cut commit is looked at.
      proxy.holdNew("toServer");
      const commit = store.commitExecutionTaskResult(id, task, index);
      await eventually(() => connection.held("toServer").includes("EXEC"), { message: "the commit at the proxy" });
      connection.release("toServer", connection.held("toServer").indexOf(part) + part.length);
      await connection.endServer();
      expect(await admin.hget(`${id}-results`, task)).toBe(null);
      expect(await admin.hget(`${id}-transactions`, task)).toBe("true");
      await eventually(() => proxy.connections.at(-1) !== connection, { message: "the next connection" });
      proxy.holdNew();
      proxy.connections.at(-1).release("toServer");
      await commit;
      expect(await store.getExecutionTaskResult(id, task)).toBe(index);
      expect(await store.isExecutionTaskInProgress(id, task)).toBe(false);
    }
  });
});

describe("a write that comes back after its connection was replaced", () => {
  const cases = {
    "a commit after a later commit": {
      write: (store, id) => store.commitExecutionTaskResult(id, "task", "old"),
      then: (store, id) => store.commitExecutionTaskResult(id, "task", "new"),
    },
    "a mark after the commit that removed it": {
      write: (store, id) => store.beginExecutionTask(id, "task"),
      then: (store, id) => store.commitExecutionTaskResult(id, "task", "new"),
    },
    "an execution after its disposal": {
      write: (store, id) => store.beginExecution(id),
      then: (store, id) => store.disposeExecution(id),
    },
  };

  const state = async (id) => [
    await admin.get(id),
    await admin.hgetall(`${id}-transactions`),
    await admin.hgetall(`${id}-results`),
  ];

  it.each(Object.entries(cases))("changes nothing: %s", async (_, { write, then }) => {
    const proxy = await openProxy();
    const store = openStore(atProxy(proxy), { commandTimeout: 30_000 });
    const id = newId();
    await store.isExecutionInProgress(id);
    const [old] = proxy.connections;
    old.hold("toServer");
    const written = write(store, id);
    await eventually(() => old.held("toServer").includes(id), { message: "the write at the proxy" });
    old.cutClient();
    await written;
    await then(store, id);
    const acknowledged = await state(id);
    old.release("toServer");
    await old.endServer();
    expect(await state(id)).toEqual(acknowledged);
  });

  it("changes nothing when the first attempt to replace its connection failed as well", async () => {
    const proxy = await openProxy();
    const store = openStore(atProxy(proxy), { commandTimeout: 30_000 });
    const id = newId();
    await store.isExecutionInProgress(id);
    const [old] = proxy.connections;
    old.hold("toServer");
    proxy.holdNew("toServer");
    const written = store.commitExecutionTaskResult(id, "task", "old");
    await eventually(() => old.held("toServer").includes(id), { message: "the write at the proxy" });
    old.cutClient();
    await eventually(() => proxy.connections[1]?.held("toServer"), { message: "the words of the second connection" });
    proxy.holdNew();
    proxy.connections[1].cutClient();
    await written;
    await store.commitExecutionTaskResult(id, "task", "new");
    for (const connection of [old, proxy.connections[1]]) {
      connection.release("toServer");
      await connection.endServer();
    }
    expect(await admin.hget(`${id}-results`, "task")).toBe('"new"');
  });
});

describe("many calls at once", () => {
  it("are answered each with its own, ten thousand of them", async () => {
    const store = openStore(url, { commandTimeout: 30_000 });
    const id = newId();
    const tasks = Array.from({ length: 10_000 }, (_, index) => `task-${index}`);
    await Promise.all(tasks.map((task) => store.commitExecutionTaskResult(id, task, `result of ${task}`)));
    const results = await Promise.all(tasks.map((task) => store.getExecutionTaskResult(id, task)));
    expect(results).toEqual(tasks.map((task) => `result of ${task}`));
    expect(Object.keys(await store.getExecutionTaskResults(id)).length).toBe(tasks.length);
  });
});
