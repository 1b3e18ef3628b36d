"use strict";
// The package's entry: what it exports, and all that is needed until the first answer. On the way there each file that is required
// takes 0.2 ms of a cold start of 3 ms, and each kilobyte of code 0.02 ms, so what is needed later, or seldom, is in lib.

const { existsSync } = require("node:fs");
const { clearImmediate, setImmediate } = require("node:timers");
const { isProxy } = require("node:util").types;

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

// The channels of `idioteque-redis:call`. Until they are looked up they seem to have subscribers, so that the first calls see to that.
let [start, end, asyncStart, asyncEnd, failed] = new Array(5).fill({ hasSubscribers: true });
let areLookedUp = false;
/** How many of Node's modules were loaded when nobody could have subscribed yet. */
let modulesThen = -1;
let seen;
// What happened to connections before lib/seen.js was loaded. The addon has few of them at a time.
const earlyEvents = [];
let scheduleNext;

/** What a store call rejects with; `code` says which kind of failure it is. Made by the addon and in lib. */
class RedisStoreError extends Error {
  /**
   * @param {string} message a sentence for a person
   * @param {object} details only the fields that are defined become properties
   * @param {string} details.code one of the `ERR_REDIS_…` codes
   * @param {unknown} [details.cause] the error of the layer below
   * @param {string} [details.reply] the server's own error code, such as `WRONGTYPE`
   * @param {string} [details.executionId] the execution the call was about
   * @param {string} [details.taskId] the task the call was about
   * @param {string} [details.key] the Redis key the call was about
   */
  constructor(message, details) {
    super(message);
    // Not the `cause` option of Error, which Node.js before 16.9 ignores.
    if (details.cause !== undefined) {
      Object.defineProperty(this, "cause", { value: details.cause, configurable: true, writable: true });
    }
    this.code = details.code;
    if (details.reply !== undefined) this.reply = details.reply;
    if (details.executionId !== undefined) this.executionId = details.executionId;
    if (details.taskId !== undefined) this.taskId = details.taskId;
    if (details.key !== undefined) this.key = details.key;
  }
}

Object.defineProperty(RedisStoreError.prototype, "name", {
  value: "RedisStoreError",
  configurable: true,
  writable: true,
});

const addon = loadAddon();

/** What the addon needs of the JavaScript side. */
const helpers = {
  RedisStoreError,
  parse: JSON.parse,
  stringify: JSON.stringify,
  setPrototypeOf: Object.setPrototypeOf,
  addEntries,
  openClientStore,
  openCarrier,
  isProxy,
  loadLive,
  afterTurn: clock.afterTurn,
  setImmediate: nextTurn,
  // Others say so too, for packages that ask, and end the process when its functions are called.
  usesLibuv: process.versions.uv !== undefined && !process.versions.bun && !process.versions.deno,
  emitWarning,
  publish,
  rejectLater,
};

// Only a call without any argument asks the environment: an `undefined` that is passed is a variable that was never set.
function createRedisStore(...args) {
  if (args.length === 0) return createRedisStoreFromEnv();
  return finish(addon.createRedisStore(args[0], args[1], helpers), args[1]);
}

function createRedisStoreFromEnv(options) {
  return finish(addon.createRedisStoreFromEnv(options, helpers), options);
}

// What is made over a client's own methods is a store already.
function finish(natives, options) {
  if (natives.tools === undefined) return natives;
  const store = makeStore(natives, () => loadSeen().nativeTools(natives));
  if (typeof options?.claim === "function") require("./lib/claims.js").claimTasks(store, options.claim);
  return store;
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
  const stats = () =>
    natives.carrier === undefined ? tools().stats() : loadSeen().statsOfBoth(natives.carrier, tools());
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

/**
 * Looks up the channels, unless nobody can have subscribed.
 *
 * @returns {boolean} whether anybody subscribes to calls
 */
function lookUpChannels() {
  if (!canHaveSubscribers()) return false;
  try {
    const { channel } = require("node:diagnostics_channel");
    const names = ["start", "end", "asyncStart", "asyncEnd", "error"];
    [start, end, asyncStart, asyncEnd, failed] = names.map((name) => channel(`tracing:idioteque-redis:call:${name}`));
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
  if (!Array.isArray(modules) || !modules.includes("NativeModule timers")) return true;
  if (modules.includes("NativeModule diagnostics_channel")) return true;
  modulesThen = modules.length;
  return false;
}

function loadSeen() {
  if (seen === undefined) {
    seen = require("./lib/seen.js");
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

function emitWarning(message, code) {
  process.emitWarning(message, { code });
  loadSeen().publish("warning", () => ({ code, message }));
}

// A tick that is asked for in a microtask comes after all microtasks and before any other callback.
function afterTurn(callback) {
  resolved.then(() => nextTick(callback));
}

/** Calls a function in the event loop's next turn. */
function nextTurn(callback) {
  scheduleNext ??= require("./lib/next-turn.js").nextTurnOf({ setImmediate, clearImmediate });
  return scheduleNext(callback);
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

// An engine runs this several times as fast as the addon could set the properties.
function addEntries(table, namesAndValues) {
  for (let i = 0; i < namesAndValues.length; i += 2) table[namesAndValues[i]] = namesAndValues[i + 1];
}

// Only needed where the caller's own client carries the commands, so only loaded there.
function openClientStore(client, settings, make = makeStore) {
  return require("./lib/client-store/store.js").openClientStore(client, settings, {
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
  return require("./lib/adopted-client.js");
}

function loadAddon() {
  const entry = { home: __dirname, RedisStoreError };
  let loaded;
  try {
    loaded = loadUsual() ?? require("./lib/binding.js");
    if (loaded.VERSION === VERSION && typeof loaded.createRedisStore === "function") return loaded;
  } catch (cause) {
    throw require("./lib/load-error/failure.js").loadFailure({ cause }, entry);
  }
  throw require("./lib/load-error/failure.js").loadFailure({ loaded }, entry);
}

// The generated loader covers every platform and takes a millisecond of a cold start, so the usual platforms are tried
// first. What does not load here is left to it and to its error. The names are literal for bundlers and file tracers.
function loadUsual() {
  if (process.env.NAPI_RS_NATIVE_LIBRARY_PATH) return undefined;
  try {
    switch (`${process.platform}-${process.arch}`) {
      case "linux-x64":
        if (existsSync(`${__dirname}/lib/idioteque-redis.linux-x64-gnu.node`)) {
          return require("./lib/idioteque-redis.linux-x64-gnu.node");
        }
        return require("@idioteque/redis-linux-x64-gnu");
      case "linux-arm64":
        if (existsSync(`${__dirname}/lib/idioteque-redis.linux-arm64-gnu.node`)) {
          return require("./lib/idioteque-redis.linux-arm64-gnu.node");
        }
        return require("@idioteque/redis-linux-arm64-gnu");
    }
  } catch {}
  return undefined;
}

module.exports = { createRedisStore, createRedisStoreFromEnv, RedisStoreError };
// For lib/admin.js, which asks the same addon, and nobody else: not enumerable, and not to be imported.
Object.defineProperty(module.exports, Symbol.for("idioteque-redis.addon"), { value: { addon, helpers } });
