"use strict";
// What calls back in the next turn of the event loop, also where somebody has stopped the clock. Loaded when that is first wanted.

/**
 * What to call with a callback for the next turn.
 *
 * @param {object} timers those that were there when the package was loaded
 * @param {typeof setImmediate} timers.setImmediate
 * @param {typeof clearImmediate} timers.clearImmediate
 * @returns {(callback: () => void) => NodeJS.Immediate | undefined}
 */
function nextTurnOf({ setImmediate, clearImmediate }) {
  return isFake(setImmediate, clearImmediate) ? afterMessage : setImmediate;
}

/**
 * Whether a `setImmediate` is a test's: `node:test` and Sinon put theirs into `node:timers` as well, and answers would wait until
 * somebody moves that clock on. Only then `MessageChannel` is looked at: Node.js loads twenty of its modules for that name, for which
 * it takes a millisecond.
 */
function isFake(setImmediate, clearImmediate) {
  const immediate = setImmediate(() => {});
  if (immediate?.constructor?.name !== "Immediate") return typeof MessageChannel === "function";
  clearImmediate(immediate);
  return false;
}

/** A message to oneself arrives in the event loop's next turn too. */
function afterMessage(callback) {
  const { port1, port2 } = new MessageChannel();
  port1.onmessage = () => {
    port1.close();
    callback();
  };
  port2.postMessage(undefined);
}

module.exports = { nextTurnOf };
