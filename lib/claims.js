"use strict";
// The option `claim`: tasks that are begun by one call alone. Loaded with the first store that has it.

const { randomUUID } = require("node:crypto");
const { isNativeError } = require("node:util").types;

/**
 * Lets tasks be begun by one call alone: with a token of its own, and an error of the caller's for whoever comes second. That is no
 * failure of the call, which was answered.
 */
function claimTasks(store, claim) {
  const begin = store.beginExecutionTask;
  store.beginExecutionTask = async (executionId, taskId) => {
    if (await begin(executionId, taskId, randomUUID())) return;
    const error = claim(executionId, taskId);
    throw isNativeError(error) || error instanceof Error ? error : noError(error);
  };
  Object.defineProperty(store.beginExecutionTask, "name", { value: "beginExecutionTask" });
}

function noError(value) {
  const { PHRASES, fill } = require("./error-texts.js");
  const received = value === null ? "null" : typeof value;
  const error = new TypeError(fill(PHRASES.claimMadeNoError, { received }));
  return Object.assign(error, { code: "ERR_INVALID_RETURN_VALUE" });
}

module.exports = { claimTasks };
