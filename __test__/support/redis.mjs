/**
 * What a test file needs to talk to Redis: a server that test files share, ids of its own there, reading keys beside
 * the store, and waiting for a condition instead of for a time.
 */
import { randomUUID } from "node:crypto";
import { Redis } from "ioredis";
import { afterAll, inject } from "vitest";
import { startRedis } from "../../tooling/servers/redis-server.mjs";

export { eventually } from "../../tooling/eventually.mjs";

/**
 * A server that test files share, one after the other. Call it once, at the top of a test file; what the file left behind under its own
 * ids is deleted after its last test.
 *
 * @returns {{ url: string, admin: Redis, newId: (label?: string) => string, dump: typeof dump }}
 *   `admin` is an ioredis client for reading and changing keys, `newId` makes execution ids that no other test uses,
 *   `dump(executionId)` is what Redis holds for an execution
 */
export function sharedRedis() {
  // Vitest numbers the places in which files run from 1.
  const url = inject("redisUrls")[Number(process.env.VITEST_POOL_ID) - 1];
  const admin = new Redis(url, { lazyConnect: true });
  const prefix = `test-${randomUUID()}`;
  let ids = 0;

  afterAll(async () => {
    await deleteByPrefix(admin, prefix);
    admin.disconnect();
  });

  return {
    url,
    admin,
    newId(label = "execution") {
      ids += 1;
      return `${prefix}-${ids}-${label}`;
    },
    dump: (executionId) => dump(admin, executionId),
  };
}

/**
 * A server for one test file alone, to be restarted, paused or killed. It ends after the file's last test if the test
 * has not ended it before.
 *
 * @param {Parameters<typeof startRedis>[0]} [options]
 */
export async function privateRedis(options) {
  const server = await startRedis(options);
  privateServers.add(server);
  return server;
}

const privateServers = new Set();

afterAll(async () => {
  await Promise.all([...privateServers].map((server) => server.stop()));
  privateServers.clear();
});

/**
 * What Redis holds for one execution, as strings and in an order that does not depend on the server's.
 *
 * @param {Redis} redis
 * @param {string} executionId
 * @returns {Promise<Record<"execution" | "transactions" | "results", object>>} per key its type, its content and whether
 *   it expires
 */
export async function dump(redis, executionId) {
  const [execution, transactions, results] = await Promise.all(
    [executionId, `${executionId}-transactions`, `${executionId}-results`].map((key) => dumpKey(redis, key)),
  );
  return { execution, transactions, results };
}

async function dumpKey(redis, key) {
  const [type, expiry] = await Promise.all([redis.type(key), redis.pttl(key)]);
  if (type === "none") return { type };
  const expires = expiry >= 0;
  if (type === "string") return { type, expires, value: await redis.get(key) };
  if (type !== "hash") return { type, expires };
  const fields = Object.entries(await redis.hgetall(key));
  return { type, expires, value: fields.sort(([a], [b]) => (a < b ? -1 : 1)) };
}

async function deleteByPrefix(redis, prefix) {
  let cursor = "0";
  do {
    const [next, keys] = await redis.scan(cursor, "MATCH", `*${prefix}*`, "COUNT", 1000);
    if (keys.length > 0) await redis.unlink(...keys);
    cursor = next;
  } while (cursor !== "0");
}
