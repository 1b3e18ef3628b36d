/**
 * Types of `@idioteque/redis/admin`: what a person on call asks of the servers that a store keeps its executions on.
 *
 * @module @idioteque/redis/admin
 */

import type { RedisInput, RedisStoreDisposal, RedisStoreError, RedisStoreOptions } from "./index.js";

export { RedisStoreError } from "./index.js";

/**
 * What all questions take.
 *
 * @see {@link RedisAdmin}
 *
 * @example
 * ```ts
 * const report = await admin.doctor({ signal: AbortSignal.timeout(10_000) });
 * ```
 */
export interface AdminCallOptions {
  /** Ends the question: its promise then rejects with the signal's reason. What a server has been sent may still be done. */
  signal?: AbortSignal | undefined;
}

/**
 * Which executions {@link RedisAdmin.executions} gives.
 *
 * @see {@link RedisAdmin.executions}
 */
export interface ExecutionFilter extends AdminCallOptions {
  /** Only those with tasks in progress to which nothing has happened for `olderThan`, and those whose age is unknown. */
  stuck?: boolean | undefined;
  /** Only results or in-progress marks without an execution. With `stuck`, both kinds. */
  orphans?: boolean | undefined;
  /** Also what merely looks like an execution: alone, or an orphan, and its id is not a UUID. @default false */
  all?: boolean | undefined;
  /** Milliseconds since something happened; what has an unknown age is given, too. @default 600000 with `stuck`, else 0 */
  olderThan?: number | undefined;
  /** A pattern of ids, as `KEYS` of Redis takes it. @default "*" */
  match?: string | undefined;
  /** No more than so many. @default all */
  limit?: number | undefined;
  /** Called now and then with about how many keys have been looked at since the last time. */
  onProgress?: ((keys: number) => void) | undefined;
}

/**
 * What is known of an execution without reading its results.
 *
 * @see {@link RedisAdmin.executions}
 */
export interface ExecutionSummary {
  /** Its id. */
  id: string;
  /** It has results or in-progress marks, and is itself gone. */
  orphan: boolean;
  /**
   * Its tasks in progress, no more than a hundred. Undefined for orphans before Redis 7.2, where reading them would make them
   * look used.
   */
  inProgress?: string[] | undefined;
  /** How many tasks are in progress; undefined as `inProgress`. */
  inProgressCount?: number | undefined;
  /** How many tasks have results; undefined as `inProgress`. */
  results?: number | undefined;
  /** Bytes of its keys in the server's memory, about; undefined where the server does not tell. */
  bytes?: number | undefined;
  /** Milliseconds since it was begun; known only with the option `ttl`. */
  startedMs?: number | undefined;
  /** Milliseconds since something happened to it: to the second, or exact with the option `ttl`. Undefined if unknown. */
  idleMs?: number | undefined;
  /** Milliseconds until the first of its keys expires; undefined if none does. */
  ttlMs?: number | undefined;
}

/**
 * Which of its tasks {@link RedisAdmin.execution} gives.
 *
 * @see {@link RedisAdmin.execution}
 */
export interface ExecutionOptions extends AdminCallOptions {
  /** Tasks to leave out before the first. @default 0 */
  offset?: number | undefined;
  /** No more than so many tasks. @default 1000 */
  limit?: number | undefined;
  /** Whether they come with their results. @default false */
  values?: boolean | undefined;
}

/**
 * One task of an execution.
 *
 * @see {@link ExecutionDetail.tasks}
 */
export interface TaskDetail {
  /** Its id: the path of step names joined by `:`. */
  id: string;
  /** `"done and in progress"`: dispatched again, or committed in two steps at this moment. */
  state: "in progress" | "done" | "done and in progress";
  /** Bytes of its result. */
  bytes?: number | undefined;
  /** Its result, as the JSON text that the store wrote; not read if it is larger than 32 MiB. */
  value?: string | undefined;
}

/**
 * One execution with its tasks.
 *
 * @see {@link RedisAdmin.execution}
 */
export interface ExecutionDetail extends ExecutionSummary {
  /** A page of its tasks, in the order of their paths. */
  tasks: TaskDetail[];
  /** How many tasks come before them. */
  offset: number;
  /** How many tasks there are; with a `limit` of 0, those that are done and in progress count twice. */
  total: number;
}

/**
 * What {@link RedisAdmin.releaseTask} takes.
 *
 * @see {@link RedisAdmin.releaseTask}
 */
export interface ReleaseOptions extends AdminCallOptions {
  /** Change nothing, only say whether the task is in progress. @default false */
  dryRun?: boolean | undefined;
}

/**
 * What {@link RedisAdmin.sweep} deletes.
 *
 * @see {@link RedisAdmin.sweep}
 */
export interface SweepFilter extends AdminCallOptions {
  /** Milliseconds since something happened. What is younger is left alone. */
  olderThan: number;
  /** Also executions with tasks in progress. @default false, orphans only */
  stuck?: boolean | undefined;
  /** Also what has an unknown age. @default false */
  anyAge?: boolean | undefined;
  /** Also orphans whose id is not a UUID. @default false */
  all?: boolean | undefined;
  /** A pattern of ids. @default "*" */
  match?: string | undefined;
  /** No more than so many. @default all */
  limit?: number | undefined;
  /** Delete nothing, only say what would be. @default false */
  dryRun?: boolean | undefined;
  /** Called with each one that was deleted, or would be. */
  onSwept?: ((summary: ExecutionSummary) => void) | undefined;
  /** Called now and then with about how many keys have been looked at since the last time. */
  onProgress?: ((keys: number) => void) | undefined;
}

/**
 * What a sweep came to.
 *
 * @see {@link RedisAdmin.sweep}
 */
export interface SweepReport {
  /** How many were deleted, or would be. */
  swept: number;
  /** How many bytes they had, about. */
  bytes: number;
  /** How many were left alone because their age is unknown. */
  unknownAge: number;
  /** How many were left alone because something had happened to them meanwhile. */
  changed: number;
}

/**
 * One thing that {@link RedisAdmin.doctor} looked at.
 *
 * @see {@link DoctorReport.checks}
 */
export interface DoctorCheck {
  /** What it is. */
  name: string;
  /** `"warning"` may become a problem; `"skipped"` could not be looked at. */
  status: "ok" | "warning" | "problem" | "skipped";
  /** What was found. */
  message: string;
  /** What to do. */
  advice?: string | undefined;
  /** The server it is about, where they differ. */
  server?: string | undefined;
}

/**
 * What {@link RedisAdmin.doctor} found.
 *
 * @see {@link RedisAdmin.doctor}
 */
export interface DoctorReport {
  /** There is no problem; there may be warnings. */
  ok: boolean;
  /** Everything that was looked at. */
  checks: DoctorCheck[];
}

/**
 * Questions about the executions on some servers. All of them reject with a {@link RedisStoreError} when a server cannot be
 * reached or refuses, and with a `TypeError` when an argument cannot be used.
 *
 * @see {@link createRedisAdmin}
 */
export interface RedisAdmin extends RedisStoreDisposal {
  /** What is in use: `"redis"`, `"redis-sentinel"`, `"redis-cluster"` or `"upstash"`. */
  readonly backend: string;
  /**
   * Walks through the keys of all servers, with pauses that leave a server at least four fifths of its time. Each execution
   * comes once; what is begun or ends meanwhile may come or not.
   *
   * @throws {@link RedisStoreError} a server cannot be reached, or refuses
   *
   * @example
   * ```ts
   * for await (const { id, inProgress } of admin.executions({ stuck: true })) console.log(id, inProgress);
   * ```
   */
  executions(filter?: ExecutionFilter): AsyncGenerator<ExecutionSummary, void, undefined>;
  /**
   * One execution, or undefined if there is nothing of it.
   *
   * @throws {@link RedisStoreError} a server cannot be reached, or refuses
   *
   * @example
   * ```ts
   * const detail = await admin.execution("order-1042", { values: true });
   * ```
   */
  execution(executionId: string, options?: ExecutionOptions): Promise<ExecutionDetail | undefined>;
  /**
   * Removes the in-progress mark of a task, so that it is dispatched again when its message is delivered again. Resolves
   * to whether it was in progress. With `dryRun`, the mark stays.
   *
   * @throws {@link RedisStoreError} a server cannot be reached, or refuses
   *
   * @example
   * ```ts
   * const wasInProgress = await admin.releaseTask("order-1042", "charge-card");
   * ```
   */
  releaseTask(executionId: string, taskId: string, options?: ReleaseOptions): Promise<boolean>;
  /**
   * Deletes an execution. Resolves to whether there was anything of it.
   *
   * @throws {@link RedisStoreError} a server cannot be reached, or refuses
   *
   * @example
   * ```ts
   * const wasThere = await admin.disposeExecution("order-1042");
   * ```
   */
  disposeExecution(executionId: string, options?: AdminCallOptions): Promise<boolean>;
  /**
   * Deletes orphans, and with `stuck` stuck executions. Each is looked at once more in the step that deletes it.
   *
   * @throws {@link RedisStoreError} a server cannot be reached, or refuses
   *
   * @example
   * ```ts
   * const { swept, bytes } = await admin.sweep({ olderThan: 7 * 24 * 60 * 60 * 1000 });
   * ```
   */
  sweep(filter: SweepFilter): Promise<SweepReport>;
  /**
   * Connects as a store would, and says what is good about the servers and what is not. Writes nothing.
   *
   * @throws {@link RedisStoreError} a server cannot be reached, or refuses
   *
   * @example
   * ```ts
   * const { ok, checks } = await admin.doctor();
   * ```
   */
  doctor(options?: AdminCallOptions): Promise<DoctorReport>;
  /**
   * Closes the connections. What is asked afterwards rejects. Does not reject itself.
   *
   * @example
   * ```ts
   * await admin.close();
   * ```
   */
  close(): Promise<void>;
}

/**
 * Makes an admin of the servers that a store with the same arguments uses. Synchronous: connections are opened by the first
 * question.
 *
 * @see {@link createRedisAdminFromEnv}
 * @param redis as for `createRedisStore`; of clients those whose settings can be adopted
 * @param options as for `createRedisStore`; of them `keyPrefix`, `hashTags`, `ttl`, `connectTimeout` and `commandTimeout` matter
 * @returns an admin, to be closed when it is not needed any more
 * @throws {TypeError} an argument cannot be used, or the client can only be called through its own methods
 *
 * @example
 * ```ts
 * import { createRedisAdmin } from "@idioteque/redis/admin";
 *
 * const admin = createRedisAdmin("redis://localhost:6379");
 * for await (const { id, inProgress } of admin.executions({ stuck: true })) console.log(id, inProgress);
 * await admin.close();
 * ```
 */
export declare function createRedisAdmin(redis?: RedisInput, options?: RedisStoreOptions): RedisAdmin;

/**
 * The same, for the servers that the environment names: `REDIS_URL`, or the URL and token of Upstash or Vercel KV.
 *
 * @see {@link createRedisAdmin}
 * @param options as for {@link createRedisAdmin}
 * @returns an admin, to be closed when it is not needed any more
 * @throws {TypeError} no such variable is set, or what it holds cannot be used; and what {@link createRedisAdmin} throws
 *
 * @example
 * ```ts
 * import { createRedisAdminFromEnv } from "@idioteque/redis/admin";
 *
 * const admin = createRedisAdminFromEnv();
 * ```
 */
export declare function createRedisAdminFromEnv(options?: RedisStoreOptions): RedisAdmin;
