// From the first call to the last: when a store connects, with whom it shares a connection, how it closes, and what it
// keeps alive meanwhile.
import { describe, expect, it } from "vitest";
import { createRedisStore } from "../../index.js";
import { runScript, startScript } from "../support/child.mjs";
import { countConnections } from "../support/connections.mjs";
import { ioredisConfiguration } from "../support/inputs.mjs";
import { eventually, privateRedis, sharedRedis } from "../support/redis.mjs";
import { outcomeOf, temporaryProxy, temporaryStore } from "../support/temporary.mjs";

const { url, admin, newId } = sharedRedis();

/** A configuration for the shared server with a name of its own, by which its connections are counted. */
function named() {
  const connectionName = newId("connection");
  const configuration = { ...ioredisConfiguration(url), connectionName };
  return { configuration, count: () => countConnections(admin, connectionName) };
}

const isGone = (count) => eventually(async () => (await count()) === 0, { message: "the end of the connection" });

describe("a connection", () => {
  it("is opened by the first call, not by importing the package or making a store: a build step ends by itself", async () => {
    const proxy = await temporaryProxy(ioredisConfiguration(url));
    const outcome = await runScript("createRedisStore(args);", { args: { host: proxy.host, port: proxy.port } });
    expect(outcome, outcome.errors).toMatchObject({ code: 0 });
    expect(proxy.connections).toEqual([]);
  });

  it("is shared by all stores with the same settings, however they were written", async () => {
    const { configuration, count } = named();
    const withName = new URL(url);
    withName.searchParams.set("name", configuration.connectionName);
    const stores = [
      temporaryStore(configuration),
      temporaryStore({ ...configuration }, { ttl: 60_000, maxPending: 10, keyPrefix: "other:" }),
      temporaryStore({ ...configuration, port: String(configuration.port) }),
      temporaryStore(withName),
      temporaryStore(withName.href),
    ];
    const id = newId();
    await Promise.all(stores.map((store) => store.beginExecution(id)));
    expect(await count()).toBe(1);
  });

  it("is not shared by stores whose settings differ", async () => {
    const { configuration, count } = named();
    const { db } = configuration;
    const stores = [
      temporaryStore(configuration),
      temporaryStore({ ...configuration, db: db + 1 }),
      temporaryStore(configuration, { commandTimeout: 5_001 }),
    ];
    const id = newId();
    await stores[0].beginExecution(id);
    expect(await Promise.all(stores.map((store) => store.isExecutionInProgress(id)))).toEqual([true, false, true]);
    expect(await count()).toBe(3);
  });

  it("is kept for as long as one of the stores that share it is open", async () => {
    const { configuration, count } = named();
    const [first, second] = [temporaryStore(configuration), temporaryStore(configuration)];
    const id = newId();
    await Promise.all([first.beginExecution(id), second.beginExecution(id)]);
    await first.close();
    expect(await second.isExecutionInProgress(id)).toBe(true);
    expect(await count()).toBe(1);
    await second.close();
    await isGone(count);
  });

  it("is freed when the stores that used it have been collected as garbage", async () => {
    const { configuration } = named();
    const script = `
      import { setImmediate } from "node:timers/promises";
      const call = async (index) => {
        const name = args.configuration.connectionName;
        const store = createRedisStore({ ...args.configuration, connectionName: index % 2 ? name : name + "-" + index });
        await store.beginExecution(args.id + index);
      };
      for (let index = 0; index < 20; index++) await call(index);
      console.log("called");
      // Until the test is over.
      for (;;) {
        gc();
        await setImmediate();
      }
    `;
    const child = startScript(script, { args: { configuration, id: newId() }, nodeOptions: ["--expose-gc"] });
    const areGone = async () => !(await admin.client("LIST")).includes(` name=${configuration.connectionName}`);
    await child.printed("called");
    await eventually(areGone, { message: "the end of the connections of collected stores" });
  });
});

describe("a store", () => {
  it("works for as long as any of its functions is held, and answers what is pending when none is", async () => {
    const script = `
      import { setImmediate } from "node:timers/promises";
      const collect = async () => {
        for (let round = 0; round < 20; round++) {
          gc();
          await setImmediate();
        }
      };
      let { isExecutionInProgress } = createRedisStore(args.url);
      const { beginExecution } = createRedisStore(args.url);
      await beginExecution(args.id);
      await collect();
      console.log(await isExecutionInProgress(args.id));
      const pending = isExecutionInProgress(args.id);
      isExecutionInProgress = undefined;
      await collect();
      console.log(await pending);
    `;
    const outcome = await runScript(script, { args: { url, id: newId() }, nodeOptions: ["--expose-gc"] });
    expect(outcome, outcome.errors).toMatchObject({ code: 0, lines: ["true", "true"] });
  });

  it.each([
    ["was never used", ""],
    ["is idle", "await store.beginExecution(args.id);"],
    ["has failed", "await store.beginExecution('').catch(() => {});"],
    ["is closed", "await store.beginExecution(args.id); await store.close();"],
    [
      "has a server that is away",
      "await createRedisStore(args.away, { commandTimeout: 50 }).beginExecution('a').catch(() => {});",
    ],
  ])("that %s does not keep the process alive", async (_, use) => {
    const script = `const store = createRedisStore(args.url); ${use} console.log("done");`;
    const outcome = await runScript(script, { args: { url, id: newId(), away: "redis://127.0.0.1:1" } });
    expect(outcome, outcome.errors).toMatchObject({ code: 0, lines: ["done"] });
  });

  it("with a pending call keeps the process alive until the answer is there", async () => {
    const server = await privateRedis();
    server.pause();
    const script = `
      const store = createRedisStore(args.url, { commandTimeout: 20_000 });
      store.beginExecution("execution").then(async () => console.log(await store.isExecutionInProgress("execution")));
      console.log("called");
    `;
    const child = startScript(script, { args: { url: server.url } });
    await child.printed("called");
    server.resume();
    const outcome = await child.ended;
    expect(outcome, outcome.errors).toMatchObject({ code: 0, lines: ["called", "true"] });
  });
});

describe("close()", () => {
  it("in the middle of load lets everything in flight succeed, refuses what comes later, and frees the connection", async () => {
    const { configuration, count } = named();
    const store = temporaryStore(configuration);
    const id = newId();
    const tasks = Array.from({ length: 2000 }, (_, index) => `task-${index}`);
    let settled = 0;
    const commits = tasks.map((task) => store.commitExecutionTaskResult(id, task, task).finally(() => settled++));
    await commits[0];
    const more = tasks.map((task) => store.beginExecutionTask(id, `other-${task}`).finally(() => settled++));
    const closed = store.close().then(() => settled);
    const late = [store.isExecutionInProgress(id), store.commitExecutionTaskResult(id, "late", 1)];
    for (const { error } of await Promise.all(late.map(outcomeOf))) {
      expect(error).toMatchObject({ name: "RedisStoreError", code: "ERR_REDIS_CLOSED", executionId: id });
    }
    await Promise.all([...commits, ...more]);
    expect(await closed).toBe(commits.length + more.length);
    expect(await admin.hlen(`${id}-results`)).toBe(tasks.length);
    expect(await admin.hlen(`${id}-transactions`)).toBe(tasks.length);
    await isGone(count);
  });

  it("waits for answers that are on their way", async () => {
    const proxy = await temporaryProxy(ioredisConfiguration(url));
    const store = createRedisStore(
      { ...ioredisConfiguration(url), host: proxy.host, port: proxy.port },
      { readAhead: false },
    );
    const id = newId();
    await store.beginExecution(id);
    proxy.connections[0].hold("toClient");
    const pending = store.isExecutionInProgress(id);
    const closed = store.close();
    await eventually(() => proxy.connections[0].held("toClient"), { message: "the answer at the proxy" });
    proxy.connections[0].release("toClient");
    expect(await Promise.all([pending, closed])).toEqual([true, undefined]);
  });

  it("resolves by the deadline of what is in flight, even when the server is stopped", async () => {
    const server = await privateRedis();
    const store = createRedisStore(server.url, { commandTimeout: 400, readAhead: false });
    await store.beginExecution("execution");
    server.pause();
    const pending = outcomeOf(store.isExecutionInProgress("execution"));
    await store.close();
    expect((await pending).error).toBeInstanceOf(Error);
  });

  it("can be called again, before the first call, and by await using", async () => {
    const { configuration, count } = named();
    const used = createRedisStore(configuration);
    await used.beginExecution(newId());
    expect(await Promise.all([used.close(), used.close()])).toEqual([undefined, undefined]);
    expect(await used.close()).toBe(undefined);
    await isGone(count);

    const unused = createRedisStore(configuration);
    await unused.close();
    await expect(unused.beginExecution(newId())).rejects.toMatchObject({ code: "ERR_REDIS_CLOSED" });

    if (Symbol.asyncDispose !== undefined) {
      const disposed = createRedisStore(configuration);
      await disposed.beginExecution(newId());
      await disposed[Symbol.asyncDispose]();
      await expect(disposed.beginExecution(newId())).rejects.toMatchObject({ code: "ERR_REDIS_CLOSED" });
    }
    await isGone(count);
  });

  it("leaves other stores on the same connection alone, calls in flight included", async () => {
    const { configuration } = named();
    const [closing, staying] = [createRedisStore(configuration), temporaryStore(configuration)];
    const id = newId();
    await closing.beginExecution(id);
    const inFlight = Array.from({ length: 500 }, () => staying.isExecutionInProgress(id));
    const closed = closing.close();
    const afterwards = Array.from({ length: 500 }, () => staying.isExecutionInProgress(id));
    await closed;
    expect(await Promise.all([...inFlight, ...afterwards])).toEqual(Array(1000).fill(true));
  });

  it("is followed by a connection of its own when a new store is made for the same server", async () => {
    const { configuration, count } = named();
    const id = newId();
    for (let round = 0; round < 20; round++) {
      const store = createRedisStore(configuration);
      const begun = store.beginExecution(id);
      const closed = store.close();
      await Promise.all([begun, closed]);
    }
    await isGone(count);
  });
});
