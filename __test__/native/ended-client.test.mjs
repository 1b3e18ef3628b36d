// A store made from a client ends with it, from the moment at which the client was told to end, and works again once the client is
// connected again.
import { Cluster, Redis } from "ioredis";
import { Redis as Redis5 } from "ioredis-5";
import { createClient } from "redis";
import { createClient as createClient4 } from "redis-4";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { runScript } from "../support/child.mjs";
import { IOREDIS, NODE_REDIS } from "../support/client-packages.mjs";
import { countConnections } from "../support/connections.mjs";
import { eventually, sharedRedis } from "../support/redis.mjs";
import { rejectionOf, temporaryStore } from "../support/temporary.mjs";
import { SENTINEL_MASTER, startTopologies } from "../support/topologies.mjs";

const { url, admin, newId } = sharedRedis();
let topologies;
beforeAll(async () => {
  topologies = await startTopologies();
});
afterAll(() => topologies?.stop());

const connected = async (client) => {
  await client.connect();
  return client;
};
const clusterOf = () => new Cluster([topologies.clusterUrl]);

describe("after", () => {
  it.each([
    ["`await quit()` of an ioredis 6 instance", () => new Redis(url), (redis) => redis.quit()],
    [
      "`await quit()` of one that never connected",
      () => new Redis(url, { lazyConnect: true }),
      (redis) => redis.quit(),
    ],
    ["`disconnect()` of an ioredis 6 instance", () => new Redis(url), (redis) => redis.disconnect()],
    ["`await quit()` of an ioredis 5 instance", () => new Redis5(url), (redis) => redis.quit()],
    ["`await quit()` of an ioredis cluster", clusterOf, (redis) => redis.quit()],
    ["`disconnect()` of an ioredis cluster", clusterOf, (redis) => redis.disconnect()],
    [
      "`await quit()` of an ioredis instance with sentinels",
      () => new Redis({ sentinels: [topologies.sentinel], name: SENTINEL_MASTER }),
      (redis) => redis.quit(),
    ],
    ["`await close()` of a node-redis 6 client", () => connected(createClient({ url })), (redis) => redis.close()],
    ["`await quit()` of a node-redis 4 client", () => connected(createClient4({ url })), (redis) => redis.quit()],
  ])("%s no call works", async (_, make, end) => {
    const redis = await make();
    const store = temporaryStore(redis, { commandTimeout: 20_000 });
    const id = newId();
    await store.beginExecution(id);
    await end(redis);
    const error = await rejectionOf(store.isExecutionInProgress(id));
    expect(error).toMatchObject({ code: "ERR_REDIS_CLOSED" });
  });

  it("`await quit()` the process ends", async () => {
    const script = `
      import { Redis } from "ioredis";
      const redis = new Redis(args.url);
      const store = createRedisStore(redis);
      await store.beginExecution(args.id);
      await redis.quit();
      const ended = performance.now();
      process.on("exit", () => console.log(performance.now() - ended));
    `;
    const outcome = await runScript(script, { args: { url, id: newId() } });
    expect(outcome, outcome.errors).toMatchObject({ code: 0 });
    expect(Number(outcome.lines.at(-1))).toBeLessThan(1_000);
  });
});

describe("once the client is connected again", () => {
  const close = (client) => (client.close ?? client.quit).call(client);
  const FAMILIES = [
    ...IOREDIS.map(([name, Client]) => [
      name,
      {
        make: (connectionName) => new Client(url, { connectionName, lazyConnect: true }),
        async end(client) {
          await client.quit();
          await eventually(() => client.status === "end");
        },
      },
    ]),
    ...NODE_REDIS.map(([name, module]) => [
      name,
      {
        make: (connectionName) => module.createClient({ url, name: connectionName }).on("error", () => {}),
        end: close,
      },
    ]),
  ];

  it.each(FAMILIES)("a store of %s works, whether it was called in between or not", async (_, { make, end }) => {
    const name = newId("again");
    const client = await connected(make(name));
    const store = temporaryStore(client);
    const id = newId();
    await store.beginExecution(id);
    await end(client);
    expect(await rejectionOf(store.isExecutionInProgress(id))).toMatchObject({ code: "ERR_REDIS_CLOSED" });
    expect(store.status).toBe("closed");
    await client.connect();
    expect(await store.isExecutionInProgress(id)).toBe(true);
    expect(store.status).toBe("ready");
    await end(client);
    // The store's connection is closed without a call, too.
    await eventually(async () => (await countConnections(admin, name)) === 0, { deadline: 10_000 });
    await client.connect();
    expect(await store.isExecutionInProgress(id)).toBe(true);
    await end(client);
    await store.close();
    await client.connect();
    expect(await rejectionOf(store.isExecutionInProgress(id))).toMatchObject({ code: "ERR_REDIS_CLOSED" });
    await end(client);
  });

  it("a store of an ioredis cluster works", async () => {
    const cluster = clusterOf();
    const store = temporaryStore(cluster);
    const id = newId();
    await store.beginExecution(id);
    await cluster.quit();
    expect(await rejectionOf(store.isExecutionInProgress(id))).toMatchObject({ code: "ERR_REDIS_CLOSED" });
    await eventually(() => cluster.status === "end");
    await cluster.connect();
    expect(await store.isExecutionInProgress(id)).toBe(true);
    cluster.disconnect();
  });

  // It goes on saying that it is being closed: there was no socket whose end would have reset that.
  it.each(IOREDIS)("a store of %s works that was disconnected twice", async (_, Client) => {
    const client = new Client(url);
    const store = temporaryStore(client);
    const id = newId();
    await store.beginExecution(id);
    client.disconnect();
    await eventually(() => client.status === "end");
    client.disconnect();
    expect(await rejectionOf(store.isExecutionInProgress(id))).toMatchObject({ code: "ERR_REDIS_CLOSED" });
    await client.connect();
    expect(client.manuallyClosing).toBe(true);
    expect(await store.isExecutionInProgress(id)).toBe(true);
    expect(await temporaryStore(client).isExecutionInProgress(id)).toBe(true);
    client.disconnect();
    await eventually(() => client.status === "end");
    expect(await rejectionOf(store.isExecutionInProgress(id))).toMatchObject({ code: "ERR_REDIS_CLOSED" });
  });
});
