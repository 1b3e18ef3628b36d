/**
 * Instances of ioredis and its relatives, one row for each that the contract is checked on.
 */
import { Queue } from "bullmq";
import { Redis } from "ioredis";
import RedisMock from "ioredis-mock";
import { vi } from "vitest";
import { IOREDIS } from "./client-packages.mjs";
import { SENTINEL_MASTER } from "./topologies.mjs";

const lazily = { lazyConnect: true };

/** @type {import("./inputs.mjs").Input[]} */
export const IOREDIS_INPUTS = IOREDIS.flatMap(([name, Client]) => {
  const instance = ({ url }) => new Client(url, lazily);
  return [
    { name: `${name}`, backend: "redis", at: "url", make: instance },
    {
      name: `${name}, told to use it`,
      backend: "client",
      at: "url",
      make: instance,
      options: { connection: "client" },
    },
    {
      name: `${name} with a key prefix`,
      backend: "redis",
      at: "url",
      keyPrefix: "prefix:",
      make: ({ url }) => new Client(url, { ...lazily, keyPrefix: "prefix:" }),
    },
    {
      name: `${name} with a key prefix, told to use it`,
      backend: "client",
      at: "url",
      keyPrefix: "prefix:",
      options: { connection: "client" },
      make: ({ url }) => new Client(url, { ...lazily, keyPrefix: "prefix:" }),
    },
    {
      name: `${name} with auto-pipelining, told to use it`,
      backend: "client",
      at: "url",
      options: { connection: "client" },
      make: ({ url }) => new Client(url, { ...lazily, enableAutoPipelining: true }),
    },
    {
      name: `${name} with a spy on a method`,
      backend: "client",
      at: "url",
      make(servers) {
        const client = instance(servers);
        vi.spyOn(client, "hset");
        return client;
      },
    },
    {
      name: `${name} behind a Proxy`,
      backend: "client",
      at: "url",
      make: (servers) => new Proxy(instance(servers), {}),
    },
    {
      name: `a Cluster of ${name}`,
      backend: "redis-cluster",
      at: "clusterUrl",
      make: ({ clusterUrl }) => new Client.Cluster([clusterUrl]),
    },
    {
      name: `a Cluster of ${name}, told to use it`,
      backend: "client",
      at: "clusterUrl",
      options: { connection: "client" },
      make: ({ clusterUrl }) => new Client.Cluster([clusterUrl]),
    },
    {
      name: `${name} through Sentinel`,
      backend: "redis-sentinel",
      at: "sentinelUrl",
      make: ({ sentinel }) => new Client({ ...lazily, sentinels: [sentinel], name: SENTINEL_MASTER }),
    },
    {
      name: `${name} through Sentinel, told to use it`,
      backend: "client",
      at: "sentinelUrl",
      options: { connection: "client" },
      make: ({ sentinel }) => new Client({ ...lazily, sentinels: [sentinel], name: SENTINEL_MASTER }),
    },
  ];
});

const REPLY_SETTINGS = [
  ["RESP2", { protocol: 2 }],
  ["replies as in RESP3", { protocol: 3, replyMapping: "resp3" }],
  ["numbers as strings", { stringNumbers: true }],
];

/** @type {import("./inputs.mjs").Input[]} */
export const IOREDIS_REPLIES = REPLY_SETTINGS.map(([label, settings]) => ({
  name: `ioredis 6 with ${label}, told to use it`,
  backend: "client",
  at: "url",
  options: { connection: "client" },
  make: ({ url }) => new Redis(url, { ...lazily, ...settings }),
}));

/** The queue that each client of a queue belongs to. */
const queues = new WeakMap();

/** The client that BullMQ makes of a connection. */
async function clientOfQueue(connection) {
  const queue = new Queue("contract", { connection });
  const client = await queue.backend.client;
  queues.set(client, { queue, connection });
  return client;
}

async function closeQueue(client) {
  const { queue, connection } = queues.get(client);
  await queue.close();
  connection.disconnect();
}

/** @type {import("./inputs.mjs").Input[]} */
export const IOREDIS_LOOKALIKES = [
  { name: "ioredis-mock", backend: "client", cannotCarry: ["__proto__"], make: () => new RedisMock() },
  {
    name: "the client of a BullMQ queue",
    backend: "client",
    at: "url",
    make: ({ url }) => clientOfQueue(new Redis(url, { ...lazily, maxRetriesPerRequest: null })),
    end: closeQueue,
  },
];
