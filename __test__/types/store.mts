// What the store gives: to a worker, to callers that catch its errors, to `await using`.
import { subscribe } from "node:diagnostics_channel";
import idioteque, {
  createRedisStore,
  type RedisReadyEvent,
  type RedisStore,
  RedisStoreError,
  type RedisStoreErrorCode,
  type RedisStoreStats,
  type WorkerStore,
} from "@idioteque/redis";

/** The worker's side of the contract, written down independently. */
interface Contract {
  beginExecution(executionId: string): Promise<void>;
  isExecutionInProgress(executionId: string): Promise<boolean>;
  beginExecutionTask(executionId: string, taskId: string): Promise<void>;
  isExecutionTaskInProgress(executionId: string, taskId: string): Promise<boolean>;
  commitExecutionTaskResult(executionId: string, taskId: string, value: unknown): Promise<void>;
  getExecutionTaskResult(executionId: string, taskId: string): Promise<unknown | undefined>;
  getExecutionTaskResults?(executionId: string): Promise<Record<string, unknown>>;
  disposeExecution(executionId: string): Promise<void>;
}

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
const holds = <Claim extends true>(claim?: Claim) => claim;

const store = createRedisStore("redis://localhost:6379");
holds<Equal<typeof store, RedisStore>>();

// A worker takes it, whole, wrapped or in parts.
const whole: Contract = store;
const named: WorkerStore = store;
const wrapped: Contract = { ...store, beginExecution: async (executionId) => store.beginExecution(executionId) };
const contractIsWorkerStore: WorkerStore = whole;
const workerStoreIsContract: Contract = named;
const { getExecutionTaskResults, close } = store;
const results: Record<string, unknown> = await getExecutionTaskResults("execution");
holds<Equal<ReturnType<typeof close>, Promise<void>>>();

holds<Equal<typeof store.backend, "redis" | "redis-sentinel" | "redis-cluster" | "upstash" | "client">>();
holds<Equal<Awaited<ReturnType<typeof store.getExecutionTaskResult>>, unknown>>();
holds<Equal<Awaited<ReturnType<typeof store.isExecutionTaskInProgress>>, boolean>>();
// With @types/node, or a lib that has it, the store can be disposed of.
holds<Equal<(typeof store)[typeof Symbol.asyncDispose], () => Promise<void>>>();

// What it shows of itself.
holds<Equal<typeof store.status, "idle" | "connecting" | "ready" | "reconnecting" | "closed">>();
holds<Equal<ReturnType<typeof store.ping>, Promise<number>>>();
await store.ping({ timeout: 100 });
const { status, peer, lastError, pending }: RedisStoreStats = store.stats();
const shown: (string | number | string[] | undefined)[] = [status, peer, lastError?.code, lastError?.at, pending];
subscribe("idioteque-redis:ready", (event) => shown.push((event as RedisReadyEvent).ms));
// @ts-expect-error a timeout is a number
await store.ping({ timeout: "100" });

// The errors.
const error: unknown = undefined;
if (error instanceof RedisStoreError) {
  holds<Equal<typeof error.code, RedisStoreErrorCode>>();
  const details: (string | undefined)[] = [error.reply, error.executionId, error.taskId, error.key, error.message];
  const cause: unknown = error.cause;
  if (error.code === "ERR_REDIS_PARSE") throw new AggregateError([cause], details.join());
  // @ts-expect-error no such code
  if (error.code === "ERR_REDIS_WRONG") throw error;
}
new RedisStoreError("message", { code: "ERR_REDIS_CLOSED", cause: error, key: "key" });
// @ts-expect-error an error without a code
new RedisStoreError("message", {});
// @ts-expect-error no such code
new RedisStoreError("message", { code: "ERR_OTHER" });

// The CommonJS exports as a whole are there too.
holds<Equal<typeof idioteque.createRedisStore, typeof createRedisStore>>();

// @ts-expect-error an execution has an id
store.beginExecution();
// @ts-expect-error ids are strings
store.beginExecution(1);
// @ts-expect-error a task has an id
store.beginExecutionTask("execution");
// @ts-expect-error a result is not optional
store.commitExecutionTaskResult("execution", "task");
// @ts-expect-error what is in use cannot be changed
store.backend = "client";
// @ts-expect-error nor can the status
store.status = "ready";
// @ts-expect-error no such method
store.deleteExecution("execution");
// @ts-expect-error a result is unknown until it is checked
const order: { id: string } = await store.getExecutionTaskResult("execution", "task");

export { contractIsWorkerStore, order, results, workerStoreIsContract, wrapped };
