/**
 * Clients of node-redis, one row for each that the contract is checked on.
 */
import * as redis6 from "redis";
import * as redis4 from "redis-4";
import { NODE_REDIS } from "./client-packages.mjs";
import { SENTINEL_MASTER } from "./topologies.mjs";

const own = { connection: "client" };

/** Connects a client; errors of the connection are left to the caller. */
async function connected(client) {
  client.on("error", () => {});
  await client.connect();
  return client;
}

/** Version 4 has neither `destroy` nor, on clusters, `close`. */
function end(client) {
  if (client.isOpen) return client.destroy ? client.destroy() : client.disconnect();
}

/** Answers in forms that the owner of a client may have chosen for other uses. */
function mapped({ RESP_TYPES }) {
  return { typeMapping: { [RESP_TYPES.MAP]: Array, [RESP_TYPES.BLOB_STRING]: Buffer, [RESP_TYPES.NUMBER]: String } };
}

const plain = ([name, { createClient, createCluster }]) => [
  { name, backend: "redis", make: ({ url }) => connected(createClient({ url })) },
  { name: `${name}, not connected`, backend: "redis", make: ({ url }) => createClient({ url }) },
  {
    name: `${name}, told to use it`,
    backend: "client",
    options: own,
    make: ({ url }) => connected(createClient({ url })),
  },
  {
    name: `a cluster of ${name}`,
    // Before version 5 it does not show its settings.
    backend: name === "node-redis 4" ? "client" : "redis-cluster",
    at: "clusterUrl",
    make: ({ clusterUrl: url }) => connected(createCluster({ rootNodes: [{ url }] })),
  },
  {
    name: `a cluster of ${name}, told to use it`,
    backend: "client",
    options: own,
    at: "clusterUrl",
    make: ({ clusterUrl: url }) => connected(createCluster({ rootNodes: [{ url }] })),
  },
];

const newer = ([name, library]) => [
  ...[2, 3].map((RESP) => ({
    name: `${name} with RESP${RESP} and type mappings, told to use it`,
    backend: "client",
    options: own,
    make: ({ url }) => connected(library.createClient({ url, RESP, commandOptions: mapped(library) })),
  })),
  {
    name: `a pool of ${name}`,
    backend: "client",
    make: ({ url }) => connected(library.createClientPool({ url }, { commandOptions: mapped(library) })),
  },
  {
    name: `${name} through Sentinel`,
    backend: "client",
    at: "sentinelUrl",
    make: ({ sentinel }) => connected(library.createSentinel({ name: SENTINEL_MASTER, sentinelRootNodes: [sentinel] })),
  },
];

const legacy = [
  {
    name: "node-redis 4 in legacy mode",
    backend: "redis",
    make: ({ url }) => connected(redis4.createClient({ url, legacyMode: true })),
  },
  {
    name: "node-redis 4 in legacy mode, told to use it",
    backend: "client",
    options: own,
    make: ({ url }) => connected(redis4.createClient({ url, legacyMode: true })),
  },
];

const keyPrefix = "prefix:";

const prefixed = [
  ["node-redis 6 with a key prefix", { backend: "redis" }],
  ["node-redis 6 with a key prefix, told to use it", { backend: "client", options: own }],
].map(([name, rest]) => ({
  name,
  ...rest,
  keyPrefix,
  make: ({ url }) => connected(redis6.createClient({ url, keyPrefix })),
}));

/** @type {import("./inputs.mjs").Input[]} */
export const NODE_REDIS_INPUTS = [
  ...NODE_REDIS.flatMap(plain),
  ...NODE_REDIS.filter(([, { createSentinel }]) => createSentinel !== undefined).flatMap(newer),
  ...legacy,
  ...prefixed,
].map((input) => ({ at: "url", end, ...input }));
