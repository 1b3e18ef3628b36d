"use strict";
// Stands in for `@idioteque/redis/otel` where there can be no stores: edge runtimes, Workers and browsers, whose bundlers are sent
// here by `exports` of package.json. Code that is shared with a server builds, and nothing is recorded. Uses nothing of Node.js.

function register() {
  return function unregister() {};
}

module.exports = { register };
