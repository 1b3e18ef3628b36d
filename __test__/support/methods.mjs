/** The eight methods that a worker calls, in the order of its interface. */
export const METHODS = [
  "beginExecution",
  "isExecutionInProgress",
  "beginExecutionTask",
  "isExecutionTaskInProgress",
  "commitExecutionTaskResult",
  "getExecutionTaskResult",
  "getExecutionTaskResults",
  "disposeExecution",
];

/**
 * One call of each method, in their order, to be made later.
 *
 * @param {object} store
 * @param {string} executionId
 * @returns {(() => Promise<unknown>)[]}
 */
export function everyCall(store, executionId) {
  const [taskId, result] = ["task", 1];
  return METHODS.map((name) => () => store[name](executionId, taskId, result));
}
