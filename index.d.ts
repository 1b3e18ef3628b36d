/**
 * Types of the Redis store for idioteque workers.
 *
 * @module @idioteque/redis
 */

/**
 * What an idioteque worker asks of its store. A {@link RedisStore} has all of it.
 *
 * Ids are non-empty strings. Values are whatever has a JSON form.
 *
 * @see {@link RedisStore}, which says of each method what it rejects with
 *
 * @example
 * ```ts
 * import type { WorkerStore } from "@idioteque/redis";
 *
 * // A mock is best typed so: `RedisStore` gets members, this stays as it is.
 * const store: Pick<WorkerStore, "isExecutionInProgress"> = { isExecutionInProgress: async () => true };
 * ```
 */
export interface WorkerStore {
  /** Records that an execution has begun. */
  beginExecution(executionId: string): Promise<void>;
  /** Whether an execution has begun and has been neither disposed of nor expired. */
  isExecutionInProgress(executionId: string): Promise<boolean>;
  /** Records that a task has been dispatched: it is in progress. */
  beginExecutionTask(executionId: string, taskId: string): Promise<void>;
  /** Whether a task has been dispatched and has no result yet. */
  isExecutionTaskInProgress(executionId: string, taskId: string): Promise<boolean>;
  /** Stores the result of a task, which is then no longer in progress. */
  commitExecutionTaskResult(executionId: string, taskId: string, value: unknown): Promise<void>;
  /** The stored result of a task, or `undefined` when there is none. */
  getExecutionTaskResult(executionId: string, taskId: string): Promise<unknown>;
  /** All stored results of an execution by task id; empty when there are none. */
  getExecutionTaskResults?(executionId: string): Promise<Record<string, unknown>>;
  /** Deletes everything that is stored for an execution. */
  disposeExecution(executionId: string): Promise<void>;
}

/**
 * A store that keeps executions in Redis. A plain object of functions: it can be destructured, spread and spied on.
 *
 * Every method rejects with a {@link RedisStoreError} when it fails, by `commandTimeout` at the latest, and with a
 * `TypeError` (`code` `ERR_INVALID_ARG_TYPE` or `ERR_INVALID_ARG_VALUE`) when an id is not a non-empty string.
 *
 * @see {@link createRedisStore}
 *
 * @example
 * ```ts
 * import { createRedisStore } from "@idioteque/redis";
 *
 * const store = createRedisStore("redis://localhost:6379");
 * await store.beginExecution("order-1042");
 * await store.commitExecutionTaskResult("order-1042", "charge-card", { charged: 29250 });
 * await store.disposeExecution("order-1042");
 * await store.close();
 * ```
 */
export interface RedisStore extends RedisStoreDisposal {
  /**
   * Records that an execution has begun: sets `<executionId>` to `true`.
   *
   * @throws {@link RedisStoreError} the call failed; {@link RedisStoreErrorCode} has the reasons
   *
   * @example
   * ```ts
   * await store.beginExecution("order-1042");
   * ```
   */
  beginExecution: (executionId: string) => Promise<void>;
  /**
   * Whether an execution has begun and has been neither disposed of nor expired.
   *
   * @throws {@link RedisStoreError} the call failed; {@link RedisStoreErrorCode} has the reasons
   *
   * @example
   * ```ts
   * const isInProgress = await store.isExecutionInProgress("order-1042");
   * ```
   */
  isExecutionInProgress: (executionId: string) => Promise<boolean>;
  /**
   * Records that a task has been dispatched: sets its in-progress mark, in the hash `<executionId>-transactions`. With the option
   * `claim`, rejects with the error of that if somebody else has.
   *
   * @throws {@link RedisStoreError} the call failed; {@link RedisStoreErrorCode} has the reasons
   *
   * @example
   * ```ts
   * await store.beginExecutionTask("order-1042", "charge-card");
   * ```
   */
  beginExecutionTask: (executionId: string, taskId: string) => Promise<void>;
  /**
   * Whether a task has its in-progress mark: it has been dispatched and has no result yet.
   *
   * @throws {@link RedisStoreError} the call failed; {@link RedisStoreErrorCode} has the reasons
   *
   * @example
   * ```ts
   * const isDispatched = await store.isExecutionTaskInProgress("order-1042", "charge-card");
   * ```
   */
  isExecutionTaskInProgress: (executionId: string, taskId: string) => Promise<boolean>;
  /**
   * Stores the result of a task in the hash `<executionId>-results`, and removes its in-progress mark.
   *
   * The value is turned into JSON first: one that has no JSON form (a BigInt, a cycle, a function, a symbol,
   * `undefined`, a `toJSON` that throws) rejects with `ERR_REDIS_SERIALIZE`, and the task stays in progress.
   *
   * @throws {@link RedisStoreError} the call failed; {@link RedisStoreErrorCode} has the reasons
   *
   * @example
   * ```ts
   * await store.commitExecutionTaskResult("order-1042", "charge-card", { charged: 29250 });
   * ```
   */
  commitExecutionTaskResult: (executionId: string, taskId: string, value: unknown) => Promise<void>;
  /**
   * The stored result of a task, or `undefined` when there is none.
   *
   * @throws {@link RedisStoreError} the call failed, with `ERR_REDIS_PARSE` when what is stored is not JSON
   *
   * @example
   * ```ts
   * const result = await store.getExecutionTaskResult("order-1042", "charge-card");
   * ```
   */
  getExecutionTaskResult: (executionId: string, taskId: string) => Promise<unknown>;
  /**
   * All stored results of an execution by task id, in an object without prototype; empty when there are none.
   *
   * @throws {@link RedisStoreError} the call failed, with `ERR_REDIS_PARSE` when one of them is not JSON; its `taskId` says which
   *
   * @example
   * ```ts
   * for (const [taskId, result] of Object.entries(await store.getExecutionTaskResults("order-1042"))) console.log(taskId, result);
   * ```
   */
  getExecutionTaskResults: (executionId: string) => Promise<Record<string, unknown>>;
  /**
   * Deletes the three keys of an execution.
   *
   * @throws {@link RedisStoreError} the call failed; {@link RedisStoreErrorCode} has the reasons
   *
   * @example
   * ```ts
   * await store.disposeExecution("order-1042");
   * ```
   */
  disposeExecution: (executionId: string) => Promise<void>;
  /**
   * Renews the expiry of the three keys of an execution, as progress on a task does with `slidingTtl`: for a task that takes longer
   * than `ttl`, which calls it now and then. With `inProgressTtl` and a task, the time of that task's in-progress mark begins anew too.
   *
   * Resolves with whether the execution is there; without `ttl`, that is all it finds out.
   *
   * @throws {@link RedisStoreError} the call failed; {@link RedisStoreErrorCode} has the reasons
   *
   * @example
   * ```ts
   * const renewing = setInterval(() => store.touch("order-1042", "charge-card").catch(console.error), 60_000);
   * ```
   */
  touch: (executionId: string, taskId?: string) => Promise<boolean>;
  /**
   * Asks the server whether it is there, with one `PING` over the very connection that calls use (in a cluster, over those to all
   * servers; over HTTP, with one request; over a client's own methods, with its `ping`, else with `GET` of a key that is never
   * set). For readiness probes. Connects when there was no call yet, and is not a call: it is neither counted as one nor traced.
   *
   * Resolves with the milliseconds that the server took.
   *
   * @throws {@link RedisStoreError} what calls would have been given: at once where it is known that there is no connection, and
   *   `ERR_REDIS_TIMEOUT` when there is no answer in time
   *
   * @example
   * ```ts
   * const milliseconds = await store.ping({ timeout: 500 });
   * ```
   */
  ping: (options?: RedisPingOptions) => Promise<number>;
  /**
   * What the store has counted, and what is known of its connection. Sends nothing, and does not throw.
   *
   * @example
   * ```ts
   * const { status, pending, errors } = store.stats();
   * ```
   */
  stats: () => RedisStoreStats;
  /**
   * Whether calls can be sent, see {@link RedisStoreStatus}. Not enumerable, because a copy of the store would keep the status of the
   * moment; there, `stats().status` has it.
   */
  readonly status: RedisStoreStatus;
  /**
   * Lets the calls in flight finish, at most until their deadlines, then closes the store's own connection. Calls made afterwards
   * reject with `ERR_REDIS_CLOSED`. A client that the caller passed in stays open. Closing twice is fine. Does not reject.
   *
   * @example
   * ```ts
   * await store.close();
   * ```
   */
  close: () => Promise<void>;
  /**
   * How the commands travel: over a connection of the store's own to one server (`"redis"`), through Sentinel, to a
   * cluster, over Upstash's HTTP API (`"upstash"`), be it in requests of the store's own or of the client that was passed in,
   * or through that client's methods (`"client"`). It becomes `"client"` when a connection of the store's own turns out to be
   * impossible, as with a server whose TLS only OpenSSL can do.
   */
  readonly backend: "redis" | "redis-sentinel" | "redis-cluster" | "upstash" | "client";
}

/**
 * Whether calls can be sent.
 *
 * - `"idle"`: there was no call yet, so no connection is made
 * - `"connecting"`: no server has been reached yet
 * - `"ready"`: they can
 * - `"reconnecting"`: they could; the connection is being made again, whether or not there are calls. In a cluster, that to any of
 *   the servers
 * - `"closed"`: the store was closed
 *
 * Over a client's own methods, what the client says, in these words; where it says nothing, what its last answers tell.
 *
 * @see {@link RedisStore.status}
 */
export type RedisStoreStatus = "idle" | "connecting" | "ready" | "reconnecting" | "closed";

/**
 * Options of {@link RedisStore.ping}.
 *
 * @see {@link RedisStore.ping}
 */
export interface RedisPingOptions {
  /** Milliseconds until the ping is given up. @default 1000 */
  timeout?: number | undefined;
}

/**
 * Statistics of a store and its connection. What is said of the connection is that of all stores that share it: those with equal
 * settings. Over a client's own methods there is only what the client tells.
 *
 * @see {@link RedisStore.stats}
 */
export interface RedisStoreStats {
  /** Whether calls can be sent. */
  status: RedisStoreStatus;
  /** How the commands travel. */
  backend: RedisStore["backend"];
  /** Where to connect, as it was configured, without secrets: one address, or several with commas between them. */
  address?: string;
  /** Who is connected, as the socket says; in a cluster a list. Absent while there is no connection. */
  peer?: string | string[];
  /** The server's version, once it is known. */
  serverVersion?: string;
  /** Connections that were made, also those that ended before they were of use. */
  connects?: number;
  /** How often the connection was lost and made again. */
  reconnects?: number;
  /** Why there was no connection, when that was so last. */
  lastError?: RedisStoreStatsError;
  /** Calls of this store in flight. */
  pending: number;
  /** Bytes of their ids and results; over a client's own methods, characters. */
  pendingBytes: number;
  /** Calls of this store. */
  calls: number;
  /** Calls of this store that rejected. One that comes second to a claim is no failure. */
  errors: number;
  /** Calls that were sent again: after a refusal that passes, or over another connection. */
  retries?: number;
  /**
   * Calls that were sent, again included; over HTTP requests; over a client's own methods its commands; in a cluster on keys of several
   * slots their parts. No pings.
   */
  roundTrips: number;
  /** Calls of this store that were answered by what another call had brought. */
  readAheadHits: number;
  /** Bytes sent; before they were encrypted, and over HTTP those of bodies. */
  bytesWritten?: number;
  /** Bytes received, likewise. */
  bytesRead?: number;
}

/**
 * An error in {@link RedisStoreStats}.
 *
 * @see {@link RedisStoreStats.lastError}
 */
export interface RedisStoreStatsError {
  /** The code of the {@link RedisStoreError} that calls would have been given. */
  code: RedisStoreErrorCode;
  /** Its message. */
  message: string;
  /** The server's own error code. */
  reply?: string;
  /** What the layer below said. */
  cause?: string;
  /** When, in milliseconds since 1970, as `Date.now()` counts. */
  at: number;
}

/**
 * What is published on the channels of the tracing channel `idioteque-redis:call` (`node:diagnostics_channel`):
 * `tracing:idioteque-redis:call:start`, `…:end`, `…:asyncStart`, `…:asyncEnd`, `…:error`. One object for each call. Never has a result.
 *
 * @see {@link RedisStore}, whose calls these are
 *
 * @example
 * ```ts
 * import { channel } from "node:diagnostics_channel";
 *
 * const events = channel("tracing:idioteque-redis:call:asyncEnd");
 * events.subscribe((event) => console.log(event));
 * ```
 */
export interface RedisCallContext {
  /** The method of the store. */
  call: keyof WorkerStore | "touch";
  /**
   * The command it sends, such as `HGET`. Several commands are a transaction, `MULTI`; over a client's own methods, and in a cluster on
   * keys of several slots, they are sent side by side, `PIPELINE`. If they are all the same, that follows, as in `PIPELINE DEL`.
   */
  command: string;
  /** How many commands that is, without what a script does and without what is read ahead. */
  commands: number;
  /** The execution the call is about, as it was passed. */
  executionId: string;
  /** The task the call is about. */
  taskId: string | undefined;
  /** How the commands travel. */
  backend: RedisStore["backend"];
  /**
   * The host to connect to, or the path of a socket, as it was configured. Several servers have commas between them, and their ports
   * if these differ: `a,b`, or `a:7000,b:7001`; sentinels the name of the primary behind them: `a:26379,b:26379/mymaster`.
   */
  serverAddress: string | undefined;
  /** Its port, or that of all servers; `undefined` where `serverAddress` has ports. */
  serverPort: number | undefined;
  /** The database; over a client of node-redis the one that was configured. */
  database: number | undefined;
  /** The name of the connection, as it was configured. */
  clientName: string | undefined;
  /** By `asyncEnd`: whether the call was answered by what another call had brought. */
  fromReadAhead?: boolean | undefined;
  /** By `asyncEnd`: how often it was sent. */
  attempts?: number | undefined;
  /** By `asyncEnd`: milliseconds until it was sent first. */
  queuedMs?: number | undefined;
  /** By `asyncEnd`: the IP address of the server that answered, if it was one. */
  peerAddress?: string | undefined;
  /** By `asyncEnd`: its port. */
  peerPort?: number | undefined;
  /** By `error` and `asyncEnd`: what the call rejected with. */
  error?: unknown;
}

/**
 * What is published on `idioteque-redis:ready`: calls can be sent.
 *
 * @see {@link RedisDisconnectedEvent}
 *
 * @example
 * ```ts
 * import { channel } from "node:diagnostics_channel";
 *
 * const events = channel("idioteque-redis:ready");
 * events.subscribe((event) => console.log(event));
 * ```
 */
export interface RedisReadyEvent {
  /** Where to connect, as it was configured. */
  address: string;
  /** Who is connected. */
  peer: string;
  /** The server's version, if it is known already. */
  serverVersion?: string;
  /** The configuration epoch of the sentinels that named the server. */
  epoch?: number;
  /** Milliseconds since the last connection was lost, or the store began to connect. */
  ms: number;
}

/**
 * What is published on `idioteque-redis:disconnected`: no calls can be sent, and the connection is made again.
 *
 * @see {@link RedisReadyEvent}
 *
 * @example
 * ```ts
 * import { channel } from "node:diagnostics_channel";
 *
 * const events = channel("idioteque-redis:disconnected");
 * events.subscribe((event) => console.log(event));
 * ```
 */
export interface RedisDisconnectedEvent {
  /** Where to connect, as it was configured. */
  address: string;
  /** Who was connected. */
  peer: string;
  /** Why. */
  error: Omit<RedisStoreStatsError, "at">;
  /** Calls without an answer. */
  pending: number;
}

/**
 * What is published on `idioteque-redis:closed`: a connection was closed in order, because its last store was, or because its server is
 * no longer part of the cluster.
 *
 * @see {@link RedisStore.close}
 *
 * @example
 * ```ts
 * import { channel } from "node:diagnostics_channel";
 *
 * const events = channel("idioteque-redis:closed");
 * events.subscribe((event) => console.log(event));
 * ```
 */
export interface RedisClosedEvent {
  /** Where to connect, as it was configured. */
  address: string;
  /** Who was connected. */
  peer: string;
}

/**
 * What is published on `idioteque-redis:retry`: something is tried again after a pause.
 *
 * @see {@link RedisStoreStats.retries}
 *
 * @example
 * ```ts
 * import { channel } from "node:diagnostics_channel";
 *
 * const events = channel("idioteque-redis:retry");
 * events.subscribe((event) => console.log(event));
 * ```
 */
export interface RedisRetryEvent {
  /** Where to connect, as it was configured. */
  address: string;
  /** What the server refused for now, or why there is no connection. */
  error: Omit<RedisStoreStatsError, "at">;
  /** Calls without an answer. */
  pending: number;
  /** The pause, in milliseconds. */
  pauseMs: number;
}

/**
 * What is published on `idioteque-redis:topology`: calls go to other servers from now on.
 *
 * @see {@link RedisStoreStats.peer}
 *
 * @example
 * ```ts
 * import { channel } from "node:diagnostics_channel";
 *
 * const events = channel("idioteque-redis:topology");
 * events.subscribe((event) => console.log(event));
 * ```
 */
export interface RedisTopologyEvent {
  /** Where to connect, as it was configured. */
  address: string;
  /** The servers that calls went to. */
  from: string[];
  /** The servers that they go to. */
  to: string[];
  /** The slot of a cluster that this is about; without it, all of them. */
  slot?: number;
  /** Where that is known from: `"sentinel"`, the map of a `"cluster"`, or a server's `"MOVED"`. */
  toldBy: "sentinel" | "cluster" | "MOVED";
}

/**
 * What is published on `idioteque-redis:warning`: what the process is warned of, too.
 *
 * @see {@link RedisStoreOptions.warnings}
 *
 * @example
 * ```ts
 * import { channel } from "node:diagnostics_channel";
 *
 * const events = channel("idioteque-redis:warning");
 * events.subscribe((event) => console.log(event));
 * ```
 */
export interface RedisWarningEvent {
  /** Such as `IDIOTEQUE_REDIS_PASSWORD`. */
  code: string;
  /** What is likely wrong, and what to do. */
  message: string;
}

/**
 * The symbol of `await using`, if the compiler's `lib` (or `@types/node`) has it; else no key at all.
 *
 * @hidden
 */
type AsyncDisposeKey = SymbolConstructor extends { readonly asyncDispose: infer Key }
  ? Key extends symbol
    ? Key
    : never
  : never;

/**
 * `await using store = createRedisStore(…)` closes the store at the end of the block, where the runtime has it.
 *
 * @see {@link RedisStore.close}
 *
 * @example
 * ```ts
 * await using store = createRedisStore("redis://localhost:6379");
 * ```
 */
export type RedisStoreDisposal = {
  [Key in AsyncDisposeKey]: () => Promise<void>;
};

/**
 * Options of {@link createRedisStore}.
 *
 * @see {@link createRedisStore}
 *
 * @example
 * ```ts
 * const store = createRedisStore("redis://localhost:6379", { ttl: 24 * 60 * 60 * 1000, slidingTtl: true });
 * ```
 */
export interface RedisStoreOptions {
  /**
   * Milliseconds after which the keys of an execution expire, counted from the last write to each of them.
   * `0`, `null` and `undefined`: they never do. Over a client's own methods with the names of ioredis, rounded up to whole seconds.
   *
   * Anything else that is not a positive number, `NaN` and text included, throws a `TypeError` or `RangeError`.
   *
   * @default undefined
   */
  ttl?: number | null | undefined;
  /**
   * With a `ttl`: whether progress on any task extends all three keys of its execution, so that an execution which gets on
   * at least once in each `ttl` does not expire half-way.
   *
   * @default false
   */
  slidingTtl?: boolean | null | undefined;
  /**
   * Milliseconds after which the mark of a task in progress expires by itself, so that a task whose worker has died, or whose
   * message was lost, is dispatched again when a message asks for it. Longer than the longest task: one that is still running then
   * may be dispatched a second time, unless it calls {@link RedisStore.touch}. `0`, `null` and `undefined`: marks stay.
   *
   * Needs a connection of the store's own, and a server on which fields of a hash can expire (Redis 7.4, Valkey 9); on others
   * `beginExecutionTask` rejects with `ERR_REDIS_REPLY`. What else is not a positive number throws, as with `ttl`.
   *
   * @default undefined
   */
  inProgressTtl?: number | null | undefined;
  /**
   * Milliseconds that is kept what a commit or a task that begins writes although its execution is gone: disposed of, or expired.
   * Such as a message that a queue delivers late leaves behind, which stays for ever else, or for `ttl`. `beginExecution` makes what
   * it finds under its id part of the execution. `0`, `null` and `undefined`: it is kept as anything else.
   *
   * Needs a connection of the store's own, and `EVAL` on the server. What else is not a positive number throws, as with `ttl`.
   *
   * @default undefined
   */
  orphanTtl?: number | null | undefined;
  /**
   * Lets a task be handed out once, even when the same message reaches two processes at once: makes the error with which
   * `beginExecutionTask` rejects for whoever comes second, because the task is in progress or has a result, or its execution is not in
   * progress. The worker takes its own `WorkerInterrupt` for "in progress already".
   *
   * Holds only if all workers claim, and not across a failover in which the server lost the mark. A mark is a UUID then instead of
   * `true`. That of a claim which was given up is taken back where that is possible; `inProgressTtl` heals the rest. Needs a connection
   * of the store's own, and `EVAL` on the server.
   *
   * @default undefined
   */
  claim?: ((executionId: string, taskId: string) => Error) | null | undefined;
  /**
   * Put before every key. On a native connection it replaces the prefix of the client or configuration that was passed;
   * a client whose own methods are used goes on putting its own prefix before this one.
   *
   * @default the `keyPrefix` of the client or configuration that was passed, else none
   */
  keyPrefix?: string | null | undefined;
  /**
   * Whether the execution id stands in braces in every key (`{id}`, `{id}-results`), so that in a Redis cluster all
   * keys of an execution live in one slot. Workers that share executions must agree on it.
   *
   * @default false
   */
  hashTags?: boolean | null | undefined;
  /**
   * `"native"`: a connection of the store's own, with the settings of what was passed; a `TypeError` says why where
   * that is impossible. `"client"`: always the methods of the client that was passed. `"auto"`: native where possible.
   *
   * @default "auto"
   */
  connection?: "auto" | "native" | "client" | null | undefined;
  /**
   * Whether calls on a native connection carry the small reads that a worker asks next. What they bring answers questions
   * about the same execution for as long as only microtasks have run since, and for 0.5 to 1 ms at most; any write to it ends that too.
   * A worker's workflow then takes a third to a half of the round trips. All that one call brings is what Redis held at one moment, and no answer is older than
   * one about the execution that any store of this thread was given before. It stops by itself for a caller that does not ask.
   *
   * `false`: each call sends its own commands and nothing else. Over a client's own methods that is always so.
   *
   * @default true
   */
  readAhead?: boolean | null | undefined;
  /**
   * Milliseconds one store call may take, reconnecting and retrying included, before it rejects: with
   * `ERR_REDIS_TIMEOUT`, or with the code of what kept it waiting, `ERR_REDIS_CONNECTION` or `ERR_REDIS_REPLY`.
   *
   * @default the client's own command timeout, else 10000
   */
  commandTimeout?: number | null | undefined;
  /**
   * Milliseconds one attempt to connect may take.
   *
   * @default the client's own connect timeout, else 5000
   */
  connectTimeout?: number | null | undefined;
  /**
   * Calls that may be in flight in this store at once; more are refused at once with `ERR_REDIS_OVERLOADED`. So are calls
   * whose ids and results would come to more than 256 MiB together with those in flight (with `connection: "client"`: 2^28
   * characters); one alone is never too large.
   *
   * @default 100000
   */
  maxPending?: number | null | undefined;

  /**
   * Whether the process is warned (`process.emitWarning`) of what works and is likely wrong, once for each server:
   *
   * - `IDIOTEQUE_REDIS_TTL`: a `ttl` below a minute on another machine, which looks like seconds
   * - `IDIOTEQUE_REDIS_REPLICA_READS`: the store reads from replicas, because it is told to use such a client
   * - `IDIOTEQUE_REDIS_CLIENT`: a native connection turned out to be impossible, and the client's methods carry the calls
   * - `IDIOTEQUE_REDIS_PASSWORD`: a password is given, and the server asks for none
   * - `IDIOTEQUE_REDIS_EVICTION`: the server has a memory limit and may evict executions
   * - `IDIOTEQUE_REDIS_PERSISTENCE`: the server keeps nothing on disk
   * - `IDIOTEQUE_REDIS_VERSION`: the server is older than what is tested
   * - `IDIOTEQUE_REDIS_NOT_ATOMIC`: the server has no transactions, so that a write and its expiry are two commands
   *
   * @default true
   */
  warnings?: boolean | null | undefined;
}

/**
 * The client that a store of the TypeScript package was made from, with that package's own declaration, so that code which
 * implements or calls it goes on compiling. {@link createRedisStore} takes less: see {@link RedisClientLike}.
 *
 * @see {@link RedisClientLike}, which asks for less
 */
export interface RedisImpl {
  /** `SET key value` */
  set(key: string, value: string): Promise<any>;
  /** `GET key` */
  get(key: string): Promise<unknown | null>;
  /** `HSET key field value`, with the field and its value as an object. */
  hset: (key: string, kv: { [field: string]: string }) => Promise<any>;
  /** `HGET key field` */
  hget: (key: string, field: string) => Promise<unknown | null>;
  /** `HDEL key field` */
  hdel: (key: string, field: string) => Promise<any>;
  /** `HGETALL key`. Some clients return `[key, value, key, value, …]`. */
  hgetall: (key: string) => Promise<Record<string, unknown> | string[] | null>;
  /** `DEL key` */
  del: (key: string) => Promise<any>;
  /** `EXPIRE key seconds` */
  expire: (key: string, seconds: number) => Promise<any>;
}

/**
 * What a client needs for a store: the Redis methods below, named and called as in ioredis. A {@link RedisImpl} has them, and so
 * have ioredis, iovalkey, Upstash and Vercel KV. Answers may be strings, Buffers or values that the client has parsed already.
 *
 * @see {@link RedisInput}
 *
 * @example
 * ```ts
 * import { Redis } from "ioredis";
 *
 * const store = createRedisStore(new Redis("redis://localhost:6379"));
 * ```
 */
export interface RedisClientLike {
  /** `GET key` */
  get(key: string): PromiseLike<unknown>;
  /** `SET key value` */
  set(key: string, value: string): PromiseLike<unknown>;
  /** `HSET key field value`, with the field and its value as an object. */
  hset(key: string, entries: Record<string, string>): PromiseLike<unknown>;
  /** `HGET key field` */
  hget(key: string, field: string): PromiseLike<unknown>;
  /** `HDEL key field` */
  hdel(key: string, field: string): PromiseLike<unknown>;
  /** `HGETALL key`: an object, a `Map` or a flat array of fields and values. */
  hgetall(key: string): PromiseLike<unknown>;
  /** `DEL key` */
  del(key: string): PromiseLike<unknown>;
  /** `EXPIRE key seconds` */
  expire(key: string, seconds: number): PromiseLike<unknown>;
}

/**
 * Any method, whatever it takes and gives: the store asks only for its name.
 *
 * @hidden
 */
type AnyMethod = (...args: never[]) => unknown;

/**
 * A client of node-redis 4, 5 or 6: of `createClient`, `createCluster`, `createClientPool` or `createSentinel`.
 *
 * @see {@link RedisInput}
 *
 * @example
 * ```ts
 * import { createClient } from "redis";
 *
 * const store = createRedisStore(createClient({ url: "redis://localhost:6379" }));
 * ```
 */
export interface NodeRedisClient extends NodeRedisMethods {
  /** Whether it has been connected; a transaction has no such thing. */
  readonly isOpen: boolean;
}

/**
 * The methods of a {@link NodeRedisClient} that the store calls, typed as the package types them.
 *
 * @see {@link NodeRedisClient}
 */
export type NodeRedisMethods = {
  [Name in "get" | "set" | "del" | "pExpire" | "hGet" | "hSet" | "hDel" | "hGetAll"]: AnyMethod;
};

/**
 * A client of valkey-glide: a `GlideClient` or a `GlideClusterClient`.
 *
 * @see {@link RedisInput}
 *
 * @example
 * ```ts
 * import { GlideClient } from "@valkey/valkey-glide";
 *
 * const store = createRedisStore(await GlideClient.createClient({ addresses: [{ host: "localhost" }] }));
 * ```
 */
export interface ValkeyGlideClient {
  /** `GET key` */
  get(key: string): PromiseLike<unknown>;
  /** `SET key value` */
  set(key: string, value: string): PromiseLike<unknown>;
  /** `HSET key field value` */
  hset(key: string, entries: { field: string; value: string }[]): PromiseLike<unknown>;
  /** `HGET key field` */
  hget(key: string, field: string): PromiseLike<unknown>;
  /** `HDEL key field [field …]` */
  hdel(key: string, fields: string[]): PromiseLike<unknown>;
  /** `HGETALL key` */
  hgetall(key: string): PromiseLike<unknown>;
  /** `DEL key [key …]` */
  del(keys: string[]): PromiseLike<unknown>;
  /** `PEXPIRE key milliseconds` */
  pexpire(key: string, milliseconds: number): PromiseLike<unknown>;
}

/**
 * Where and how to connect, with the names that `new Redis(…)` of ioredis uses. What ioredis has besides for its own
 * queues, retries and replies may be there too, and changes nothing.
 *
 * @see {@link NodeRedisConnectionOptions}, the other style
 *
 * @example
 * ```ts
 * const store = createRedisStore({ host: "localhost", port: 6379, db: 1 });
 * ```
 */
export interface IoredisConnectionOptions extends IoredisOwnOptions {
  /** Host name or IP address. @default "localhost" */
  host?: string | undefined;
  /** TCP port. @default 6379 */
  port?: number | undefined;
  /** Path of a Unix domain socket, instead of host and port. */
  path?: string | undefined;
  /** IP version to connect with: `4`, `6`, or `0` for either. @default 0 */
  family?: number | undefined;
  /** Encrypt the connection, with these settings or, with `true`, the defaults. @default plaintext */
  tls?: boolean | RedisTlsOptions | undefined;
  /** ACL user. @default the server's default user */
  username?: string | undefined;
  /** Password; none is sent without it. */
  password?: string | undefined;
  /** Database to select. @default 0 */
  db?: number | undefined;
  /** Put before every key. @default none */
  keyPrefix?: string | undefined;
  /** Name of the connection in the server's `CLIENT LIST`. */
  connectionName?: string | undefined;
  /** Milliseconds one attempt to connect may take; the store's own option goes first. */
  connectTimeout?: number | undefined;
  /** Milliseconds one store call may take; the store's own option goes first. */
  commandTimeout?: number | undefined;
  /** Belongs to the node-redis style: write `host` and `port`. */
  socket?: never;
  /** Belongs to the node-redis style: write `db`. */
  database?: never;
}

/**
 * Options of ioredis that mean nothing to a connection of the store's own.
 *
 * @see {@link IoredisConnectionOptions}
 */
export type IoredisOwnOptions = {
  [Name in
    | "autoPipeliningIgnoredCommands"
    | "autoResendUnfulfilledCommands"
    | "autoResubscribe"
    | "disableClientInfo"
    | "enableAutoPipelining"
    | "enableOfflineQueue"
    | "enableReadyCheck"
    | "keepAlive"
    | "lazyConnect"
    | "maxLoadingRetryTime"
    | "maxRetriesPerRequest"
    | "noDelay"
    | "offlineQueue"
    | "protocol"
    | "retryStrategy"
    | "showFriendlyErrorStack"
    | "socketTimeout"
    | "stringNumbers"]?: unknown;
};

/**
 * How a connection is encrypted, with the names that Node's `tls.connect` uses. The server is always verified.
 *
 * @see {@link IoredisConnectionOptions.tls}
 *
 * @example
 * ```ts
 * import { readFileSync } from "node:fs";
 *
 * const store = createRedisStore({ host: "redis.example.com", port: 6380, tls: { ca: readFileSync("ca.pem") } });
 * ```
 */
export interface RedisTlsOptions {
  /** PEM of the authorities to trust, in place of all others. @default Mozilla's, and those in `NODE_EXTRA_CA_CERTS` */
  ca?: string | Uint8Array | readonly (string | Uint8Array)[] | undefined;
  /** PEM of the client certificate and its chain. @default none */
  cert?: string | Uint8Array | readonly (string | Uint8Array)[] | undefined;
  /** PEM of the client certificate's private key, unencrypted; one, also in an array. */
  key?: string | Uint8Array | readonly (string | Uint8Array | object)[] | undefined;
  /** The name that the server's certificate has to be for, and that of SNI. @default the host */
  servername?: string | undefined;
  /** Whether an intermediate authority in `ca` is trusted without the root above it. @default false */
  allowPartialTrustChain?: boolean | undefined;
  /** The oldest version to offer. @default "TLSv1.2" */
  minVersion?: "TLSv1" | "TLSv1.1" | "TLSv1.2" | "TLSv1.3" | undefined;
  /** The newest version to offer: `"TLSv1.2"` or `"TLSv1.3"`. @default "TLSv1.3" */
  maxVersion?: "TLSv1" | "TLSv1.1" | "TLSv1.2" | "TLSv1.3" | undefined;
  /** Verify the server's certificate, which is done anyway; `false` throws a `TypeError`. */
  rejectUnauthorized?: boolean | undefined;
}

/**
 * Where and how to connect, with the names that `createClient(…)` of node-redis uses.
 *
 * @see {@link IoredisConnectionOptions}, the other style
 *
 * @example
 * ```ts
 * const store = createRedisStore({ socket: { host: "localhost", port: 6379 }, database: 1 });
 * ```
 */
export interface NodeRedisConnectionOptions {
  /** `redis://[[username][:password]@][host][:port][/database]`, or `rediss://` for TLS; the fields below go first. */
  url?: string | undefined;
  /** The server's address. */
  socket?: NodeRedisSocketOptions | undefined;
  /** ACL user. @default the server's default user */
  username?: string | undefined;
  /** Password; none is sent without it. */
  password?: string | undefined;
  /** Database to select. @default 0 */
  database?: number | undefined;
  /** Name of the connection in the server's `CLIENT LIST`. */
  name?: string | undefined;
  /** Put before every key. @default none */
  keyPrefix?: string | undefined;
  /** Of the options of commands, the one that the store has, too. */
  commandOptions?:
    | {
        /** Milliseconds one store call may take; the store's own option goes first. */
        timeout?: number | undefined;
      }
    | undefined;
  /** Belongs to the ioredis style: write `socket.host`. */
  host?: never;
  /** Belongs to the ioredis style: write `socket.port`. */
  port?: never;
  /** Belongs to the ioredis style: write `socket.path`. */
  path?: never;
  /** Belongs to the ioredis style: write `database`. */
  db?: never;
}

/**
 * The server's address in {@link NodeRedisConnectionOptions}; beside `tls: true`, the settings of TLS.
 *
 * @see {@link NodeRedisConnectionOptions.socket}
 */
export interface NodeRedisSocketOptions extends RedisTlsOptions {
  /** Host name or IP address. @default "localhost" */
  host?: string | undefined;
  /** TCP port. @default 6379 */
  port?: number | undefined;
  /** Path of a Unix domain socket, instead of host and port. */
  path?: string | undefined;
  /** IP version to connect with: `4`, `6`, or `0` for either. @default 0 */
  family?: number | undefined;
  /** Milliseconds one attempt to connect may take; the store's own option goes first. */
  connectTimeout?: number | undefined;
  /** Encrypt the connection. @default `true` with a `rediss://` URL, else `false` */
  tls?: boolean | undefined;
}

/**
 * The address of one of several servers.
 *
 * @see {@link IoredisSentinelOptions}, {@link NodeRedisClusterOptions}
 */
export interface RedisNode {
  /** Host name or IP address. @default "127.0.0.1" */
  host?: string | undefined;
  /** TCP port. @default 6379, of a sentinel 26379 */
  port?: number | undefined;
}

/**
 * A primary that sentinels watch, with the names that `new Redis({ sentinels, name })` of ioredis uses.
 *
 * @see {@link NodeRedisSentinelOptions}, the other style
 *
 * @example
 * ```ts
 * const store = createRedisStore({ sentinels: [{ host: "s1" }, { host: "s2" }, { host: "s3" }], name: "mymaster" });
 * ```
 */
export interface IoredisSentinelOptions extends Omit<IoredisConnectionOptions, "host" | "port" | "path"> {
  /** The sentinels. The others that they name are found by themselves, unless `updateSentinels` is false. */
  sentinels: RedisNode[];
  /** What the sentinels call the primary. */
  name: string;
  /** ACL user on the sentinels. */
  sentinelUsername?: string | undefined;
  /** Password on the sentinels. */
  sentinelPassword?: string | undefined;
  /** Encrypts the connections to the sentinels. @default plaintext */
  sentinelTLS?: boolean | RedisTlsOptions | undefined;
  /** Encrypts the connection to the primary with the settings in `tls`; neither counts without the other. @default false */
  enableTLSForSentinelMode?: boolean | undefined;
  /** Whether sentinels that those in `sentinels` name are asked, too. @default true */
  updateSentinels?: boolean | undefined;
  /** The store has to write. */
  role?: "master" | undefined;
}

/**
 * A primary that sentinels watch, with the names that `createSentinel(…)` of node-redis uses.
 *
 * @see {@link IoredisSentinelOptions}, the other style
 *
 * @example
 * ```ts
 * const store = createRedisStore({ sentinelRootNodes: [{ host: "s1", port: 26379 }], name: "mymaster" });
 * ```
 */
export interface NodeRedisSentinelOptions {
  /** The sentinels. The others that they name are found by themselves. */
  sentinelRootNodes: RedisNode[];
  /** What the sentinels call the primary. */
  name: string;
  /** How to log in to the primary, which database to select. */
  nodeClientOptions?: NodeRedisConnectionOptions | undefined;
  /** How to log in to the sentinels. */
  sentinelClientOptions?: NodeRedisConnectionOptions | undefined;
  /** Put before every key. @default none */
  keyPrefix?: string | undefined;
}

/**
 * A server of a cluster that is asked for the others: a URL, a port on this machine, or an address with a login.
 *
 * @see {@link NodeRedisClusterOptions}, the other style
 *
 * @example
 * ```ts
 * const store = createRedisStore([{ host: "c1", port: 6379 }, "redis://c2:6379"], { hashTags: true });
 * ```
 */
export type RedisClusterNode =
  | string
  | number
  | (RedisNode & {
      /** ACL user; the same for all servers. @default the server's default user */
      username?: string | undefined;
      /** Password; the same for all servers. */
      password?: string | undefined;
      /** Encrypts the connections; the same for all servers. */
      tls?: boolean | RedisTlsOptions | undefined;
    });

/**
 * A cluster, with the names that `createCluster(…)` of node-redis uses.
 *
 * @see {@link RedisClusterNode}, the other style
 *
 * @example
 * ```ts
 * const store = createRedisStore({ rootNodes: [{ url: "redis://c1:6379" }] }, { hashTags: true });
 * ```
 */
export interface NodeRedisClusterOptions {
  /** Some of its servers, which are asked for the others. */
  rootNodes: (RedisNode | Pick<NodeRedisConnectionOptions, "url" | "socket" | "username" | "password">)[];
  /** How to log in to all of them. */
  defaults?: NodeRedisConnectionOptions | undefined;
  /** Put before every key. @default none */
  keyPrefix?: string | undefined;
}

/**
 * An Upstash or Vercel KV database, reached over HTTP in requests of the store's own.
 *
 * @see {@link createRedisStoreFromEnv}
 *
 * @example
 * ```ts
 * const store = createRedisStore({ url: "https://eu1-example.upstash.io", token: "…" });
 * ```
 */
export interface UpstashConnectionOptions {
  /** The REST URL, such as `https://eu1-example.upstash.io`. `http://` is not encrypted. */
  url: string;
  /** The REST token. */
  token: string;
  /** Whether each request sees what those before it wrote, also where the database has replicas. @default true */
  readYourWrites?: boolean | undefined;
}

/**
 * A configuration object, in the style of ioredis, node-redis or Upstash; an array names servers of a cluster.
 *
 * @see {@link RedisInput}
 */
export type RedisConnectionOptions =
  | IoredisConnectionOptions
  | NodeRedisConnectionOptions
  | IoredisSentinelOptions
  | NodeRedisSentinelOptions
  | NodeRedisClusterOptions
  | UpstashConnectionOptions
  | RedisClusterNode[];

/**
 * A WHATWG `URL`, as far as the store needs it.
 *
 * @see {@link RedisInput}
 *
 * @example
 * ```ts
 * const store = createRedisStore(new URL("redis://localhost:6379"));
 * ```
 */
export interface RedisUrl {
  /** The whole URL. */
  readonly href: string;
  /** The scheme with its colon, such as `redis:`. */
  readonly protocol: string;
  /** The parsed query. */
  readonly searchParams: object;
}

/**
 * Where executions are kept: a URL, a configuration object, or a client. {@link RedisClientLike} is ioredis, iovalkey, Upstash,
 * Vercel KV, and any object with the same eight methods.
 *
 * @see {@link createRedisStore}
 */
export type RedisInput =
  | string
  | RedisUrl
  | RedisConnectionOptions
  | RedisClientLike
  | NodeRedisClient
  | ValkeyGlideClient;

/**
 * {@link createRedisStoreFromEnv} without options.
 *
 * @returns a store that a worker can use at once
 * @throws {TypeError} as {@link createRedisStoreFromEnv}
 *
 * @example
 * ```ts
 * const store = createRedisStore();
 * ```
 */
export declare function createRedisStore(): RedisStore;
/**
 * Creates a store that keeps executions in Redis. Synchronous: a connection is opened at the first call, not here.
 *
 * @see {@link createRedisStoreFromEnv}
 * @param redis where the executions are kept. A URL (`redis://[[username][:password]@][host][:port][/database]`, `rediss://` for TLS, or the
 *   path of a Unix domain socket), a configuration object, or a client whose settings can be adopted: the store opens a
 *   connection of its own. Any other client: the store calls its methods. An `undefined`, as a variable that is not set
 *   leaves it, throws; without any argument the environment is asked, as by {@link createRedisStoreFromEnv}
 * @param options see {@link RedisStoreOptions}
 * @returns a store that a worker can use at once
 * @throws {TypeError} `redis` or an option is of a kind that cannot be used, or an option is unknown
 * @throws {RangeError} an option is of the right type and out of range. The `code` of both is `ERR_REDIS_CONFIG`, and
 *   neither is a {@link RedisStoreError}
 *
 * @example
 * ```ts
 * import { createRedisStore } from "@idioteque/redis";
 *
 * const store = createRedisStore("redis://localhost:6379", { ttl: 24 * 60 * 60 * 1000 });
 * ```
 */
export declare function createRedisStore(redis: RedisInput, options?: RedisStoreOptions | null): RedisStore;

/**
 * Creates a store on the server that the environment names: the URL in the variable `REDIS_URL`, else the pair
 * `UPSTASH_REDIS_REST_URL` and `UPSTASH_REDIS_REST_TOKEN`, else `KV_REST_API_URL` and `KV_REST_API_TOKEN`.
 *
 * @see {@link createRedisStore}
 * @param options see {@link RedisStoreOptions}
 * @returns a store that a worker can use at once
 * @throws {TypeError} no such variable is set, or what it holds cannot be used; and what {@link createRedisStore} throws
 *
 * @example
 * ```ts
 * import { createRedisStoreFromEnv } from "@idioteque/redis";
 *
 * const store = createRedisStoreFromEnv({ ttl: 24 * 60 * 60 * 1000 });
 * ```
 */
export declare function createRedisStoreFromEnv(options?: RedisStoreOptions | null): RedisStore;

/**
 * Which kind of failure a {@link RedisStoreError} is.
 *
 * - `ERR_REDIS_CONFIG`: the settings cannot be used: those of a live client, which have changed. What
 *   {@link createRedisStore} throws has this code too, and is a `TypeError` or `RangeError`
 * - `ERR_REDIS_SERIALIZE`: the result has no JSON form; nothing was sent
 * - `ERR_REDIS_PARSE`: what Redis holds is not JSON
 * - `ERR_REDIS_CONNECTION`: the server could not be reached, or the client could not carry out the command
 * - `ERR_REDIS_TIMEOUT`: `commandTimeout` passed without an answer; the message says whether a write may have happened
 * - `ERR_REDIS_REPLY`: the server refused the command, or has no such database; `reply` has its own code. Or its answer
 *   cannot be used, being larger than 512 MB or (`reply` is `"UNEXPECTED"`) of the wrong kind
 * - `ERR_REDIS_OVERLOADED`: `maxPending` calls or 256 MiB were in flight already; nothing was sent
 * - `ERR_REDIS_CLOSED`: the store was closed; nothing was sent
 * - `ERR_REDIS_LOAD`: the addon cannot be loaded on this machine; the message says why and what to do. Thrown by
 *   `import` and `require`, and by `createRedisStore` in a bundle for a browser or an edge runtime
 *
 * @see {@link RedisStoreError.code}
 */
export type RedisStoreErrorCode =
  | "ERR_REDIS_CONFIG"
  | "ERR_REDIS_SERIALIZE"
  | "ERR_REDIS_PARSE"
  | "ERR_REDIS_CONNECTION"
  | "ERR_REDIS_TIMEOUT"
  | "ERR_REDIS_REPLY"
  | "ERR_REDIS_OVERLOADED"
  | "ERR_REDIS_CLOSED"
  | "ERR_REDIS_LOAD";

/**
 * What a store call rejects with when it fails.
 *
 * @see {@link RedisStoreErrorCode}
 *
 * @example
 * ```ts
 * import { RedisStoreError } from "@idioteque/redis";
 *
 * try {
 *   await store.beginExecution("order-1042");
 * } catch (error) {
 *   if (error instanceof RedisStoreError) console.error(error.code, error.reply);
 * }
 * ```
 */
export declare class RedisStoreError extends Error {
  /** Made by the store; `details` that are `undefined` do not become properties. */
  constructor(message: string, details: RedisStoreErrorDetails);
  /** Which kind of failure this is. */
  readonly code: RedisStoreErrorCode;
  /** The server's own error code, such as `WRONGTYPE`; with `ERR_REDIS_REPLY`. */
  readonly reply?: string;
  /** The execution the call was about. */
  readonly executionId?: string;
  /** The task the call was about; with `ERR_REDIS_PARSE`, the task whose result cannot be read. */
  readonly taskId?: string;
  /** The Redis key the call was about. */
  readonly key?: string;
  /** The error of the layer below, where there is one: the client's, the engine's or the system's. */
  readonly cause?: unknown;
}

/**
 * The properties of a {@link RedisStoreError}.
 *
 * @see {@link RedisStoreError}
 */
export interface RedisStoreErrorDetails {
  /** Which kind of failure this is. */
  code: RedisStoreErrorCode;
  /** The error of the layer below. */
  cause?: unknown;
  /** The server's own error code. */
  reply?: string | undefined;
  /** The execution the call was about. */
  executionId?: string | undefined;
  /** The task the call was about. */
  taskId?: string | undefined;
  /** The Redis key the call was about. */
  key?: string | undefined;
}
