/**
 * Stores, clients and proxies that a test opens and need not close, and how a promise ended.
 */
import { inspect } from "node:util";
import { Redis } from "ioredis";
import { afterAll, afterEach } from "vitest";
import { createRedisStore } from "../../index.js";
import { startProxy } from "./proxy.mjs";

const releases = [];
const clients = [];

afterEach(async () => {
  for (const release of releases.splice(0).reverse()) await release();
});

afterAll(() => {
  for (const client of clients.splice(0)) client.disconnect();
});

/**
 * A store that is closed after the test.
 *
 * @param {Parameters<typeof createRedisStore>} redisAndOptions
 */
export function temporaryStore(...redisAndOptions) {
  const store = createRedisStore(...redisAndOptions);
  releases.push(() => store.close());
  return store;
}

/**
 * A proxy that is stopped after the test.
 *
 * @param {Parameters<typeof startProxy>} serverAndAddress
 */
export async function temporaryProxy(...serverAndAddress) {
  const proxy = await startProxy(...serverAndAddress);
  releases.push(() => proxy.stop());
  return proxy;
}

/**
 * An ioredis client, for reading and changing keys beside a store, that is disconnected after the file's last test. It
 * outlives restarts of its server.
 *
 * @param {{ url: string }} server
 * @param {object} [options] of ioredis
 */
export function temporaryClient(server, options) {
  const client = new Redis(server.url, { retryStrategy: () => 20, maxRetriesPerRequest: null, ...options });
  client.on("error", () => {});
  clients.push(client);
  return client;
}

/**
 * How a promise ended.
 *
 * @param {Promise<unknown>} promise
 * @returns {Promise<{ value?: unknown, error?: unknown }>}
 */
export function outcomeOf(promise) {
  return promise.then(
    (value) => ({ value }),
    (error) => ({ error }),
  );
}

/**
 * What a promise was rejected with; a failure when it was not.
 *
 * @param {Promise<unknown>} promise
 */
export async function rejectionOf(promise) {
  const { value, error } = await outcomeOf(promise);
  if (error === undefined) throw new Error(`It should have been rejected, and was fulfilled with ${inspect(value)}`);
  return error;
}
