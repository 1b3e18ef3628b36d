"use strict";
// Whether the executions on a server were written by stores with the same options: a sample of their hashes shows it.

const { isRefusal } = require("../servers.js");
const { ok, skipped, warning } = require("./server.js");

/** How much of a server is looked at. */
const SCANS = 20;
const COUNT = 1_000;
const MAX_SAMPLES = 500;

const HASH = /^(.+)-(?:transactions|results)$/s;

async function keyChecks({ servers, keys, native }, nodes, signal) {
  const seen = { tagged: 0, plain: 0, expiring: 0, permanent: 0 };
  for (const node of nodes) {
    const found = await sample(servers, node, keys, signal);
    if (found === undefined) return [skipped("executions", "SCAN is not permitted")];
    for (const { isTagged, expires } of found) {
      seen[isTagged ? "tagged" : "plain"] += 1;
      seen[expires ? "expiring" : "permanent"] += 1;
    }
  }
  const total = seen.tagged + seen.plain;
  return [names(seen, total, native), expiry(seen, total, native)];
}

/** Some of the hashes that executions on a server have. */
async function sample(servers, node, keys, signal) {
  const found = [];
  let cursor = "0";
  for (let scans = 0; scans < SCANS && found.length < MAX_SAMPLES; scans += 1) {
    const pattern = keys.pattern(["transactions", "results"]).replace(/\{\*\}/, "*");
    const [reply] = await servers.on(node, [["SCAN", cursor, "MATCH", pattern, "COUNT", String(COUNT)]], signal);
    if (isRefusal(reply)) return undefined;
    cursor = String(reply[0]);
    const named = reply[1].filter((key) => HASH.test(key)).slice(0, MAX_SAMPLES - found.length);
    const replies = await servers.on(
      node,
      named.flatMap((key) => [
        ["TYPE", key],
        ["PTTL", key],
      ]),
      signal,
    );
    for (const [index, key] of named.entries()) {
      if (replies[2 * index] !== "hash") continue;
      const [, base] = HASH.exec(key.slice(keys.prefix.length)) ?? [];
      if (base !== undefined) found.push({ isTagged: /^\{.+\}$/s.test(base), expires: replies[2 * index + 1] >= 0 });
    }
    if (cursor === "0") break;
  }
  return found;
}

function names({ tagged, plain }, total, { hashTags }) {
  const name = "key names";
  if (total === 0) return ok(name, "no executions yet");
  if (tagged > 0 && plain > 0) {
    const text = `of ${total} keys, ${tagged} have hash tags and ${plain} have none: workers with \`hashTags\` and without do not see each other's executions`;
    return warning(name, text, "set `hashTags` alike everywhere, and let the others run out");
  }
  if (hashTags !== tagged > 0) {
    const text = hashTags
      ? "no key has hash tags, and `hashTags` is on here"
      : "all keys have hash tags, and `hashTags` is off here";
    return warning(name, text, "set `hashTags` as the workers have it");
  }
  return ok(name, hashTags ? "with hash tags" : "without hash tags");
}

function expiry({ expiring, permanent }, total, { ttl }) {
  const name = "expiry";
  if (total === 0) return ok(name, "no executions yet");
  if (expiring > 0 && permanent > 0) {
    const text = `of ${total} keys, ${expiring} expire and ${permanent} never do`;
    return warning(
      name,
      text,
      "set `ttl` alike everywhere; `idioteque-redis list --orphans` shows what nobody will delete",
    );
  }
  if (ttl !== undefined && expiring === 0) {
    return warning(name, "no key expires, and `ttl` is set here", "set `ttl` as the workers have it");
  }
  return ok(name, expiring > 0 ? "all keys expire" : "no key expires");
}

module.exports = { keyChecks };
