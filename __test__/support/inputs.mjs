/**
 * Everything that `createRedisStore` accepts, one row each, so that a promise can be checked on all of them.
 */
import { Redis } from "ioredis";
import { Redis as Redis5 } from "ioredis-5";
import { createRedisStore } from "../../index.js";
import { createMapClient, wrapClient } from "./map-client.mjs";
import { SENTINEL_MASTER } from "./topologies.mjs";

/**
 * @typedef {object} Servers what a test file has started
 * @property {string} url of one server
 * @property {string} [unixSocketPath] where a server listens besides
 * @property {string} [clusterUrl] of a cluster's only node
 * @property {string} [sentinelUrl] of a primary that a sentinel watches
 * @property {{ host: string, port: number }} [sentinel] that sentinel
 * @property {import("../../tooling/servers/rest-endpoint.mjs").RestEndpoint} [rest] in front of the one server
 *
 * @typedef {object} Input
 * @property {string} name what is passed
 * @property {"redis" | "redis-sentinel" | "redis-cluster" | "upstash" | "client"} backend what the store makes of it
 * @property {(servers: Servers) => unknown} make what is passed, or a promise of it
 * @property {(redis: any) => unknown} [end] closes it, where that is not `disconnect()`
 * @property {object} [options] the options of `createRedisStore`
 * @property {(store: object) => object} [wrap] what the tests get in place of the store
 * @property {"url" | "clusterUrl" | "sentinelUrl"} [at] which server holds its keys, for a look at them
 * @property {string} [keyPrefix] what it puts before every key there
 * @property {string[]} [cannotCarry] task ids that the client itself loses, with any caller
 * @property {boolean} [unixSocket] whether it needs a server with a Unix socket
 */

/** The parts of a Redis URL, as configuration objects have them. */
function parse(url) {
  const { hostname, port, username, password, pathname } = new URL(url);
  return {
    host: hostname,
    port: Number(port || 6379),
    ...(username && { username: decodeURIComponent(username) }),
    ...(password && { password: decodeURIComponent(password) }),
    database: Number(pathname.slice(1) || 0),
  };
}

/**
 * What `new Redis(url)` would connect to, as a configuration object.
 *
 * @param {string} url
 */
export function ioredisConfiguration(url) {
  const { database: db, ...rest } = parse(url);
  return { ...rest, db };
}

function nodeRedisConfiguration(url) {
  const { host, port, ...rest } = parse(url);
  return { socket: { host, port }, ...rest };
}

/** @type {Input[]} */
export const NATIVE_INPUTS = [
  { name: "a URL string", backend: "redis", make: ({ url }) => url },
  { name: "a URL object", backend: "redis", make: ({ url }) => new URL(url) },
  { name: "an ioredis-style configuration", backend: "redis", make: ({ url }) => ioredisConfiguration(url) },
  { name: "a node-redis-style configuration", backend: "redis", make: ({ url }) => nodeRedisConfiguration(url) },
  {
    name: "the path of a Unix socket",
    backend: "redis",
    unixSocket: true,
    make: ({ unixSocketPath }) => unixSocketPath,
  },
  {
    name: "a unix:// URL",
    backend: "redis",
    unixSocket: true,
    make: ({ unixSocketPath }) => `unix://${unixSocketPath}`,
  },
  { name: "an ioredis 6 instance", backend: "redis", make: ({ url }) => new Redis(url, { lazyConnect: true }) },
  { name: "an ioredis 5 instance", backend: "redis", make: ({ url }) => new Redis5(url, { lazyConnect: true }) },
];

/**
 * Configurations of more than one server.
 *
 * @type {Input[]}
 */
export const TOPOLOGY_INPUTS = [
  {
    name: "ioredis-style sentinels",
    backend: "redis-sentinel",
    at: "sentinelUrl",
    make: ({ sentinel }) => ({ sentinels: [sentinel], name: SENTINEL_MASTER }),
  },
  {
    name: "node-redis-style sentinels",
    backend: "redis-sentinel",
    at: "sentinelUrl",
    make: ({ sentinel }) => ({ sentinelRootNodes: [sentinel], name: SENTINEL_MASTER }),
  },
  {
    name: "an array of start-up nodes",
    backend: "redis-cluster",
    at: "clusterUrl",
    make: ({ clusterUrl }) => [clusterUrl],
  },
  {
    name: "node-redis-style root nodes",
    backend: "redis-cluster",
    at: "clusterUrl",
    make: ({ clusterUrl: url }) => ({ rootNodes: [{ url }] }),
  },
  {
    name: "the URL of a cluster's only node",
    backend: "redis",
    at: "clusterUrl",
    make: ({ clusterUrl }) => clusterUrl,
  },
];

/** @type {Input[]} */
export const CLIENT_INPUTS = [
  {
    name: "an ioredis 6 instance with its own methods",
    backend: "client",
    options: { connection: "client" },
    make: ({ url }) => new Redis(url, { lazyConnect: true }),
  },
  {
    name: "an ioredis 5 instance with its own methods",
    backend: "client",
    options: { connection: "client" },
    make: ({ url }) => new Redis5(url, { lazyConnect: true }),
  },
  {
    name: "a wrapper around ioredis",
    backend: "client",
    make({ url }) {
      const redis = new Redis(url, { lazyConnect: true });
      return { ...wrapClient(redis), disconnect: () => redis.disconnect() };
    },
  },
  { name: "eight methods over a Map", backend: "client", make: () => createMapClient() },
];

/**
 * Opens a store over one kind of input that is there at once.
 *
 * @param {Input} input
 * @param {Servers} servers
 * @param {object} [options] of `createRedisStore`
 * @returns {{ store: object, release: () => Promise<void> }} `release` closes the store and the client under it
 */
export function openStore(input, servers, options) {
  return openStoreOver(input, input.make(servers), options);
}

/**
 * The same over any kind of input, also one that has to be connected first.
 *
 * @param {Parameters<typeof openStore>} args
 * @returns {Promise<ReturnType<typeof openStore>>}
 */
export async function connectStore(...[input, servers, options]) {
  return openStoreOver(input, await input.make(servers), options);
}

function openStoreOver(input, redis, options) {
  const end = () => (input.end ? input.end(redis) : redis.disconnect?.());
  try {
    const made = createRedisStore(redis, { ...input.options, ...options });
    const store = input.wrap?.(made) ?? made;
    return {
      store,
      async release() {
        await store.close();
        await end();
      },
    };
  } catch (error) {
    end();
    throw error;
  }
}
