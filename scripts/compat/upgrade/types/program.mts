// A program written for 0.2: its ways to make a store, its calls, its errors.
import {
  createRedisStore,
  type IoredisConnectionOptions,
  type NodeRedisClusterOptions,
  type NodeRedisConnectionOptions,
  type RedisConnectionOptions,
  type RedisInput,
  type RedisStore,
  RedisStoreError,
  type RedisStoreErrorCode,
  type RedisStoreOptions,
  type RedisTlsOptions,
  type UpstashConnectionOptions,
  type WorkerStore,
} from "@idioteque/redis";
import { Cluster, Redis } from "ioredis";
import { createClient } from "redis";

const tls: RedisTlsOptions = { ca: "PEM", servername: "name", minVersion: "TLSv1.2" };
const ioredis: IoredisConnectionOptions = { host: "localhost", port: 6379, db: 1, tls };
const nodeRedis: NodeRedisConnectionOptions = { url: "redis://localhost", socket: { connectTimeout: 1 } };
const cluster: NodeRedisClusterOptions = { rootNodes: [{ url: "redis://localhost" }] };
const upstash: UpstashConnectionOptions = { url: "https://example.com", token: "token" };
const configurations: RedisConnectionOptions[] = [ioredis, nodeRedis, cluster, upstash];
const inputs: RedisInput[] = ["redis://localhost", new URL("redis://localhost"), ...configurations];
inputs.push(new Redis(), new Cluster([]), createClient());

const options: RedisStoreOptions = {
  ttl: 1,
  slidingTtl: true,
  keyPrefix: "shop:",
  hashTags: false,
  connection: "auto",
  readAhead: true,
  commandTimeout: 1,
  connectTimeout: 1,
  maxPending: 1,
  warnings: false,
};
export const stores: RedisStore[] = inputs.map((input) => createRedisStore(input, options));
export const fromEnvironment: RedisStore = createRedisStore();
export const withPartOfThem: RedisStore = createRedisStore("redis://localhost", { ttl: undefined });

/** Wraps the function itself. */
export function makeStore(...args: Parameters<typeof createRedisStore>): ReturnType<typeof createRedisStore> {
  return createRedisStore(...args);
}
export const made: RedisStore = makeStore("redis://localhost", { ttl: 60_000 });
export type SecondArgument = Parameters<typeof createRedisStore>[1];
export const second: SecondArgument = { ttl: 60_000 };
export const typed: (redis: RedisInput, options?: RedisStoreOptions) => RedisStore = createRedisStore;
export const injected: (redis?: RedisInput) => RedisStore = createRedisStore;

export async function call(store: RedisStore): Promise<unknown[]> {
  const worker: WorkerStore = store;
  await worker.beginExecution("execution");
  await store.commitExecutionTaskResult("execution", "task", { any: ["thing"] });
  const results: Record<string, unknown> = await store.getExecutionTaskResults("execution");
  const backend: "redis" | "redis-sentinel" | "redis-cluster" | "upstash" | "client" = store.backend;
  const there: boolean = await store.isExecutionInProgress("execution");
  await store.close();
  await store[Symbol.asyncDispose]();
  return [results, backend, there];
}

/** Every code has an answer. */
export const ANSWERS: Record<RedisStoreErrorCode, string> = {
  ERR_REDIS_CONFIG: "settings",
  ERR_REDIS_SERIALIZE: "result",
  ERR_REDIS_PARSE: "stored",
  ERR_REDIS_CONNECTION: "network",
  ERR_REDIS_TIMEOUT: "slow",
  ERR_REDIS_REPLY: "server",
  ERR_REDIS_OVERLOADED: "busy",
  ERR_REDIS_CLOSED: "closed",
  ERR_REDIS_LOAD: "addon",
};

export function answerTo(error: unknown): string {
  if (!(error instanceof RedisStoreError)) return "another";
  const parts: (string | undefined)[] = [error.reply, error.executionId, error.taskId, error.key, error.message];
  return `${ANSWERS[error.code]} ${parts.join()} ${error.cause}`;
}
export const own = new RedisStoreError("text", { code: "ERR_REDIS_CLOSED", cause: undefined, key: "key" });
