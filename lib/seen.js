"use strict";
// What is to be seen of a store: the channels that its calls and connections publish on, its statistics, pings. Loaded with the
// first call, while the connection is made.

const NAME = "idioteque-redis";
/** Peers that are remembered by the numbers of their connections. */
const MAX_PEERS = 256;
/** The methods that are about one task. */
const WITH_TASK = new Set([
  "beginExecutionTask",
  "isExecutionTaskInProgress",
  "commitExecutionTaskResult",
  "getExecutionTaskResult",
  "touch",
]);
/** What stats and events have, in the order in which they are shown. */
const STATS = [
  "status",
  "backend",
  "address",
  "peer",
  "serverVersion",
  "connects",
  "reconnects",
  "lastError",
  "pending",
  "pendingBytes",
  "calls",
  "errors",
  "retries",
  "roundTrips",
  "readAheadHits",
  "bytesWritten",
  "bytesRead",
];
const EVENT = [
  "code",
  "message",
  "address",
  "peer",
  "serverVersion",
  "epoch",
  "ms",
  "from",
  "to",
  "slot",
  "toldBy",
  "error",
  "pending",
  "pauseMs",
];
/** The command of a call, where that does not depend on the store. */
const COMMANDS = {
  beginExecution: "SET",
  isExecutionInProgress: "GET",
  isExecutionTaskInProgress: "HGET",
  getExecutionTaskResult: "HGET",
  getExecutionTaskResults: "HGETALL",
  touch: "GET",
};
const NOT_PUBLISHED = Object.freeze({ hasSubscribers: false, publish() {} });

const { channel } = diagnostics();

/** The channels of the tracing channel `idioteque-redis:call`, which older runtimes have no class for. */
const call = {
  start: channel(`tracing:${NAME}:call:start`),
  end: channel(`tracing:${NAME}:call:end`),
  asyncStart: channel(`tracing:${NAME}:call:asyncStart`),
  asyncEnd: channel(`tracing:${NAME}:call:asyncEnd`),
  error: channel(`tracing:${NAME}:call:error`),
};

const points = {
  ready: channel(`${NAME}:ready`),
  disconnected: channel(`${NAME}:disconnected`),
  closed: channel(`${NAME}:closed`),
  retry: channel(`${NAME}:retry`),
  topology: channel(`${NAME}:topology`),
  warning: channel(`${NAME}:warning`),
};

const log = debugLog();
/** What a native store tells of traced calls: number, whether read-ahead had the answer, attempts, wait, connection. */
const ROW = 5;
const rows = new Float64Array(256 * ROW);

function diagnostics() {
  try {
    return require("node:diagnostics_channel");
  } catch {
    return { channel: () => NOT_PUBLISHED };
  }
}

/** `util.debuglog`, if `NODE_DEBUG` has our name. */
function debugLog() {
  if (!process.env.NODE_DEBUG) return undefined;
  const debug = require("node:util").debuglog(NAME);
  return debug.enabled ? debug : undefined;
}

/**
 * Publishes what happened to a connection.
 *
 * @param {"ready" | "disconnected" | "closed" | "retry" | "topology" | "warning"} name
 * @param {() => object} read gives the fields; not called when nobody wants them
 */
function publish(name, read) {
  const point = points[name];
  if (!point.hasSubscribers && log === undefined) return;
  const fields = inOrder(EVENT, read());
  if (log !== undefined) log("%s", line(name, fields));
  if (point.hasSubscribers) point.publish(fields);
}

/** An event as a line for a person. */
function line(name, fields) {
  const words = Object.entries(fields).map(([key, value]) => `${key}=${phrase(value)}`);
  return [name, ...words].join(" ");
}

function phrase(value) {
  if (Array.isArray(value)) return value.join(",");
  if (typeof value === "string") return /\s/.test(value) ? JSON.stringify(value) : value;
  if (typeof value === "object")
    return JSON.stringify(value.cause ? `${value.message} (${value.cause})` : value.message);
  return String(value);
}

/**
 * One call of a store, published on the channels of `idioteque-redis:call` as Node's `TracingChannel.tracePromise` does.
 *
 * @param {object} store what is needed of the store
 * @param {() => object} store.about where its calls go
 * @param {(context: object) => void} [store.trace] says that the next call is traced
 * @param {() => void} [store.tell] adds what became of calls to their contexts
 * @param {Function} method the function that makes the call
 * @param {string} name of the method
 */
function traceCall(store, method, name, executionId, taskId, value) {
  const context = new CallContext(name, executionId, WITH_TASK.has(name) ? taskId : undefined, store.about());
  const { start, end } = call;
  let promise;
  // Binds what subscribers want to be current while the call is made.
  if (start.hasSubscribers && start.runStores !== undefined) {
    promise = start.runStores(context, startCall, undefined, store, context, method, executionId, taskId, value);
  } else {
    start.publish(context);
    promise = startCall(store, context, method, executionId, taskId, value);
  }
  if (end.hasSubscribers) end.publish(context);
  // A promise of its own, as Node's: what nobody handles has to be noticed.
  return promise.then(
    (result) => {
      finishCall(store, context);
      return result;
    },
    (error) => {
      context.error = error;
      finishCall(store, context);
      throw error;
    },
  );
}

/**
 * The command that a call sends, or what several commands are sent in.
 *
 * @param {string} name of the method
 * @param {object} about where the call goes
 * @param {boolean} about.expires whether keys expire
 * @param {boolean} [about.leases] whether the marks of tasks do
 * @param {boolean} [about.claims] whether they are set by a script
 * @param {string} [about.several] what several commands are sent in
 * @param {string} [about.deletes] the command that deletes keys
 */
function commandOf(name, taskId, { expires, leases, claims, several = "MULTI", deletes = "UNLINK" }) {
  if (name === "commitExecutionTaskResult") return several;
  if (name === "beginExecutionTask" && claims) return "EVAL";
  if (name === "beginExecutionTask") return expires || leases ? several : "HSET";
  if (name === "touch" && (expires || (leases && taskId !== undefined))) return several;
  return name === "disposeExecution" ? deletes : COMMANDS[name];
}

/** Publishes that a call has begun that was made before this file was loaded. */
function startEarly(begun) {
  const { start, end, asyncStart, asyncEnd, error } = call;
  if (begun.context !== undefined || ![start, end, asyncStart, asyncEnd, error].some(isSubscribedTo)) return;
  const { name, executionId, taskId } = begun;
  const { about } = begun.store();
  begun.context = new CallContext(name, executionId, WITH_TASK.has(name) ? taskId : undefined, about());
  start.publish(begun.context);
  end.publish(begun.context);
}

/** And that it is over. */
function finishEarly(begun) {
  startEarly(begun);
  if (begun.context === undefined) return;
  if (begun.error !== undefined) begun.context.error = begun.error;
  finishCall(begun.store(), begun.context);
}

function isSubscribedTo({ hasSubscribers }) {
  return hasSubscribers;
}

/** All fields from the beginning, so that all contexts have one shape. */
class CallContext {
  constructor(name, executionId, taskId, about) {
    this.call = name;
    this.command = commandOf(name, taskId, about);
    this.executionId = executionId;
    this.taskId = taskId;
    this.backend = about.backend;
    this.serverAddress = about.serverAddress;
    this.serverPort = about.serverPort;
    this.database = about.database;
    this.clientName = about.clientName;
    this.fromReadAhead = undefined;
    this.attempts = undefined;
    this.queuedMs = undefined;
    this.peerAddress = undefined;
    this.peerPort = undefined;
  }
}

function startCall(store, context, method, executionId, taskId, value) {
  if (store.trace !== undefined) store.trace(context);
  return method(executionId, taskId, value);
}

function finishCall(store, context) {
  const { asyncStart, asyncEnd, error } = call;
  if (context.attempts === undefined && store.tell !== undefined) store.tell();
  if (context.error !== undefined) error.publish(context);
  if (!asyncStart.hasSubscribers) {
    asyncEnd.publish(context);
  } else if (asyncStart.runStores !== undefined) {
    asyncStart.runStores(context, () => asyncEnd.publish(context));
  } else {
    asyncStart.publish(context);
    asyncEnd.publish(context);
  }
}

/** The same fields in this order, as far as there are any. */
function inOrder(names, fields) {
  const ordered = {};
  for (const name of names) {
    if (fields[name] !== undefined) ordered[name] = fields[name];
  }
  return ordered;
}

/**
 * What a call and its tracing need of a native store, with what does not change kept.
 *
 * @param {object} natives
 * @param {(number: number) => void} natives.trace says that the next call is traced, by this number
 * @param {() => object} natives.tools makes the functions that are not needed by every store
 * @param {{ context?: object }[]} early the calls that were traced already, by their numbers
 */
function nativeTools({ trace, tools }, early) {
  const { stats, about, ping, traced, peer } = tools();
  const peers = new Map();
  // By their numbers, which are used again.
  const contexts = early.map((begun) => () => begun.context);
  const free = [];
  let place;

  function peerOf(connection) {
    if (peers.has(connection)) return peers.get(connection);
    const text = peer(connection);
    const known = text === undefined ? undefined : JSON.parse(text);
    if (peers.size >= MAX_PEERS) peers.clear();
    peers.set(connection, known);
    return known;
  }

  function tell(row) {
    const number = rows[row];
    const entry = contexts[number];
    contexts[number] = undefined;
    free.push(number);
    const context = typeof entry === "function" ? entry() : entry;
    if (context === undefined) return;
    context.fromReadAhead = rows[row + 1] === 1;
    context.attempts = rows[row + 2];
    if (!Number.isNaN(rows[row + 3])) context.queuedMs = rows[row + 3];
    const known = rows[row + 4] === 0 ? undefined : peerOf(rows[row + 4]);
    if (known === undefined) return;
    context.peerAddress = known.address;
    context.peerPort = known.port;
  }

  return {
    stats: () => inOrder(STATS, JSON.parse(stats())),
    about() {
      if (place === undefined || place.isLive) place = JSON.parse(about());
      return place;
    },
    ping,
    trace(context) {
      const number = free.length > 0 ? free.pop() : contexts.length;
      contexts[number] = context;
      trace(number);
    },
    tell() {
      let count;
      do {
        count = traced(rows);
        for (let row = 0; row < count; row++) tell(row * ROW);
      } while (count * ROW === rows.length);
    },
  };
}

/**
 * The timeout of a ping, checked.
 *
 * @param {{ timeout?: number }} [options]
 * @returns {number} milliseconds
 */
function pingTimeout(options) {
  const { PHRASES, fill } = require("./error-texts.js");
  const timeout = options?.timeout ?? 1000;
  if (typeof timeout !== "number") {
    throw Object.assign(new TypeError(fill(PHRASES.wrongTimeout, { received: typeof timeout })), {
      code: "ERR_INVALID_ARG_TYPE",
    });
  }
  if (!(timeout > 0 && timeout <= 0x7fffffff)) {
    throw Object.assign(new RangeError(fill(PHRASES.wrongTimeout, { received: timeout })), {
      code: "ERR_OUT_OF_RANGE",
    });
  }
  return timeout;
}

/** A store as `util.inspect` shows it, on one line and without secrets. */
function inspectStore(stats, inspect) {
  const { backend, address, status, pending } = stats;
  const shown = Object.entries({ backend, address, status, pending }).filter(([, value]) => value !== undefined);
  const text = (value) => (typeof value === "string" ? `'${value}'` : String(value));
  return `RedisStore { ${shown.map(([key, value]) => `${key}: ${(inspect ?? text)(value)}`).join(", ")} }`;
}

module.exports = { call, publish, traceCall, startEarly, finishEarly, nativeTools, pingTimeout, inspectStore };
