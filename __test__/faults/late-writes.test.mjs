// Bytes that arrive late: an abandoned connection was held back on its way and is let through when everything has been sent
// again on another one. Nothing that was acknowledged may be undone by them.
import { describe, expect, it } from "vitest";
import { createRedisStore } from "../../index.js";
import { ioredisConfiguration } from "../support/inputs.mjs";
import { createRandom } from "../support/random.mjs";
import { eventually, privateRedis, sharedRedis } from "../support/redis.mjs";
import { note, times } from "../support/scale.mjs";
import { outcomeOf, temporaryClient, temporaryProxy, temporaryStore } from "../support/temporary.mjs";

const { url, admin, newId } = sharedRedis();
const configuration = ioredisConfiguration(url);
const atProxy = ({ host, port }) => ({ ...configuration, host, port });

describe("a write that comes back after its connection was replaced", () => {
  const cases = {
    "a commit after a later commit": {
      write: (store, id) => store.commitExecutionTaskResult(id, "task", "old"),
      follow: (store, id) => store.commitExecutionTaskResult(id, "task", "new"),
    },
    "a mark after the commit that removed it": {
      write: (store, id) => store.beginExecutionTask(id, "task"),
      follow: (store, id) => store.commitExecutionTaskResult(id, "task", "new"),
    },
    "an execution after its disposal": {
      write: (store, id) => store.beginExecution(id),
      follow: (store, id) => store.disposeExecution(id),
    },
  };

  const state = async (id) => [
    await admin.get(id),
    await admin.hgetall(`${id}-transactions`),
    await admin.hgetall(`${id}-results`),
  ];

  it.each(Object.entries(cases))("changes nothing: %s", async (_, { write, follow }) => {
    const proxy = await temporaryProxy(configuration);
    const store = temporaryStore(atProxy(proxy), { commandTimeout: 30_000 });
    const id = newId();
    await store.isExecutionInProgress(id);
    const [old] = proxy.connections;
    old.hold("toServer");
    const written = write(store, id);
    await eventually(() => old.held("toServer").includes(id), { message: "the write at the proxy" });
    old.cutClient();
    await written;
    await follow(store, id);
    const acknowledged = await state(id);
    old.release("toServer");
    await old.endServer();
    expect(await state(id)).toEqual(acknowledged);
  });

  it("changes nothing when the first attempt to replace its connection failed as well", async () => {
    const proxy = await temporaryProxy(configuration);
    const store = temporaryStore(atProxy(proxy), { commandTimeout: 30_000 });
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

  it("changes nothing when its connection was abandoned before the server had sent anything on it", async () => {
    const proxy = await temporaryProxy(configuration);
    proxy.holdNew("toServer");
    const store = temporaryStore(atProxy(proxy), { commandTimeout: 30_000 });
    const id = newId();
    const written = store.commitExecutionTaskResult(id, "task", "old");
    await eventually(() => proxy.connections[0]?.held("toServer"), { message: "the first words" });
    const [old] = proxy.connections;
    proxy.holdNew();
    old.cutClient();
    await written;
    await store.commitExecutionTaskResult(id, "task", "new");
    old.release("toServer");
    await old.endServer();
    expect(await admin.hget(`${id}-results`, "task")).toBe('"new"');
  });

  it("changes nothing, whatever was held back and however often", async () => {
    const seed = Math.floor(Math.random() * 2 ** 32);
    const { chance, pick } = createRandom(seed);
    const rounds = times(25, 500);
    const proxy = await temporaryProxy(configuration);
    const writes = [
      (store, id) => store.beginExecution(id),
      (store, id) => store.beginExecutionTask(id, "task"),
      (store, id, value) => store.commitExecutionTaskResult(id, "task", value),
      (store, id) => store.disposeExecution(id),
    ];
    let released = 0;
    for (let round = 0; round < rounds; round++) {
      // One of its own for each round, whose pauses between attempts are still short.
      const store = temporaryStore(atProxy(proxy), { commandTimeout: 30_000, ttl: 600_000 });
      const id = newId();
      await store.isExecutionInProgress(id);
      const old = proxy.connections.at(-1);
      old.hold(...(chance(0.5) ? ["toServer"] : ["toServer", "toClient"]));
      const pending = Array.from({ length: pick([1, 2, 5, 50]) }, (_, index) =>
        pick(writes)(store, id, `old ${index}`),
      );
      await eventually(() => old.held("toServer").includes(id), { message: "the writes at the proxy" });
      old.cutClient();
      await Promise.all(pending);
      for (let follow = pick([1, 2, 3]); follow > 0; follow--) await pick(writes)(store, id, `new ${follow}`);
      const acknowledged = await state(id);
      released += old.held("toServer").length;
      old.release("toServer");
      await old.endServer();
      expect(await state(id), `seed ${seed}, round ${round}`).toEqual(acknowledged);
      await store.close();
    }
    note({
      scenario: "bytes held back between writes and their retry, and released later; CLIENT KILL allowed",
      done: `${rounds} connections, ${released} bytes released late`,
      found: "0 acknowledged writes undone",
      promise: "0",
    });
  });

  it("changes nothing where CLIENT KILL is forbidden, as far as the server has not taken it in", async () => {
    const server = await privateRedis();
    const looking = temporaryClient(server);
    await looking.acl("SETUSER", "worker", "on", ">password", "~*", "+@all", "-client");
    const login = { host: server.host, port: server.port, username: "worker", password: "password" };
    const rounds = times(2, 20);
    // More than the kernels at both ends take from a server that does not read.
    const long = "old".repeat(8 * 1024 * 1024);
    for (let round = 0; round < rounds; round++) {
      const store = temporaryStore(login, { commandTimeout: 1000 });
      const id = newId();
      await store.beginExecutionTask(id, "task");
      server.pause();
      const { error } = await outcomeOf(store.commitExecutionTaskResult(id, "task", long));
      expect(error).toMatchObject({ code: "ERR_REDIS_TIMEOUT" });
      const written = outcomeOf(store.commitExecutionTaskResult(id, "task", "new"));
      server.resume();
      expect(await written).toEqual({ value: undefined });
      const alone = async () => (await looking.client("LIST")).split("user=worker").length === 2;
      await eventually(alone, { message: "the end of the old connection" });
      expect(await looking.hget(`${id}-results`, "task")).toBe('"new"');
      await store.close();
    }
    note({
      scenario: "a write stuck on its way to a stopped server, sent again when that goes on; CLIENT KILL forbidden",
      done: `${rounds} commits of 24 MB`,
      found: "0 acknowledged writes undone",
      promise: "0",
    });
  });
});

describe("the fence against a write that comes back", () => {
  it("ends no other connection, although a restarted server assigns the same ids again", async () => {
    const server = await privateRedis();
    const proxy = await temporaryProxy(server);
    const connect = () => temporaryClient(server, { retryStrategy: null });
    // The server itself and the test use up the lowest ids at every start.
    for (let burnt = 0; burnt < 20; burnt++) await connect().ping();
    const store = temporaryStore({ host: proxy.host, port: proxy.port, connectionName: "fenced" });
    const id = newId();
    await store.beginExecution(id);
    const list = await connect().client("LIST");
    const oldId = Number(list.match(/^id=(\d+) .* name=fenced /m)[1]);

    proxy.connections[0].hold("toServer");
    proxy.refuseNew(true);
    const commit = store.commitExecutionTaskResult(id, "task", 1);
    await eventually(() => proxy.connections[0].held("toServer"), { message: "the commit at the proxy" });
    await server.kill();
    await server.restart();
    let stranger;
    for (let tried = 0; stranger === undefined && tried < 100; tried++) {
      const client = connect();
      if ((await client.client("ID")) === oldId) stranger = client;
    }
    proxy.refuseNew(false);
    await commit;
    expect(await stranger.ping()).toBe("PONG");
  });
});

describe("close() after a write that was given up", () => {
  /** A store that has given up a write, which a proxy holds back. */
  async function givenUp(options) {
    const proxy = await temporaryProxy(configuration);
    const store = createRedisStore(atProxy(proxy), options);
    const id = newId();
    await store.isExecutionInProgress(id);
    const [old] = proxy.connections;
    old.hold("toServer", "toClient");
    proxy.refuseNew(true);
    const { error } = await outcomeOf(store.commitExecutionTaskResult(id, "task", "late"));
    expect(error).toMatchObject({ code: "ERR_REDIS_TIMEOUT" });
    expect(old.held("toServer")).toContain(id);
    proxy.refuseNew(false);
    return { proxy, store, id, old };
  }

  const arriveLate = async (old, id) => {
    old.release("toServer");
    await old.endServer();
    return await admin.hgetall(`${id}-results`);
  };

  it("resolves when the write cannot arrive any more", async () => {
    const { store, id, old } = await givenUp({ commandTimeout: 1000 });
    await store.close();
    expect(await arriveLate(old, id)).toEqual({});
  });

  it("leaves that to another store that uses the connection", async () => {
    const { proxy, store, id, old } = await givenUp({ commandTimeout: 1000 });
    const other = temporaryStore(atProxy(proxy), { commandTimeout: 1000 });
    const answer = outcomeOf(other.isExecutionInProgress(id));
    await store.close();
    await answer;
    expect(await other.isExecutionInProgress(id)).toBe(false);
    expect(await arriveLate(old, id)).toEqual({});
  });

  it("resolves and warns once when the server cannot be reached within commandTimeout", async () => {
    const { proxy, store, old } = await givenUp({ commandTimeout: 1000 });
    const warnings = [];
    const listen = (warning) => warnings.push(warning);
    process.on("warning", listen);
    proxy.refuseNew(true);
    const started = performance.now();
    await Promise.all([store.close(), store.close()]);
    await new Promise(setImmediate);
    process.off("warning", listen);
    expect(performance.now() - started).toBeLessThan(3000);
    expect(warnings).toEqual([expect.objectContaining({ code: "IDIOTEQUE_REDIS_UNFENCED" })]);
    expect(warnings[0].message).toContain(`${proxy.host}:${proxy.port}`);
    old.cut();
  });

  it("resolves at once when the write that was held back has been answered", async () => {
    const { proxy, store, old, id } = await givenUp({ commandTimeout: 1000 });
    old.release("toServer");
    old.release("toClient");
    await eventually(() => admin.hget(`${id}-results`, "task"), { message: "the write" });
    await store.isExecutionInProgress(id);
    const { length } = proxy.connections;
    await store.close();
    expect(proxy.connections).toHaveLength(length);
  });
});
