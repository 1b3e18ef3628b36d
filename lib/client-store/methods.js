"use strict";
// The methods of the store, one row each: the key a call is about, the commands it sends, how it reads the answer.

const { CALLS, messageOf } = require("../error-texts.js");
const { asText, forEachField } = require("./answers.js");

/** The value of the execution's key, and of the field of a task in progress. */
const MARK = "true";

/** How much of a stored value an error shows, in characters. */
const RAW_VALUE_LIMIT = 200;

/** What is put behind the execution id to name each of its three keys. */
const EXECUTION = "";
const TRANSACTIONS = "-transactions";
const RESULTS = "-results";

/** Every key of an execution. */
const KEYS = [EXECUTION, TRANSACTIONS, RESULTS];

/** Those that may be there although the execution is not. */
const HASHES = [TRANSACTIONS, RESULTS];

const METHODS = [
  {
    name: "beginExecution",
    suffix: EXECUTION,
    writes: true,
    send: (call, { set, setsExpiry }) =>
      call.send(set, call.key, MARK, call.store.expiry) && (setsExpiry || call.expireWritten()),
  },
  {
    name: "isExecutionInProgress",
    suffix: EXECUTION,
    send: (call, { get }) => call.send(get, call.key),
    read: isPresent,
  },
  {
    name: "beginExecutionTask",
    suffix: TRANSACTIONS,
    hasTask: true,
    writes: true,
    send: (call, { hset }) => call.send(hset, call.key, call.taskId, MARK) && call.expireWritten() && call.slide(KEYS),
  },
  {
    name: "isExecutionTaskInProgress",
    suffix: TRANSACTIONS,
    hasTask: true,
    send: (call, { hget }) => call.send(hget, call.key, call.taskId),
    read: isPresent,
  },
  {
    name: "commitExecutionTaskResult",
    suffix: RESULTS,
    hasTask: true,
    writes: true,
    takesValue: true,
    // The result first, then the task in progress: a commit that is cut in half must not lose the result.
    send: (call, { hset, hdel }, json) =>
      call.send(hset, call.key, call.taskId, json) &&
      call.expireWritten() &&
      call.send(hdel, call.keyWith(TRANSACTIONS), call.taskId) &&
      call.slide(KEYS),
  },
  {
    name: "getExecutionTaskResult",
    suffix: RESULTS,
    hasTask: true,
    send: (call, { hget }) => call.send(hget, call.key, call.taskId),
    read: (reply, call) => (isPresent(reply) ? parseResult(reply, call.taskId, call) : undefined),
  },
  {
    name: "getExecutionTaskResults",
    suffix: RESULTS,
    send: (call, { hgetall }) => call.send(hgetall, call.key),
    read: readResults,
  },
  {
    name: "disposeExecution",
    suffix: EXECUTION,
    writes: true,
    send: (call) => call.delete(KEYS),
  },
  {
    name: "touch",
    suffix: EXECUTION,
    mayHaveTask: true,
    writes: true,
    send: (call, { get }) => (call.store.expiry === undefined ? call.send(get, call.key) : call.touch(HASHES)),
    // How many keys got an expiry, or whether one did.
    read: (reply, call) => (call.store.expiry === undefined ? isPresent(reply) : Number(call.touched ?? reply) > 0),
  },
];

function isPresent(reply) {
  return reply !== null && reply !== undefined;
}

/** All results as a plain lookup table: without a prototype, a task called `constructor` is not taken for done. */
function readResults(reply, call) {
  const results = Object.create(null);
  forEachField(reply, (field, value) => {
    results[field] = parseResult(value, field, call);
  });
  return results;
}

/** A stored result. What is neither text nor bytes has been parsed by the client already. */
function parseResult(stored, field, call) {
  const raw = asText(stored);
  if (typeof raw !== "string") return raw;
  try {
    return JSON.parse(raw);
  } catch (cause) {
    const shown = raw.length > RAW_VALUE_LIMIT ? Array.from(raw).slice(0, RAW_VALUE_LIMIT).join("") : raw;
    const values = { key: call.key, field, reason: cause.message, raw: shown };
    throw call.error(CALLS.unparsable.code, messageOf(CALLS.unparsable, values), { cause, taskId: field });
  }
}

module.exports = { METHODS };
