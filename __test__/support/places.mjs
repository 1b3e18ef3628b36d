/**
 * Where a store may keep its executions, for tests of what each place has to do in its own way: one server, Sentinel, a cluster with
 * hash tags and without, and Upstash.
 */
import { afterAll, beforeAll } from "vitest";
import { startRestEndpoint } from "../../tooling/servers/rest-endpoint.mjs";
import { SENTINEL_MASTER, startTopologies } from "./topologies.mjs";

/**
 * @typedef {object} Place
 * @property {string} name
 * @property {() => unknown} make what `createRedisStore` is given
 * @property {() => string} at the URL of the server, or of one of them
 * @property {import("../../index.js").RedisStoreOptions} [options] of the store
 */

/**
 * Starts what the places need before the tests of a file, and ends it after them. Call it once, at the top of a test file.
 *
 * @param {string} url of the one server, which is also behind the endpoint of Upstash
 * @returns {{ places: Record<"single" | "sentinel" | "cluster" | "hashTags" | "upstash", Place>, endings: (() => unknown)[],
 *   topologies: () => Awaited<ReturnType<typeof startTopologies>>, rest: () => Awaited<ReturnType<typeof startRestEndpoint>> }}
 *   `endings` is called after the tests, the last one first; `topologies` and `rest` are there once they have begun
 */
export function usePlaces(url) {
  const endings = [];
  let topologies;
  let rest;

  beforeAll(async () => {
    [topologies, rest] = await Promise.all([startTopologies(), startRestEndpoint({ redisUrl: url })]);
    endings.push(() => topologies.stop());
    endings.push(() => rest.stop());
  });

  afterAll(async () => {
    for (const end of endings.splice(0).reverse()) await end();
  });

  const clusterUrl = () => topologies.clusterUrl;
  const cluster = { name: "a cluster", make: () => [clusterUrl()], at: clusterUrl };
  const places = {
    single: { name: "one server", make: () => url, at: () => url },
    sentinel: {
      name: "Sentinel",
      make: () => ({ sentinels: [topologies.sentinel], name: SENTINEL_MASTER }),
      at: () => topologies.sentinelUrl,
    },
    cluster,
    hashTags: { ...cluster, name: "a cluster with hash tags", options: { hashTags: true } },
    upstash: { name: "Upstash", make: () => ({ url: rest.url, token: rest.token }), at: () => url },
  };
  return { places, endings, topologies: () => topologies, rest: () => rest };
}

/**
 * The three keys of an execution at a place: its own, that of the marks, and that of the results.
 *
 * @param {string} id
 * @param {Place} place
 */
export function keysOf(id, { options }) {
  const name = options?.hashTags ? `{${id}}` : id;
  return [name, `${name}-transactions`, `${name}-results`];
}

/**
 * Whether fields of a hash can expire on a server: Redis 7.4, Valkey 9.
 *
 * @param {import("ioredis").Redis} admin
 */
export async function hasFieldExpiryOn(admin) {
  const [command] = await admin.call("COMMAND", "INFO", "hpexpire");
  return command !== null;
}
