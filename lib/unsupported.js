"use strict";
// Stands in for the package where no native addon can be loaded: edge runtimes, Workers and browsers, whose bundlers
// are sent here by `exports` of package.json. It can be imported, so that code shared with a server builds; only making
// a store fails. Uses nothing of Node.js.

class RedisStoreError extends Error {
  constructor(message, details) {
    super(message);
    Object.assign(this, details);
  }
}

Object.defineProperty(RedisStoreError.prototype, "name", {
  value: "RedisStoreError",
  configurable: true,
  writable: true,
});

function createRedisStore() {
  throw new RedisStoreError(
    "@idioteque/redis is a native Node.js addon, and this code was bundled for a browser or an edge runtime, where " +
      "none can be loaded. Make the store where Node.js runs: in Next.js in a route with the Node.js runtime, the " +
      "default; on Cloudflare not in a Worker; in Jest with the test environment `node`.",
    { code: "ERR_REDIS_LOAD" },
  );
}

module.exports = { createRedisStore, createRedisStoreFromEnv: createRedisStore, RedisStoreError };
