/** A task of a pool of worker threads: a call of a store that each thread makes when its first task comes. */
import { threadId } from "node:worker_threads";
import { createRedisStore } from "../../index.js";

let store;

/** Resolves with the thread that it ran in and what the call was answered. */
export default async function task({ redis }) {
  store ??= createRedisStore(redis);
  return { threadId, answer: await store.isExecutionInProgress("run") };
}
