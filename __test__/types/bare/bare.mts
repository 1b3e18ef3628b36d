// The declarations stand alone: without @types/node, without the DOM, without a lib that has disposal.
import { createRedisStore, type RedisStore } from "@idioteque/redis";

const store: RedisStore = createRedisStore("redis://localhost:6379", { ttl: 60_000 });
const inProgress: boolean = await store.isExecutionInProgress("execution");

// @ts-expect-error nothing here declares the symbol
store[Symbol.asyncDispose];

export { inProgress };
