/**
 * Everything that asks for TLS, one row for each that the contract is checked on.
 */
import { Redis } from "ioredis";
import { Redis as Redis5 } from "ioredis-5";
import { createClient } from "redis";
import { createClient as createClient4 } from "redis-4";
import { createClient as createClient5 } from "redis-5";
import { HOST } from "../../tooling/servers/tls.mjs";

/** Clients in the family of ioredis, of node-redis, and their versions. */
export const IOREDIS = [
  ["ioredis 6", Redis],
  ["ioredis 5", Redis5],
];
export const NODE_REDIS = [
  ["node-redis 6", createClient],
  ["node-redis 5", createClient5],
  ["node-redis 4", createClient4],
];

async function connected(client) {
  client.on("error", () => {});
  await client.connect();
  return client;
}

/** Version 4 has no `destroy`. */
function end(client) {
  return client.destroy ? client.destroy() : client.disconnect();
}

/** @type {import("./inputs.mjs").Input[]} */
export const TLS_INPUTS = [
  // Its authority is in NODE_EXTRA_CA_CERTS.
  { name: "a rediss:// URL", make: ({ tlsUrl }) => tlsUrl },
  {
    name: "an ioredis-style configuration with tls",
    make: ({ tlsPort: port, ca }) => ({ host: HOST, port, tls: { ca } }),
  },
  {
    name: "a node-redis-style configuration with socket.tls",
    make: ({ tlsPort: port, ca }) => ({ socket: { host: HOST, port, tls: true, ca } }),
  },
  ...IOREDIS.map(([name, Client]) => ({
    name: `${name} with tls`,
    make: ({ tlsUrl, ca }) => new Client(tlsUrl, { tls: { ca }, lazyConnect: true }),
  })),
  ...NODE_REDIS.map(([name, create]) => ({
    name: `${name} with socket.tls`,
    make: ({ tlsUrl: url, ca }) => connected(create({ url, socket: { tls: true, ca } })),
    end,
  })),
].map((input) => ({ backend: "redis", at: "url", ...input }));
