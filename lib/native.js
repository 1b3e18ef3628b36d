"use strict";
// Loads the addon, and gives it what it needs of the JavaScript side.

const { existsSync } = require("node:fs");
const { clearImmediate, setImmediate } = require("node:timers");
const { isNativeError, isProxy } = require("node:util").types;

// Taken at load, so that fake timers installed by a test later do not stop the deadlines of a store, nor the end of a turn.
const nanoseconds = process.hrtime.bigint;
const { nextTick } = process;
const { captureStackTrace } = Error;
const resolved = Promise.resolve();
const clock = { setTimeout, now: () => Number(nanoseconds()) / 1e6, afterTurn: nextTick && afterTurn };

/** The version of this code, which the addon has to be of too: written here, because reading package.json takes time. */
const VERSION = "0.3.0";

const METHODS = [
  "beginExecution",
  "isExecutionInProgress",
  "beginExecutionTask",
  "isExecutionTaskInProgress",
  "commitExecutionTaskResult",
  "getExecutionTaskResult",
  "getExecutionTaskResults",
  "disposeExecution",
  "touch",
];
const INSPECT = Symbol.for("nodejs.util.inspect.custom");

const CALL_CHANNELS = ["start", "end", "asyncStart", "asyncEnd", "error"].map(
  (name) => `tracing:idioteque-redis:call:${name}`,
);

// The channels of `idioteque-redis:call`. Until they are looked up they seem to have subscribers, so that the first calls see to that.
let [start, end, asyncStart, asyncEnd, failed] = new Array(5).fill({ hasSubscribers: true });
let areLookedUp = false;
/** What calls back in the event loop's next turn, once somebody wants that. */
let scheduleNext;
/** How many of Node's modules were loaded when nobody could have subscribed yet. */
let modulesThen = -1;
let seen;
// What happened to connections before lib/seen.js was loaded. The addon has few of them at a time.
const earlyEvents = [];

/**
 * Loads the addon.
 *
 * @param {object} entry
 * @param {string} entry.home the directory of the package, where its `index.js` is
 * @param {object} [entry.helpers] what the addon gets in place of what it needs for a store, or besides
 * @param {Function} entry.RedisStoreError the class of errors, also of those that the addon makes
 * @returns {{ createRedisStore: (redis: unknown, options: unknown) => object, createRedisStoreFromEnv: (options: unknown) => object }}
 *   make a store
 * @throws {RedisStoreError} that says why the addon cannot be loaded and what to do
 */
function openNative(entry) {
  const addon = loadAddon(entry);
  // What the addon needs of the JavaScript side.
  const helpers = {
    RedisStoreError: entry.RedisStoreError,
    parse: JSON.parse,
    stringify: JSON.stringify,
    setPrototypeOf: Object.setPrototypeOf,
    addEntries,
    openClientStore,
    openCarrier,
    ...entry.helpers,
    isProxy,
    loadLive,
    afterTurn: clock.afterTurn,
    setImmediate: nextTurn,
    emitWarning,
    publish,
    rejectLater,
  };
  return {
    createRedisStore: (redis, options) => finish(addon.createRedisStore(redis, options, helpers), options),
    createRedisStoreFromEnv: (options) => finish(addon.createRedisStoreFromEnv(options, helpers), options),
  };
}

// An engine runs this several times as fast as the addon could set the properties.
function addEntries(table, namesAndValues) {
  for (let i = 0; i < namesAndValues.length; i += 2) table[namesAndValues[i]] = namesAndValues[i + 1];
}

// What is made over a client's own methods is a store already.
function finish(natives, options) {
  if (natives.tools === undefined) return natives;
  const store = makeStore(natives, () => loadSeen().nativeTools(natives));
  if (typeof options?.claim === "function") claimTasks(store, options.claim);
  return store;
}

/**
 * Lets tasks be begun by one call alone: with a token of its own, and an error of the caller's for whoever comes second. That is no
 * failure of the call, which was answered.
 */
function claimTasks(store, claim) {
  const { randomUUID } = require("node:crypto");
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

/**
 * The store that callers get: a plain object of functions, each of which works without the others, so that callers may destructure
 * it, spread it, wrap it and spy on it. A call that nobody traces costs only the look at whether somebody does.
 *
 * @param {object} natives the functions that make the calls, `close`, and `backend`; once a native connection turned out to be
 *   impossible, also the `carrier`, see `openCarrier`
 * @param {() => object} makeTools gives what else is needed of the store, see lib/seen.js
 */
function makeStore(natives, makeTools) {
  const { close } = natives;
  const tools = once(makeTools);
  const toolsNow = () => natives.carrier?.tools() ?? tools();
  const store = {};
  for (const name of METHODS) {
    const method = natives[name];
    const call = (executionId, taskId, value) => {
      const isTraced =
        start.hasSubscribers ||
        end.hasSubscribers ||
        asyncStart.hasSubscribers ||
        asyncEnd.hasSubscribers ||
        failed.hasSubscribers;
      if (!isTraced || !(areLookedUp || lookUpChannels())) return method(executionId, taskId, value);
      return loadSeen().traceCall(toolsNow(), method, name, executionId, taskId, value);
    };
    store[name] = Object.defineProperty(call, "name", { value: name });
  }
  const stats = () => (natives.carrier === undefined ? tools().stats() : statsOfBoth(natives.carrier, tools()));
  store.ping = async (options) => toolsNow().ping(loadSeen().pingTimeout(options));
  store.stats = stats;
  store.close = close;
  if (Symbol.asyncDispose !== undefined) store[Symbol.asyncDispose] = close;
  Object.defineProperty(store, "backend", { get: () => natives.backend, enumerable: true, configurable: true });
  // Not enumerable: a copy would keep the value of the moment.
  Object.defineProperty(store, "status", { get: () => stats().status, configurable: true });
  const inspect = () => loadSeen().inspectStore(stats());
  Object.defineProperty(store, INSPECT, { value: inspect, configurable: true });
  return store;
}

/** The statistics of a store whose calls are the client's by now. The store made those before, and may still have some. */
function statsOfBoth(carrier, tools) {
  const stats = carrier.tools().stats();
  const before = tools.stats();
  for (const name of ["pending", "pendingBytes", "calls", "errors", "readAheadHits"]) stats[name] += before[name];
  return stats;
}

/**
 * Looks up the channels, unless nobody can have subscribed.
 *
 * @returns {boolean} whether anybody subscribes to calls
 */
function lookUpChannels() {
  if (!canHaveSubscribers()) return false;
  try {
    const { channel } = require("node:diagnostics_channel");
    [start, end, asyncStart, asyncEnd, failed] = CALL_CHANNELS.map((name) => channel(name));
    areLookedUp = true;
  } catch {
    loadSeen();
  }
  return [start, end, asyncStart, asyncEnd, failed].some(({ hasSubscribers }) => hasSubscribers);
}

/**
 * Whether anybody can have subscribed to anything: nobody who has not loaded `node:diagnostics_channel`, which takes a twentieth of a
 * cold start where Node.js does not do so itself.
 */
function canHaveSubscribers() {
  const modules = process.moduleLoadList;
  if (modules?.length === modulesThen) return false;
  // A list as Node.js has it: this file has loaded the first of these.
  const hasLoaded = (name) => Array.isArray(modules) && modules.includes(`NativeModule ${name}`);
  if (!hasLoaded("timers") || hasLoaded("diagnostics_channel")) return true;
  modulesThen = modules.length;
  return false;
}

function loadSeen() {
  if (seen === undefined) {
    seen = require("./seen.js");
    ({ start, end, asyncStart, asyncEnd, error: failed } = seen.call);
    areLookedUp = true;
    for (const [name, json] of earlyEvents.splice(0)) publish(name, json);
  }
  return seen;
}

function publish(name, json) {
  if (seen !== undefined) {
    seen.publish(name, () => JSON.parse(json));
  } else if (isWanted(name)) {
    earlyEvents.push([name, json]);
    nextTurn(loadSeen)?.unref?.();
  }
}

/** Whether anybody subscribes to events of this name, or has them logged. */
function isWanted(name) {
  if (process.env.NODE_DEBUG) return true;
  if (!canHaveSubscribers()) return false;
  try {
    return require("node:diagnostics_channel").hasSubscribers(`idioteque-redis:${name}`);
  } catch {
    return false;
  }
}

/**
 * A promise that rejects once who awaits it is known to the engine, with an error whose stack has the frames of these. Only for
 * errors that are made outside of the caller's functions.
 */
async function rejectLater(error) {
  await undefined;
  await undefined;
  if (captureStackTrace !== undefined) captureStackTrace(error, rejectLater);
  throw error;
}

function emitWarning(message, code) {
  process.emitWarning(message, { code });
  loadSeen().publish("warning", () => ({ code, message }));
}

// A tick that is asked for in a microtask comes after all microtasks and before any other callback.
function afterTurn(callback) {
  resolved.then(() => nextTick(callback));
}

/** Calls a function in the event loop's next turn. Nothing on the way to the first answer needs that. */
function nextTurn(callback) {
  scheduleNext ??= isFake() ? afterMessage : setImmediate;
  return scheduleNext(callback);
}

/**
 * Whether the `setImmediate` that was there at load is a test's: `node:test` and Sinon put theirs into `node:timers` as well, and
 * answers would wait until somebody moves that clock on. Only then `MessageChannel` is looked at: Node.js loads twenty of its
 * modules for that name, for which it takes a millisecond.
 */
function isFake() {
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

// Only needed where the caller's own client carries the commands, so only loaded there.
function openClientStore(client, settings, make = makeStore) {
  return require("./client-store/store.js").openClientStore(client, settings, {
    ...clock,
    makeStore: make,
    rejectLater,
  });
}

/** What carries the calls of a store that exists already, and traces them: the same without what is to be seen of it. */
function openCarrier(client, settings) {
  return openClientStore(client, settings, (natives, makeTools) => ({ ...natives, tools: once(makeTools) }));
}

function once(make) {
  let made;
  return () => {
    made ??= make();
    return made;
  };
}

// Only needed for clients whose settings the addon uses.
function loadLive() {
  return require("./adopted-client.js");
}

function loadAddon(entry) {
  let addon;
  try {
    addon = loadUsual() ?? require("./binding.js");
    if (addon.VERSION === VERSION && typeof addon.createRedisStore === "function") return addon;
  } catch (cause) {
    throw require("./load-error/failure.js").loadFailure({ cause }, entry);
  }
  throw require("./load-error/failure.js").loadFailure({ loaded: addon }, entry);
}

// The generated loader covers every platform and takes a millisecond of a cold start, so the usual platforms are tried
// first. What does not load here is left to it and to its error. The names are literal for bundlers and file tracers.
function loadUsual() {
  if (process.env.NAPI_RS_NATIVE_LIBRARY_PATH) return undefined;
  try {
    switch (`${process.platform}-${process.arch}`) {
      case "linux-x64":
        if (existsSync(`${__dirname}/idioteque-redis.linux-x64-gnu.node`)) {
          return require("./idioteque-redis.linux-x64-gnu.node");
        }
        return require("@idioteque/redis-linux-x64-gnu");
      case "linux-arm64":
        if (existsSync(`${__dirname}/idioteque-redis.linux-arm64-gnu.node`)) {
          return require("./idioteque-redis.linux-arm64-gnu.node");
        }
        return require("@idioteque/redis-linux-arm64-gnu");
    }
  } catch {}
  return undefined;
}

module.exports = { openNative };
