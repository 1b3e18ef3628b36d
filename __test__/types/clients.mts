// The clients' own types, as their packages declare them, without a cast.

import {
  createRedisStore,
  createRedisStoreFromEnv,
  type RedisInput,
  type RedisStore,
  type WorkerStore,
} from "@idioteque/redis";
import { Redis as Upstash } from "@upstash/redis";
import type { GlideClient, GlideClusterClient } from "@valkey/valkey-glide";
import { createClient as createKv, kv, type VercelKV } from "@vercel/kv";
import { Cluster, Redis } from "ioredis";
import { Cluster as Cluster5, Redis as Redis5 } from "ioredis-5";
import { Redis as Valkey, Cluster as ValkeyCluster } from "iovalkey";
import * as redis6 from "redis";
import * as redis4 from "redis-4";
import * as redis5 from "redis-5";

// ioredis and iovalkey.
createRedisStore(new Redis());
createRedisStore(new Redis5());
createRedisStore(new Valkey());
createRedisStore(new Cluster([]));
createRedisStore(new Cluster5([]));
createRedisStore(new ValkeyCluster([]));
createRedisStore(new Redis({ sentinels: [{ host: "localhost" }], name: "main" }));

// node-redis 6.
createRedisStore(redis6.createClient());
createRedisStore(redis6.createClient({ url: "redis://localhost", RESP: 2 }), { ttl: 60_000 });
createRedisStore(await redis6.createClient().connect());
createRedisStore(redis6.createCluster({ rootNodes: [] }));
createRedisStore(redis6.createSentinel({ name: "main", sentinelRootNodes: [] }));
createRedisStore(redis6.createClientPool());
createRedisStore(redis6.createClient().withTypeMapping({ [redis6.RESP_TYPES.BLOB_STRING]: Buffer }));

// node-redis 5.
createRedisStore(redis5.createClient());
createRedisStore(redis5.createClient({ url: "redis://localhost", RESP: 3 }));
createRedisStore(await redis5.createClient().connect());
createRedisStore(redis5.createCluster({ rootNodes: [] }));
createRedisStore(redis5.createSentinel({ name: "main", sentinelRootNodes: [] }));
createRedisStore(redis5.createClientPool());

// node-redis 4.
createRedisStore(redis4.createClient());
createRedisStore(redis4.createClient({ legacyMode: true }));
createRedisStore(await redis4.createClient().connect());
createRedisStore(redis4.createCluster({ rootNodes: [] }));

// Named types, as a function that is given its client has them.
export const over = (
  client:
    | redis6.RedisClientType
    | redis5.RedisClientType
    | redis4.RedisClientType
    | Redis
    | Redis5
    | Upstash
    | VercelKV,
): RedisStore => createRedisStore(client);
export const overCluster = (client: redis6.RedisClusterType | redis5.RedisClusterType | redis4.RedisClusterType) =>
  createRedisStore(client);

// Upstash and Vercel KV.
createRedisStore(new Upstash({ url: "https://example.com", token: "token" }));
createRedisStore(new Upstash({ url: "https://example.com", token: "token", automaticDeserialization: false }));
createRedisStore(Upstash.fromEnv());
createRedisStore(createKv({ url: "https://example.com", token: "token" }));
createRedisStore(kv);

// valkey-glide.
declare const glide: GlideClient;
declare const glideCluster: GlideClusterClient;
createRedisStore(glide);
createRedisStore(glideCluster, { connection: "client" });

// A wrapper passes on what it gets: `Parameters` takes the last signature, which has to be the one with arguments.
const wrapped = (...args: Parameters<typeof createRedisStore>) => createRedisStore(...args);
wrapped("redis://localhost", { ttl: 60_000 });

// Whatever the environment says.
createRedisStore();
createRedisStoreFromEnv();
createRedisStoreFromEnv({ ttl: 60_000 });
createRedisStoreFromEnv(null);
// @ts-expect-error a variable that may not be set
createRedisStore(process.env.REDIS_URL);
// @ts-expect-error nothing before options
createRedisStore(undefined, { ttl: 60_000 });

const input: RedisInput = redis6.createClient();
export const worker: WorkerStore = createRedisStore(input);

// @ts-expect-error a transaction collects commands, it does not answer them
createRedisStore(redis6.createClient().multi());
// @ts-expect-error so does one of version 4
createRedisStore(redis4.createClient().multi());
// @ts-expect-error a pipeline of Upstash
createRedisStore(Upstash.fromEnv().pipeline());
// @ts-expect-error a transaction of Upstash
createRedisStore(kv.multi());
// @ts-expect-error callbacks answer nobody
createRedisStore(redis5.createClient().legacy());
// @ts-expect-error the promise of a connected client
createRedisStore(redis6.createClient().connect());
// @ts-expect-error the package instead of a client
createRedisStore(redis6);
// @ts-expect-error the class instead of an instance
createRedisStore(Upstash);
