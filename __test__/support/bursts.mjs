/**
 * Many calls made at once, whose answers a model predicts: calls about one execution take effect in the order in which they were
 * made, whatever becomes of the connection.
 */

import { createReferenceStore } from "../../tooling/reference-store.mjs";
import { createMapClient } from "./map-client.mjs";
import { createRandom } from "./random.mjs";

const TASKS = ["one", "two", "__proto__"];
const KINDS = [
  ["beginExecution", 2],
  ["beginExecutionTask", 4],
  ["commitExecutionTaskResult", 4],
  ["disposeExecution", 1],
  ["isExecutionInProgress", 1],
  ["isExecutionTaskInProgress", 2],
  ["getExecutionTaskResult", 2],
  ["getExecutionTaskResults", 1],
].flatMap(([name, weight]) => Array(weight).fill(name));

/**
 * Random calls about executions, in the order in which they are to be made.
 *
 * @param {number} seed
 * @param {string[]} ids
 * @param {number} count
 * @returns {{ name: string, args: unknown[] }[]}
 */
export function randomCalls(seed, ids, count) {
  const random = createRandom(seed);
  return Array.from({ length: count }, (_, value) => {
    const name = random.pick(KINDS);
    const args = [random.pick(ids)];
    if (/Task(InProgress|Result)?$/.test(name)) args.push(random.pick(TASKS));
    if (name === "commitExecutionTaskResult") args.push({ value });
    return { name, args };
  });
}

/** Makes calls, all at once. */
export const makeAll = (store, calls) => Promise.all(calls.map(({ name, args }) => store[name](...args)));

/** A model of a store's executions. */
export async function knownOf(store, ids) {
  const known = {};
  for (const id of ids) {
    known[id] = {
      begun: await store.isExecutionInProgress(id),
      running: await Promise.all(TASKS.map((task) => store.isExecutionTaskInProgress(id, task))),
      results: Object.entries(await store.getExecutionTaskResults(id)).sort(([a], [b]) => (a < b ? -1 : 1)),
    };
  }
  return known;
}

/** A store of which it is known what is right: one call after the other, over a `Map`. */
export function createModelStore() {
  const store = createReferenceStore(createMapClient());
  return {
    ...store,
    async makeInTurn(calls) {
      const answers = [];
      for (const { name, args } of calls) answers.push(await store[name](...args));
      return answers;
    },
  };
}
