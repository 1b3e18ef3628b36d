"use strict";
// The package's entry: what it exports. Each file that is required on the way to the first store takes 0.15 ms of a cold
// start of 2 ms, so there are only this one and lib/native.js.

const { openNative } = require("./lib/native.js");

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

const native = openNative({ home: __dirname, RedisStoreError });

// Only a call without any argument asks the environment: an `undefined` that is passed is a variable that was never set.
function createRedisStore(...args) {
  return args.length === 0 ? native.createRedisStoreFromEnv() : native.createRedisStore(args[0], args[1]);
}

function createRedisStoreFromEnv(options) {
  return native.createRedisStoreFromEnv(options);
}

module.exports = { createRedisStore, createRedisStoreFromEnv, RedisStoreError };
