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
const NO_PLACE = -1;
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
 * One call of a store, published on the channels of `idioteque-redis:call` as Node's `TracingChannel.tracePromise` does, except that
 * there is no result.
 *
 * @param {object} store what is needed of the store
 * @param {() => object} store.about where its calls go
 * @param {(context: object) => number} [store.trace] the number by which it tells what became of the call
 * @param {() => void} [store.tell] adds what became of calls to their contexts
 * @param {Function} method the function that makes the call
 * @param {string} name of the method
 */
function traceCall(store, method, name, executionId, taskId, value) {
  const context = new CallContext(name, executionId, WITH_TASK.has(name) ? taskId : undefined, store.about());
  const { start } = call;
  // Binds what subscribers want to be current while the call is made, and when they are told of its end. Node.js takes a tenth of a
  // call's time for that also where nothing is bound, so it is left out where a channel is seen to have nothing.
  if (start.hasSubscribers && start.runStores !== undefined && start._stores?.size !== 0) {
    return start.runStores(context, startCall, undefined, store, context, method, executionId, taskId, value);
  }
  start.publish(context);
  return startCall(store, context, method, executionId, taskId, value);
}

function startCall(store, context, method, executionId, taskId, value) {
  const number = store.trace === undefined ? undefined : store.trace(context);
  const promise = method(executionId, taskId, value, number);
  const { end } = call;
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

function finishCall(store, context) {
  const { asyncStart, asyncEnd, error } = call;
  if (context.attempts === undefined && store.tell !== undefined) store.tell();
  if (context.error !== undefined) error.publish(context);
  if (asyncStart.hasSubscribers) asyncStart.publish(context);
  asyncEnd.publish(context);
}

/** All fields from the beginning, so that all contexts have one shape. */
class CallContext {
  constructor(name, executionId, taskId, about) {
    const sent = about.commands[name === "touch" && taskId !== undefined ? "touchTask" : name];
    this.call = name;
    this.command = sent[0];
    this.commands = sent[1];
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
 * @param {() => object} natives.tools makes the functions that are not needed by every store
 */
function nativeTools({ tools }) {
  const { stats, about, database, ping, traced, peer } = tools();
  const peers = new Map();
  // By their numbers. In the place of one that is not needed any more is the next such place.
  const contexts = [];
  let free = NO_PLACE;
  let place;
  let lastConnection = 0;
  let lastPeer;

  function peerOf(connection) {
    if (connection === lastConnection) return lastPeer;
    if (!peers.has(connection)) {
      const text = peer(connection);
      if (peers.size >= MAX_PEERS) peers.clear();
      peers.set(connection, text === undefined ? undefined : JSON.parse(text));
    }
    lastConnection = connection;
    lastPeer = peers.get(connection);
    return lastPeer;
  }

  function tell(row) {
    const number = rows[row];
    const context = contexts[number];
    contexts[number] = free;
    free = number;
    const attempts = rows[row + 2];
    const queuedMs = rows[row + 3];
    const connection = rows[row + 4];
    // The client's own methods carried it.
    if (Number.isNaN(attempts)) return;
    context.fromReadAhead = rows[row + 1] === 1;
    context.attempts = attempts;
    if (!Number.isNaN(queuedMs)) context.queuedMs = queuedMs;
    if (connection === 0) return;
    const known = peerOf(connection);
    if (known === undefined) return;
    context.peerAddress = known.address;
    context.peerPort = known.port;
  }

  /** Whether the live client may go elsewhere by now: to the database that it has selected, or after it has said where at all. */
  function mayHaveMoved() {
    if (!place.isLive) return false;
    if (place.serverAddress === undefined) return true;
    const selected = database();
    return selected !== undefined && selected !== place.database;
  }

  return {
    stats: () => inOrder(STATS, JSON.parse(stats())),
    about() {
      if (place === undefined || mayHaveMoved()) place = JSON.parse(about());
      return place;
    },
    ping,
    trace(context) {
      if (free === NO_PLACE) return contexts.push(context) - 1;
      const number = free;
      free = contexts[number];
      contexts[number] = context;
      return number;
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

/** The statistics of a store whose calls are the client's by now. The store made those before, and may still have some. */
function statsOfBoth(carrier, tools) {
  const stats = carrier.tools().stats();
  const before = tools.stats();
  for (const name of ["pending", "pendingBytes", "calls", "errors", "readAheadHits"]) stats[name] += before[name];
  return stats;
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

module.exports = { call, publish, traceCall, nativeTools, statsOfBoth, pingTimeout, inspectStore };
