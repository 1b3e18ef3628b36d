"use strict";
// The door: loads the addon, and hands it what it needs from the JavaScript side.

const { existsSync } = require("node:fs");
const { setImmediate } = require("node:timers");
const { isProxy } = require("node:util").types;

// Taken at load, so that fake timers installed by a test later do not stop the deadlines of a store, nor the end of a turn.
const nanoseconds = process.hrtime.bigint;
const { nextTick } = process;
const resolved = Promise.resolve();
const clock = { setTimeout, now: () => Number(nanoseconds()) / 1e6, afterTurn: nextTick && afterTurn };

/** What a store call rejects with; `code` says which kind of failure it is. Made by the addon and in lib/client-store. */
class RedisStoreError extends Error {
  /**
   * @param {string} message a sentence for a person
   * @param {object} details only the fields that are defined become properties
   * @param {string} details.code one of the `ERR_REDIS_…` codes
   * @param {unknown} [details.cause] what the layer below said
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

const binding = loadBinding();

// What the addon needs of the JavaScript side.
const helpers = {
  RedisStoreError,
  parse: JSON.parse,
  stringify: JSON.stringify,
  setPrototypeOf: Object.setPrototypeOf,
  openClientStore,
  isProxy,
  loadLive,
  afterTurn: clock.afterTurn,
  setImmediate,
  emitWarning: (message, code) => process.emitWarning(message, { code }),
};

function createRedisStore(redis, options) {
  return binding.createRedisStore(redis, options, helpers);
}

// A tick that is asked for in a microtask comes after all microtasks and before any other callback.
function afterTurn(callback) {
  resolved.then(() => nextTick(callback));
}

// Only needed where the caller's own client carries the commands, so only loaded there.
function openClientStore(client, settings) {
  return require("./lib/client-store/store.js").openClientStore(client, settings, clock);
}

// Only needed for clients whose settings the addon uses.
function loadLive() {
  return require("./lib/adopted-client.js");
}

function loadBinding() {
  try {
    return loadUsual() ?? require("./lib/binding.js");
  } catch (cause) {
    throw require("./lib/load-error/failure.js").loadFailure(cause, { home: __dirname, RedisStoreError });
  }
}

// The generated loader knows every platform and weighs a millisecond of a cold start, so the usual ones go first. What
// does not load here is left to it, and to what it has to say. The names are literal for bundlers and file tracers.
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

module.exports = { createRedisStore, RedisStoreError };
