// Mocks of 0.2 that go on: of what a worker asks for, of parts of a store, and wrappers that copy the rest.
import { createRedisStore, type RedisImpl, type RedisStore, type WorkerStore } from "@idioteque/redis";

export const worker: WorkerStore = {
  beginExecution: async () => {},
  isExecutionInProgress: async () => true,
  beginExecutionTask: async () => {},
  isExecutionTaskInProgress: async () => false,
  commitExecutionTaskResult: async () => {},
  getExecutionTaskResult: async () => undefined,
  getExecutionTaskResults: async () => ({}),
  disposeExecution: async () => {},
};

export const part: Pick<RedisStore, "beginExecution" | "close"> = {
  beginExecution: async () => {},
  close: async () => {},
};
export const some: Partial<RedisStore> = { beginExecution: async () => {}, backend: "redis" };
export const cast = { beginExecution: async () => {} } as unknown as RedisStore;

/** Answers as clients do. */
const client: RedisImpl = {
  get: async () => null,
  set: async () => "OK",
  hset: async () => 1,
  hget: async () => null,
  hdel: async () => 1,
  hgetall: async () => ({}),
  del: async () => 1,
  expire: async () => 1,
};
export const store: RedisStore = createRedisStore(client);
