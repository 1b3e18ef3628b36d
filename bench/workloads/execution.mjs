/**
 * The life of one execution as a worker drives it: the eight store calls, one awaited after the other.
 */
/** The task that each execution runs. */
const TASK = "process-order:charge-card";

/** A result whose JSON is 200 bytes long. */
export const VALUE = orderOf(200);

/**
 * The calls of one execution's life in their order, each with a check that a store which answers nonsense quickly
 * does not pass.
 *
 * @type {{ ask: (store: object, id: string) => Promise<unknown>, accepts: (answer: unknown) => boolean }[]}
 */
export const LIFE = [
  { ask: (store, id) => store.beginExecution(id), accepts: (answer) => answer === undefined },
  { ask: (store, id) => store.getExecutionTaskResults(id), accepts: (answer) => answer[TASK] === undefined },
  { ask: (store, id) => store.isExecutionInProgress(id), accepts: (answer) => answer === true },
  { ask: (store, id) => store.getExecutionTaskResult(id, TASK), accepts: (answer) => answer === undefined },
  { ask: (store, id) => store.isExecutionTaskInProgress(id, TASK), accepts: (answer) => answer === false },
  { ask: (store, id) => store.beginExecutionTask(id, TASK), accepts: (answer) => answer === undefined },
  { ask: (store, id) => store.commitExecutionTaskResult(id, TASK, VALUE), accepts: (answer) => answer === undefined },
  { ask: (store, id) => store.disposeExecution(id), accepts: (answer) => answer === undefined },
];

/**
 * Runs one execution from its beginning to its end.
 *
 * @param {object} store
 * @param {string} id execution id, not in use
 * @param {{ calls: number }} counter counts the calls that were answered
 */
export async function runExecution(store, id, counter) {
  for (const { ask, accepts } of LIFE) {
    if (!accepts(await ask(store, id))) throw new Error(`wrong answer to ${ask}`);
    counter.calls += 1;
  }
}

/** @param {number} bytes length of the JSON, at least 128 */
function orderOf(bytes) {
  const order = { orderId: "ord_2f9c1b", amount: 12990, currency: "EUR", captured: true, items: [1, 2, 3], note: "" };
  order.note = "x".repeat(bytes - JSON.stringify(order).length);
  return order;
}
