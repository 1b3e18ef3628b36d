// What compiled with 0.2 and does not any more. The comment before such a line has words of the changelog.
import {
  createRedisStore,
  type RedisImpl,
  type RedisInput,
  type RedisStore,
  type RedisStoreOptions,
} from "@idioteque/redis";

declare const thenable: PromiseLike<unknown>;
declare const options: RedisStoreOptions;
declare const fromEnvironment: string | undefined;
declare const input: RedisInput | undefined;
declare const settings: { ttl: number | undefined; keyPrefix: string | undefined };

// Breaking: an `undefined` as first argument throws
export const first: RedisStore = createRedisStore(fromEnvironment);
// Breaking: an `undefined` as first argument throws
export const second: RedisStore = createRedisStore(input, { ttl: 1 });
// Breaking: an `undefined` as first argument throws
export const third: RedisStore = createRedisStore(undefined, { ttl: 1 });

const members = {
  beginExecution: async () => {},
  isExecutionInProgress: async () => true,
  beginExecutionTask: async () => {},
  isExecutionTaskInProgress: async () => false,
  commitExecutionTaskResult: async () => {},
  getExecutionTaskResult: async () => undefined,
  getExecutionTaskResults: async () => ({}),
  disposeExecution: async () => {},
  close: async () => {},
  backend: "redis" as const,
  [Symbol.asyncDispose]: async () => {},
};
// Breaking: a mock of `RedisStore` lacks `touch`, `ping`, `stats` and `status`
export const mock: RedisStore = members;
declare const real: RedisStore;
// Breaking: a mock of `RedisStore` lacks `touch`, `ping`, `stats` and `status`
export const copy: RedisStore = { ...members, ...{ close: real.close } };

// Breaking: code that reads a `RedisStoreOptions` finds `null` in its types
export const ttl: number | undefined = options.ttl;
// Breaking: code that reads a `RedisStoreOptions` finds `null` in its types
export const kept: typeof settings = { ttl: options.ttl, keyPrefix: "shop:" };

const loose = {
  get: () => thenable,
  set: () => thenable,
  hset: () => thenable,
  hget: () => thenable,
  hdel: () => thenable,
  hgetall: () => thenable,
  del: () => thenable,
  expire: () => thenable,
};
// Breaking: `RedisImpl` is the TypeScript package's type again
export const client: RedisImpl = loose;
export const accepted: RedisStore = createRedisStore(loose);
