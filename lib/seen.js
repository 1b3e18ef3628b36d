"use strict";
// What is to be seen of a store: the channels that its calls and connections publish on, its statistics, pings. Loaded with the
// first call, while the connection is made.

const { PHRASES, fill } = require("./error-texts.js");

const NAME = "idioteque-redis";
/** Peers that are remembered by the numbers of their connections. */
const MAX_PEERS = 256;
/** The methods that are about one task. */
const WITH_TASK = new Set([
  "beginExecutionTask",
  "isExecutionTaskInProgress",
  "commitExecutionTaskResult",
  "getExecutionTaskResult",
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
const details = new Float64Array(4);

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
 * @param {() => number} [store.trace] says that the next call is traced, and returns its number
 * @param {(number: number, details: Float64Array) => void} [store.traced] what became of that call
 * @param {(connection: number) => object | undefined} [store.peer] who is at the other end of a connection
 * @param {Function} method the function that makes the call
 * @param {string} name of the method
 */
function traceCall(store, method, name, executionId, taskId, value) {
  const about = store.about();
  const { backend, serverAddress, serverPort, database, clientName } = about;
  const context = {
    call: name,
    command: commandOf(name, about),
    executionId,
    taskId: WITH_TASK.has(name) ? taskId : undefined,
    backend,
    serverAddress,
    serverPort,
    database,
    clientName,
  };
  let number;
  let promise;
  const run = () => {
    number = store.trace?.();
    promise = method(executionId, taskId, value);
  };
  // Binds what subscribers want to be current while the call is made.
  if (call.start.runStores !== undefined) {
    call.start.runStores(context, run);
  } else {
    call.start.publish(context);
    run();
  }
  call.end.publish(context);
  const finish = () => {
    if (number !== undefined) addDetails(context, store, number);
    if (context.error !== undefined) call.error.publish(context);
    if (call.asyncStart.runStores !== undefined) {
      call.asyncStart.runStores(context, () => call.asyncEnd.publish(context));
    } else {
      call.asyncStart.publish(context);
      call.asyncEnd.publish(context);
    }
  };
  // Not what the caller gets, so that its continuation is not later for being traced.
  promise.then(finish, (error) => {
    context.error = error;
    finish();
  });
  return promise;
}

/**
 * The command that a call sends, or what several commands are sent in.
 *
 * @param {string} name of the method
 * @param {object} about where the call goes
 * @param {boolean} about.expires whether keys expire
 * @param {string} [about.several] what several commands are sent in
 * @param {string} [about.deletes] the command that deletes keys
 */
function commandOf(name, { expires, several = "MULTI", deletes = "UNLINK" }) {
  if (name === "commitExecutionTaskResult") return several;
  if (name === "beginExecutionTask") return expires ? several : "HSET";
  return name === "disposeExecution" ? deletes : COMMANDS[name];
}

function addDetails(context, store, number) {
  store.traced(number, details);
  const [fromReadAhead, attempts, queuedMs, connection] = details;
  context.fromReadAhead = fromReadAhead === 1;
  context.attempts = attempts;
  context.queuedMs = Number.isNaN(queuedMs) ? undefined : queuedMs;
  const peer = connection === 0 ? undefined : store.peer(connection);
  context.peerAddress = peer?.address;
  context.peerPort = peer?.port;
}

/** The same fields in this order, as far as there are any. */
function inOrder(names, fields) {
  const ordered = {};
  for (const name of names) {
    if (fields[name] !== undefined) ordered[name] = fields[name];
  }
  return ordered;
}

/** What a traced call needs of a native store, with what does not change kept. */
function nativeTools(tools) {
  const peers = new Map();
  let about;
  return {
    ...tools,
    stats: () => inOrder(STATS, JSON.parse(tools.stats())),
    about() {
      if (about === undefined || about.isLive) about = JSON.parse(tools.about());
      return about;
    },
    peer(connection) {
      if (peers.has(connection)) return peers.get(connection);
      const text = tools.peer(connection);
      const peer = text === undefined ? undefined : JSON.parse(text);
      if (peers.size >= MAX_PEERS) peers.clear();
      peers.set(connection, peer);
      return peer;
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

module.exports = { call, publish, traceCall, nativeTools, pingTimeout, inspectStore };
