/**
 * Upstash's client as the reference store calls clients.
 */

/** Upstash's client, which without deserialisation answers hashes as a flat list. */
export function upstashAdapter(redis) {
  const names = ["get", "set", "del", "expire", "hget", "hset", "hdel"];
  const methods = names.map((name) => [name, (...args) => redis[name](...args)]);
  return {
    ...Object.fromEntries(methods),
    async hgetall(key) {
      const hash = {};
      const list = await redis.hgetall(key);
      for (let index = 0; index < list.length; index += 2) hash[list[index]] = list[index + 1];
      return hash;
    },
  };
}
