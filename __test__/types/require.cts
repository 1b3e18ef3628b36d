// The package required from a CommonJS module.
import redis = require("@idioteque/redis");
import Redis = require("ioredis");

const store: redis.RedisStore = redis.createRedisStore(new Redis.default(), { ttl: 60_000 });
const workerStore: redis.WorkerStore = store;
const isStoreError = (error: unknown): error is redis.RedisStoreError => error instanceof redis.RedisStoreError;

// @ts-expect-error there is no default export
redis.default;
// @ts-expect-error the module is not the function
redis("redis://localhost:6379");

export = { isStoreError, workerStore };
