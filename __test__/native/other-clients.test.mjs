// What users of the TypeScript store run into with clients other than ioredis: each shown on its command sequence, and
// working here.
import { Redis as Upstash } from "@upstash/redis";
import { GlideClient, Logger } from "@valkey/valkey-glide";
import { Redis } from "ioredis";
import * as redis6 from "redis";
import * as redis4 from "redis-4";
import * as redis5 from "redis-5";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { createRedisStore } from "../../index.js";
import { createReferenceStore } from "../../tooling/reference-store.mjs";
import { startRestEndpoint } from "../../tooling/servers/rest-endpoint.mjs";
import { sharedRedis } from "../support/redis.mjs";

Logger.init("off");

const { url, admin, newId } = sharedRedis();
const stores = [];

function open(client, options) {
  const store = createRedisStore(client, options);
  stores.push(store);
  return store;
}

afterEach(async () => {
  for (const store of stores.splice(0)) await store.close();
});

describe.each([
  ["node-redis 6", redis6],
  ["node-redis 5", redis5],
  ["node-redis 4", redis4],
])("%s, which has no method called hset", (_, { createClient }) => {
  it("works", async () => {
    const client = createClient({ url });
    await client.connect();
    const id = newId();
    const commit = createReferenceStore(client).commitExecutionTaskResult(id, "task", { total: 12 });
    await expect(commit).rejects.toThrow("is not a function");

    for (const connection of ["auto", "client"]) {
      const store = open(client, { connection });
      await store.commitExecutionTaskResult(id, connection, { total: 12 });
      expect(await store.getExecutionTaskResult(id, connection)).toEqual({ total: 12 });
    }
    await client.quit();
  });
});

describe("Upstash with its default settings, which parses every value", () => {
  let rest;
  let client;

  beforeAll(async () => {
    rest = await startRestEndpoint({ redisUrl: url });
    client = new Upstash({ url: rest.url, token: rest.token });
  });

  afterAll(() => rest?.stop());

  it("has the executions and tasks that are in progress", async () => {
    const id = newId();
    const [store, theirs] = [open(client), createReferenceStore(client)];
    await store.beginExecution(id);
    await store.beginExecutionTask(id, "task");
    expect(await theirs.isExecutionInProgress(id)).toBe(false);
    expect(await theirs.isExecutionTaskInProgress(id, "task")).toBe(false);
    expect(await store.isExecutionInProgress(id)).toBe(true);
    expect(await store.isExecutionTaskInProgress(id, "task")).toBe(true);
  });

  it("has the results", async () => {
    const id = newId();
    const [store, theirs] = [open(client), createReferenceStore(client)];
    await store.commitExecutionTaskResult(id, "task", { total: 12 });
    expect(await theirs.getExecutionTaskResult(id, "task")).toBe(undefined);
    expect(await store.getExecutionTaskResult(id, "task")).toEqual({ total: 12 });
    expect(await store.getExecutionTaskResults(id)).toEqual({ task: { total: 12 } });
  });

  it.each([["12"], ["true"], ["null"], ['{"a":1}'], ["plain"], [""], ["OK"], [null], [false], ["9007199254740993"]])(
    "has the result %j as it was",
    async (value) => {
      const id = newId();
      const store = open(client);
      await store.commitExecutionTaskResult(id, "task", value);
      expect(await admin.hget(`${id}-results`, "task")).toBe(JSON.stringify(value));
      const results = await store.getExecutionTaskResults(id);
      expect(results.task).toBe(value);
      expect(Object.keys(results)).toEqual(["task"]);
      expect(await store.getExecutionTaskResult(id, "task")).toBe(value);
    },
  );
});

describe("valkey-glide, which takes a string for a list of letters", () => {
  let client;
  const { hostname: host, port } = new URL(url);
  // A database of its own, because it deletes keys that are not of its making.
  const databaseId = 9;
  const admin = new Redis(url, { db: databaseId, lazyConnect: true });

  beforeAll(async () => {
    const addresses = [{ host, port: Number(port) }];
    client = await GlideClient.createClient({ addresses, databaseId, requestTimeout: 10_000 });
  });

  afterAll(() => {
    client?.close();
    admin.disconnect();
  });

  it("leaves the keys J, o and b alone when it has to drop Job", async () => {
    const forget = async (store) => {
      for (const key of ["Job", "J", "o", "b"]) await admin.set(key, "true");
      await store.disposeExecution("Job");
      return admin.exists("Job", "J", "o", "b");
    };
    expect(await forget(createReferenceStore(client))).toBe(1);
    expect(await admin.get("Job")).toBe("true");
    expect(await forget(open(client))).toBe(3);
    expect(await admin.get("Job")).toBe(null);
    expect(await admin.del("J", "o", "b")).toBe(3);
  });

  it("has all results under the names of their tasks", async () => {
    const id = newId();
    const store = open(client);
    await store.commitExecutionTaskResult(id, "task", { total: 12 });
    await expect(createReferenceStore(client).getExecutionTaskResults(id)).rejects.toThrow("Failed to parse");
    expect(await store.getExecutionTaskResults(id)).toEqual({ task: { total: 12 } });
    await store.disposeExecution(id);
  });
});
