"use strict";
// The store over a caller's own client: the commands go through the client's methods, on the JavaScript thread.

const { CALLS, PHRASES, fill, messageOf } = require("../error-texts.js");
const { Call } = require("./call.js");
const { ADAPTERS } = require("./adapters.js");
const { InFlight } = require("./in-flight.js");
const { METHODS } = require("./methods.js");
const { RequestCall } = require("./request-call.js");
const { Requests } = require("./requests.js");

/**
 * Opens a store over a client that stays the caller's: closing the store leaves the client open.
 *
 * @param {object} client an object with the methods of its adapter
 * @param {object} settings what `createRedisStore` has checked
 * @param {"ioredis" | "node-redis" | "upstash" | "glide"} [settings.adapter] how the client spells its commands; absent for
 *   "ioredis"
 * @param {number} [settings.ttl] milliseconds after which the keys expire; absent for never
 * @param {boolean} settings.slidingTtl whether progress on any task extends all three keys
 * @param {string} [settings.keyPrefix] put before every key; a prefix of the client's own comes before it
 * @param {boolean} settings.hashTags whether the id stands in braces in every key
 * @param {number} settings.commandTimeout milliseconds after which a call rejects
 * @param {number} settings.maxPending calls in flight before more are refused
 * @param {(executionId: string) => void} settings.forget reports to the native stores of this thread that what they have read ahead
 *   of an execution may be older than what is known of it now
 * @param {Function} settings.RedisStoreError the class of what calls reject with
 * @param {object} clock
 * @param {typeof setTimeout} clock.setTimeout the runtime's own clock
 * @param {() => number} clock.now the runtime's own clock
 * @param {(callback: () => void) => void} [clock.afterTurn] calls a function when the current turn of the event loop is over
 * @param {Function} clock.makeStore makes the store of its methods
 * @param {(error: Error) => Promise<never>} clock.rejectLater rejects with the frames of who awaits it
 * @returns {object} the store
 */
function openClientStore(client, settings, clock) {
  const { keyPrefix = "", hashTags, ttl, maxPending, RedisStoreError } = settings;
  const adapter = ADAPTERS[settings.adapter ?? "ioredis"];
  const CallOfAdapter = adapter.request === undefined ? Call : RequestCall;
  const inFlight = new InFlight(settings.commandTimeout, clock);
  const store = {
    client: adapter.open === undefined ? client : adapter.open(client),
    settings,
    inFlight,
    clock,
    counts: { calls: 0, errors: 0, roundTrips: 0, answered: false, lastAnswerAt: 0, lastError: undefined },
    adapter,
    expiry: ttl === undefined ? undefined : Math.ceil(ttl / adapter.expiryUnit),
    keyOf: hashTags
      ? (executionId, suffix) => `${keyPrefix}{${executionId}}${suffix}`
      : (executionId, suffix) => keyPrefix + executionId + suffix,
  };
  if (adapter.request !== undefined) store.requests = new Requests(store, clock.afterTurn);
  let closing;

  function start(method, executionId, taskId, value) {
    store.counts.calls += 1;
    // First, because it may run the caller's code (`toJSON`), which may call this store, or close it.
    const json = method.takesValue ? serialise(value) : undefined;
    const hasTask = method.hasTask || (method.mayHaveTask && taskId !== undefined);
    const wrong = wrongId("executionId", executionId) ?? (hasTask ? wrongId("taskId", taskId) : undefined);
    if (wrong !== undefined) {
      store.counts.errors += 1;
      return Promise.reject(wrong);
    }
    const ids = [method, executionId, taskId];
    if (closing !== undefined) return refuse(ids, CALLS.closed.code, inCall(method, CALLS.closed));
    const size = executionId.length + (hasTask ? taskId.length : 0) + (json?.length ?? 0);
    const full = inFlight.refusal(size, maxPending);
    if (full !== undefined) return refuse(ids, full.row.code, inCall(method, full.row, full.values));
    if (typeof json === "object") {
      const message = messageOf(CALLS.notJson, { task: taskId, reason: json.reason });
      return refuse(ids, CALLS.notJson.code, message, json.cause);
    }
    if (method.writes) settings.forget(executionId);
    const call = new CallOfAdapter(store, method, size, executionId, taskId);
    method.send(call, adapter, json);
    call.flush();
    return call.promise;
  }

  /** Rejects a call of which nothing was sent. */
  function refuse([method, executionId, taskId], code, message, cause) {
    store.counts.errors += 1;
    const key = store.keyOf(executionId, method.suffix);
    return Promise.reject(new RedisStoreError(message, { code, cause, executionId, taskId, key }));
  }

  function close() {
    closing ??= inFlight.idle();
    return closing;
  }

  const methods = {};
  for (const method of METHODS) {
    const call = method.hasTask
      ? (executionId, taskId, value) => start(method, executionId, taskId, value)
      : method.mayHaveTask
        ? (executionId, taskId) => start(method, executionId, taskId ?? undefined)
        : (executionId) => start(method, executionId);
    methods[method.name] = Object.defineProperty(call, "name", { value: method.name });
  }
  methods.close = close;
  methods.backend = adapter.backend;
  const isClosed = () => closing !== undefined;
  return clock.makeStore(methods, () => require("./seen.js").clientTools(store, client, isClosed));
}

/** The value as JSON; an object with the reason where it has none. */
function serialise(value) {
  try {
    const json = JSON.stringify(value);
    if (json !== undefined) return json;
    return { reason: PHRASES.noJsonForm };
  } catch (cause) {
    return { reason: saidBy(cause), cause };
  }
}

/** What a thrown value says of itself. */
function saidBy(thrown) {
  if (typeof thrown === "string") return thrown;
  try {
    if (typeof thrown === "object" && typeof thrown.message === "string") return thrown.message;
  } catch {}
  return PHRASES.notAnError;
}

/** The message of a call of which nothing was sent. */
function inCall(method, row, values) {
  return `${method.name}: ${messageOf(row, values)}`;
}

/** What is wrong with an id, or `undefined`. */
function wrongId(name, id) {
  if (typeof id === "string" && id !== "") return undefined;
  const isText = typeof id === "string";
  const received = isText ? "an empty string" : id === null ? "null" : typeof id;
  const error = new TypeError(fill(PHRASES.wrongId, { name, received }));
  error.code = isText ? "ERR_INVALID_ARG_VALUE" : "ERR_INVALID_ARG_TYPE";
  return error;
}

module.exports = { openClientStore };
