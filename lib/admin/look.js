"use strict";
// Looks at executions: first at what is known without touching their keys, then at what is in them.

const { ageOf } = require("./age.js");
const { PARTS, isUuid } = require("./keys.js");
const { isRefusal } = require("./servers.js");

/** The type that each key has if it is ours. */
const TYPES = { execution: "string", transactions: "hash", results: "hash" };
/** What the execution's key holds. */
const MARK = "true";
/** Names of tasks in progress that a summary has. */
const MAX_NAMES = 100;

/**
 * @typedef {object} SeenKey
 * @property {boolean} exists it is there and has the type of ours
 * @property {boolean} foreign it is there and has another type
 * @property {number} [ttlMs] what is left of its life; undefined without expiry
 * @property {number} [idleMs] since it was used; undefined where the server does not say
 *
 * @typedef {{ id: string } & Record<import("./keys.js").Part, SeenKey>} Seen
 */

/**
 * What is known of executions without touching their keys.
 *
 * @param {import("./servers.js").Servers} servers
 * @param {import("./keys.js").Keys} keys
 * @param {string[]} ids
 * @param {AbortSignal} [signal]
 * @returns {Promise<Seen[]>}
 */
async function see(servers, keys, ids, signal) {
  const asked = ids.flatMap((id) =>
    Object.values(keys.of(id)).flatMap((key) => [
      { key, command: ["TYPE", key] },
      { key, command: ["PTTL", key] },
      { key, command: ["OBJECT", "IDLETIME", key] },
    ]),
  );
  const replies = await servers.all(asked, signal);
  let at = 0;
  return ids.map((id) => {
    const seen = { id };
    for (const part of PARTS) {
      const [type, ttl, idle] = replies.slice(at, at + 3);
      at += 3;
      servers.expect(type, "TYPE");
      servers.expect(ttl, "PTTL");
      seen[part] = {
        exists: type === TYPES[part],
        foreign: type !== TYPES[part] && type !== "none",
        ttlMs: ttl >= 0 ? ttl : undefined,
        // Refused under an LFU policy, where no such time is kept, and by Upstash.
        idleMs: typeof idle === "number" ? idle * 1_000 : undefined,
      };
    }
    return seen;
  });
}

/**
 * The summaries of executions that were seen.
 *
 * @param {import("./servers.js").Servers} servers
 * @param {import("./keys.js").Keys} keys
 * @param {Seen[]} all
 * @param {{ ttl?: number, noTouch: boolean }} known
 * @param {AbortSignal} [signal]
 */
async function summarise(servers, keys, all, known, signal) {
  const asked = [];
  const ask = (key, ...command) => asked.push({ key, command });
  for (const seen of all) {
    const { execution, transactions, results } = keys.of(seen.id);
    for (const key of [execution, transactions, results]) ask(key, "MEMORY", "USAGE", key);
    if (mayRead(seen, known)) {
      ask(transactions, "HLEN", transactions);
      ask(transactions, "HSCAN", transactions, "0", "COUNT", String(MAX_NAMES));
      ask(results, "HLEN", results);
    }
  }
  const replies = (await servers.all(asked, signal))[Symbol.iterator]();
  const next = () => replies.next().value;
  return all.map((seen) => {
    const bytes = [next(), next(), next()];
    const summary = {
      id: seen.id,
      orphan: !seen.execution.exists,
      inProgress: undefined,
      inProgressCount: undefined,
      results: undefined,
      bytes: bytes.some(isRefusal) ? undefined : bytes.reduce((sum, part) => sum + (part ?? 0), 0),
      ...ageOf(seen, known),
      ttlMs: shortest(PARTS.map((part) => seen[part]).filter((key) => key.exists)),
    };
    if (mayRead(seen, known)) {
      const [inProgressCount, names, results] = [next(), next(), next()];
      summary.inProgressCount = seen.transactions.exists ? servers.expect(inProgressCount, "HLEN") : 0;
      const fields = seen.transactions.exists ? servers.expect(names, "HSCAN")[1] : [];
      summary.inProgress = fields.filter((_, index) => index % 2 === 0).slice(0, MAX_NAMES);
      summary.results = seen.results.exists ? servers.expect(results, "HLEN") : 0;
    }
    return summary;
  });
}

/** Whether the hashes may be read: not where that would make an orphan, whose age is theirs, young again. */
function mayRead({ execution, transactions, results }, { noTouch }) {
  return noTouch || execution.exists || (transactions.idleMs === undefined && results.idleMs === undefined);
}

function shortest(keys) {
  const left = keys.map((key) => key.ttlMs).filter((ms) => ms !== undefined);
  return left.length === 0 ? undefined : Math.min(...left);
}

/**
 * Whether what was seen is an execution, or the orphaned rest of one, and not somebody else's: hashes beside a text of the name
 * of both; alone, only what has a UUID for an id, as the worker makes them. `all` takes what merely looks like one, too.
 *
 * @param {Seen} seen
 * @param {boolean} all
 */
function isOurs(seen, all) {
  if (PARTS.some((part) => seen[part].foreign)) return false;
  const hasHash = seen.transactions.exists || seen.results.exists;
  if (seen.execution.exists) return hasHash || isUuid(seen.id) || all;
  return hasHash && (isUuid(seen.id) || all);
}

/**
 * Leaves out what has a text for an execution's key that is none. One with a UUID and hashes is believed to be.
 *
 * @param {import("./servers.js").Servers} servers
 * @param {import("./keys.js").Keys} keys
 * @param {Seen[]} all
 * @param {{ noTouch: boolean }} known
 * @param {AbortSignal} [signal]
 */
async function withoutOtherTexts(servers, keys, all, { noTouch }, signal) {
  const doubtful = all.filter(({ id, execution, transactions, results }) => {
    const hasHash = transactions.exists || results.exists;
    return execution.exists && !(hasHash && isUuid(id));
  });
  if (doubtful.length === 0) return all;
  const asked = doubtful.map(({ id }) => {
    const key = keys.of(id).execution;
    // Where reading counts as use, how it is kept has to do: short texts are kept in one piece with their key.
    return { key, command: noTouch ? ["GETRANGE", key, "0", "4"] : ["OBJECT", "ENCODING", key] };
  });
  const replies = await servers.all(asked, signal);
  const others = new Set(
    doubtful.filter((_, index) => {
      const reply = replies[index];
      return isRefusal(reply) ? false : noTouch ? reply !== MARK : reply !== "embstr";
    }),
  );
  return all.filter((seen) => !others.has(seen));
}

module.exports = { MARK, isOurs, see, summarise, withoutOtherTexts };
