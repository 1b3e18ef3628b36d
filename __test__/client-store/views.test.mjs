// A store over the methods of a real client: what is changed on that client later is seen, and what its owner has set up
// for other uses does not reach the store.
import * as redis6 from "redis";
import * as redis5 from "redis-5";
import { describe, expect, it, vi } from "vitest";
import { createRedisStore } from "../../index.js";
import { sharedRedis } from "../support/redis.mjs";

const { url, newId } = sharedRedis();

describe.each([
  ["node-redis 6", redis6],
  ["node-redis 5", redis5],
])("a client of %s", (_, { createClient, RESP_TYPES }) => {
  const typeMapping = { [RESP_TYPES.MAP]: Array, [RESP_TYPES.BLOB_STRING]: Buffer };

  it("is seen to be spied on after the store was made", async () => {
    const client = await createClient({ url }).connect();
    const store = createRedisStore(client, { connection: "client" });
    const id = newId();
    const spy = vi.spyOn(client, "hGet");
    await store.getExecutionTaskResult(id, "task");
    expect(spy).toHaveBeenCalledExactlyOnceWith(`${id}-results`, "task");
    client.destroy();
  });

  it("keeps its own type mapping for its owner", async () => {
    const client = await createClient({ url, commandOptions: { typeMapping } }).connect();
    const store = createRedisStore(client, { connection: "client" });
    const id = newId();
    await store.commitExecutionTaskResult(id, "task", 1);
    expect(await store.getExecutionTaskResults(id)).toEqual({ task: 1 });
    expect(await client.hGet(`${id}-results`, "task")).toEqual(Buffer.from("1"));
    client.destroy();
  });

  it("may be passed as a view with a type mapping of its own", async () => {
    const client = await createClient({ url }).connect();
    const store = createRedisStore(client.withTypeMapping(typeMapping), { connection: "client" });
    const id = newId();
    await store.commitExecutionTaskResult(id, "__proto__", 1);
    expect(Object.entries(await store.getExecutionTaskResults(id))).toEqual([["__proto__", 1]]);
    client.destroy();
  });
});
