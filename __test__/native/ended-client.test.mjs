// A store made from a client ends with it: from the moment at which the client was told to end.
import { Cluster, Redis } from "ioredis";
import { Redis as Redis5 } from "ioredis-5";
import { createClient } from "redis";
import { createClient as createClient4 } from "redis-4";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { runScript } from "../support/child.mjs";
import { sharedRedis } from "../support/redis.mjs";
import { rejectionOf, temporaryStore } from "../support/temporary.mjs";
import { SENTINEL_MASTER, startTopologies } from "../support/topologies.mjs";

const { url, newId } = sharedRedis();
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
