"use strict";
// How long ago something happened to an execution, as far as Redis knows.

/**
 * @typedef {object} Age
 * @property {number} [startedMs] how long ago it was begun; known with `ttl` only
 * @property {number} [idleMs] how long ago something happened to it; undefined where nobody knows
 */

/**
 * @param {import("./look.js").Seen} seen
 * @param {object} known
 * @param {number} [known.ttl] what the stores' `ttl` is: ages follow from what is left of it
 * @param {boolean} known.noTouch whether what we read leaves idle times as they are
 * @returns {Age}
 */
function ageOf(seen, { ttl, noTouch }) {
  const startedMs = sinceSet(seen.execution, ttl);
  const sinceWritten = [seen.execution, seen.transactions, seen.results].map((key) => sinceSet(key, ttl));
  const idleMs = youngest(sinceWritten) ?? idleOf(seen, noTouch);
  return { startedMs, idleMs };
}

/** How long ago the expiry of a key was set, which is as long after that as `ttl` says. */
function sinceSet(key, ttl) {
  if (ttl === undefined || !key.exists || key.ttlMs === undefined || key.ttlMs > ttl) return undefined;
  return ttl - key.ttlMs;
}

/**
 * How long ago the keys were used. Where reading them counts as use, only the execution's own key is left to go by, which is
 * never read here: a worker reads it for every message. What has none goes by its hashes, which are not read then.
 */
function idleOf({ execution, transactions, results }, noTouch) {
  if (!noTouch && execution.exists) return execution.idleMs;
  const idle = [execution, transactions, results].filter((key) => key.exists).map((key) => key.idleMs);
  return idle.includes(undefined) ? undefined : youngest(idle);
}

function youngest(ages) {
  const known = ages.filter((age) => age !== undefined);
  return known.length === 0 ? undefined : Math.min(...known);
}

module.exports = { ageOf };
