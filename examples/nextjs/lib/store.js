// The store, made when it is first asked for: a build imports the routes and has no Redis to name.
import { createRedisStore } from "@idioteque/redis";

const ONE_DAY_MS = 24 * 60 * 60 * 1000;

let store;

/** Without a first argument the environment names the server: `REDIS_URL`, or the names of Upstash and Vercel KV. */
export function getStore() {
  store ??= createRedisStore(undefined, { ttl: ONE_DAY_MS, slidingTtl: true });
  return store;
}
