// Code written for the TypeScript package, which types its client with `RedisImpl`.
import { createRedisStore, type RedisClientLike, type RedisImpl, type RedisInput } from "@idioteque/redis";
import { Redis as Upstash } from "@upstash/redis";
import { createClient as createKv } from "@vercel/kv";
import { Cluster, Redis } from "ioredis";
import { Redis as Redis5 } from "ioredis-5";
import { Redis as Valkey } from "iovalkey";

/** The package's own declaration. */
interface OfPackage {
  set(key: string, value: string): Promise<any>;
  get(key: string): Promise<unknown | null>;
  hset: (
    key: string,
    kv: {
      [field: string]: string;
    },
  ) => Promise<any>;
  hget: (key: string, field: string) => Promise<unknown | null>;
  hdel: (key: string, field: string) => Promise<any>;
  hgetall: (key: string) => Promise<Record<string, unknown> | string[] | null>;
  del: (key: string) => Promise<any>;
  expire: (key: string, seconds: number) => Promise<any>;
}

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
const holds = <Claim extends true>(claim?: Claim) => claim;
holds<Equal<RedisImpl, OfPackage>>();
type Same<Name extends keyof OfPackage> = Equal<RedisImpl[Name], OfPackage[Name]>;
holds<Equal<{ [Name in keyof OfPackage]: Same<Name> }[keyof OfPackage], true>>();

// It is called as promises are, and its answers go where the package let them go.
export async function useIt(redis: RedisImpl): Promise<number> {
  await redis.set("key", "value").catch(() => undefined);
  await redis.get("key").finally(() => undefined);
  const added: number = await redis.hset("key", { field: "value" });
  const removed: number = await redis.hdel("key", "field").then((count: number) => count);
  const hash = await redis.hgetall("key");
  const entries = Array.isArray(hash) ? hash.map((text) => text.length) : Object.keys(hash ?? {});
  const deleted: Promise<number> = redis.del("key");
  const seconds: number = await redis.expire("key", 60);
  const pending: Promise<unknown>[] = [redis.hget("key", "field"), redis.expire("key", 60)];
  await Promise.all(pending);
  return added + removed + entries.length + (await deleted) + seconds;
}

// It is implemented, by a class, by an object and by the clients.
class Recording implements RedisImpl {
  constructor(private readonly inner: RedisImpl) {}
  set(key: string, value: string) {
    return this.inner.set(key, value);
  }
  get(key: string) {
    return this.inner.get(key);
  }
  hset = (key: string, kv: Record<string, string>) => this.inner.hset(key, kv);
  hget = (key: string, field: string) => this.inner.hget(key, field);
  hdel = (key: string, field: string) => this.inner.hdel(key, field);
  hgetall = (key: string) => this.inner.hgetall(key);
  del = (key: string) => this.inner.del(key);
  expire = (key: string, seconds: number) => this.inner.expire(key, seconds);
}
const clients: RedisImpl[] = [
  new Redis(),
  new Redis5(),
  new Valkey(),
  new Cluster([]),
  new Upstash({ url: "https://example.com", token: "token" }),
  createKv({ url: "https://example.com", token: "token" }),
];
for (const client of [...clients, ...clients.map((client) => new Recording(client))]) createRedisStore(client);

// What is made for it is accepted, and so is what the package would not have taken.
const input: RedisInput = new Recording(new Redis());
const like: RedisClientLike = new Recording(new Redis());
declare const thenable: PromiseLike<unknown>;
const loose: RedisClientLike = {
  get: () => thenable,
  set: () => thenable,
  hset: () => thenable,
  hget: () => thenable,
  hdel: () => thenable,
  hgetall: async () => new Map([["field", "value"]]),
  del: () => thenable,
  expire: () => thenable,
};
createRedisStore(loose);
createRedisStore(like, { ttl: null });
createRedisStore(input, null);
// @ts-expect-error answers that are no promises
const notEnough: RedisImpl = loose;

export { notEnough };
