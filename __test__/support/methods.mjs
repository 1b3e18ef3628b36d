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
