"use strict";
// Loads the addon, and gives it what it needs of the JavaScript side.

const { existsSync } = require("node:fs");
const { setImmediate } = require("node:timers");
const { isProxy } = require("node:util").types;

// Taken at load, so that fake timers installed by a test later do not stop the deadlines of a store, nor the end of a turn.
const nanoseconds = process.hrtime.bigint;
const { nextTick } = process;
const resolved = Promise.resolve();
const clock = { setTimeout, now: () => Number(nanoseconds()) / 1e6, afterTurn: nextTick && afterTurn };

/**
 * Loads the addon.
 *
 * @param {object} entry
 * @param {string} entry.home the directory of the package, where its `index.js` is
 * @param {object} [entry.helpers] what the addon gets in place of what it needs for a store, or besides
 * @param {Function} entry.RedisStoreError the class of errors, also of those that the addon makes
 * @returns {(redis: unknown, options: unknown) => object} makes a store
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
    openClientStore,
    ...entry.helpers,
    isProxy,
    loadLive,
    afterTurn: clock.afterTurn,
    setImmediate,
    emitWarning: (message, code) => process.emitWarning(message, { code }),
  };
  return (redis, options) => addon.createRedisStore(redis, options, helpers);
}

// A tick that is asked for in a microtask comes after all microtasks and before any other callback.
function afterTurn(callback) {
  resolved.then(() => nextTick(callback));
}

// Only needed where the caller's own client carries the commands, so only loaded there.
function openClientStore(client, settings) {
  return require("./client-store/store.js").openClientStore(client, settings, clock);
}

// Only needed for clients whose settings the addon uses.
function loadLive() {
  return require("./adopted-client.js");
}

function loadAddon(entry) {
  try {
    return loadUsual() ?? require("./binding.js");
  } catch (cause) {
    throw require("./load-error/failure.js").loadFailure(cause, entry);
  }
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
