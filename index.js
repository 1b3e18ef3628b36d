"use strict";
// The door: loads the addon, and hands it what it needs from the JavaScript side.

const { isProxy } = require("node:util").types;
const { RedisStoreError } = require("./error.js");

// Taken at load, so that fake timers installed by a test later do not stop the deadlines of a store.
const clock = { setTimeout, now: performance.now.bind(performance) };

const binding = loadBinding();

function createRedisStore(redis, options) {
  return binding.createRedisStore(redis, options, RedisStoreError, openClientStore, isProxy, loadLive);
}

// Only needed where the caller's own client carries the commands, so only loaded there.
function openClientStore(client, settings) {
  return require("./client.js").openClientStore(client, settings, clock);
}

// Only needed for clients whose settings the addon uses.
function loadLive() {
  return require("./client/live.js");
}

function loadBinding() {
  try {
    return require("./binding.js");
  } catch (cause) {
    const error = new Error(
      `@idioteque/redis could not load its native addon for ${describePlatform()}. ` +
        "Install the package again on the machine that runs it, with optional dependencies enabled " +
        "(npm install --include=optional @idioteque/redis), or build the addon from source with `npm run build`.",
    );
    Object.defineProperty(error, "cause", { value: cause, configurable: true, writable: true });
    throw error;
  }
}

function describePlatform() {
  const node = `Node.js ${process.versions.node}`;
  if (process.platform !== "linux") return `${process.platform}-${process.arch} (${node})`;
  // The report names the C library it runs on only when that is glibc.
  const { glibcVersionRuntime } = process.report.getReport().header;
  return `linux-${process.arch} (${glibcVersionRuntime ? `glibc ${glibcVersionRuntime}` : "musl"}, ${node})`;
}

module.exports = { createRedisStore, RedisStoreError };
