"use strict";
// How far away a server is, and whether its clock agrees with this machine's.

const { isRefusal } = require("../servers.js");
const { ok, skipped, warning } = require("./server.js");

const PINGS = 7;
/** A step of a worker takes two to five round trips. */
const SLOW_MS = 10;
const MAX_SKEW_MS = 1_000;

async function timeChecks({ context: { servers }, node, signal }) {
  const trips = [];
  for (let ping = 0; ping < PINGS; ping += 1) {
    const started = performance.now();
    await servers.on(node, [["PING"]], signal);
    trips.push(performance.now() - started);
  }
  const median = trips.sort((a, b) => a - b)[PINGS >> 1];
  const text = `${median.toFixed(median < 10 ? 1 : 0)} ms`;
  const trip =
    median <= SLOW_MS
      ? ok("round trip", text)
      : warning("round trip", `${text}, and every step takes several`, "run workers nearer to the server");
  return [trip, await clock(servers, node, signal)];
}

async function clock(servers, node, signal) {
  const before = Date.now();
  const [reply] = await servers.on(node, [["TIME"]], signal);
  const after = Date.now();
  if (isRefusal(reply)) return skipped("clock", "TIME is not permitted");
  const skew = Number(reply[0]) * 1_000 + Number(reply[1]) / 1_000 - (before + after) / 2;
  // The answer may have been made at any moment of the round trip.
  if (Math.abs(skew) - (after - before) / 2 <= MAX_SKEW_MS) return ok("clock", "agrees with this machine's");
  const text = `${(Math.abs(skew) / 1_000).toFixed(1)} s ${skew > 0 ? "ahead of" : "behind"} this machine's`;
  return warning("clock", text, "synchronise both (NTP): what compares times of both is off by so much");
}

module.exports = { timeChecks };
