// The store, made when it is first asked for: a build imports the routes and has no Redis to name.
import { createRedisStoreFromEnv } from "@idioteque/redis";

const ONE_DAY_MS = 24 * 60 * 60 * 1000;

let store;

/** The environment names the server: `REDIS_URL`, or the names of Upstash and Vercel KV. */
export function getStore() {
  store ??= createRedisStoreFromEnv({ ttl: ONE_DAY_MS, slidingTtl: true });
  return store;
}
