"use strict";
// Finds executions by walking through the keys: each is given once, at the key of it that stays longest.

const { isUuid } = require("./keys.js");
const { isOurs, see, summarise, withoutOtherTexts } = require("./look.js");
const { ageOf } = require("./age.js");
const { Pace, scan } = require("./scan.js");

/** Executions that are looked at together, and those that are asked for their age together. */
const CHUNK = 100;
const CHUNK_OF_AGES = 1_000;
/** Ids that are remembered, because a scan may bring a key twice. */
const MAX_REMEMBERED = 50_000;

/**
 * @param {import("./admin.js").Context} context
 * @param {ReturnType<import("./filter.js")["listed"]>} filter
 */
async function* executions(context, filter) {
  const { servers, keys } = context;
  const nodes = await context.begin(filter.signal);
  const parts = filter.stuck && !filter.orphans ? ["transactions"] : ["transactions", "results"];
  if (!filter.stuck && !filter.orphans) parts.push("execution");
  const pattern = keys.pattern(parts, filter.match);
  const given = new Recent(MAX_REMEMBERED);
  let left = filter.limit ?? Number.POSITIVE_INFINITY;
  for (const node of nodes) {
    const pace = new Pace(servers);
    await pace.begin(node, filter.signal);
    for await (const names of scan(servers, node, { pattern, pace, ...filter })) {
      const found = [];
      for (const piece of pieces(candidates(context, names, parts, filter), CHUNK_OF_AGES)) {
        found.push(...(await pace.spend(() => withoutYoung(context, piece, filter), filter.signal)));
      }
      for (const chunk of pieces(found, CHUNK)) {
        const summaries = await pace.spend(() => lookAt(context, chunk, filter), filter.signal);
        for (const summary of summaries) {
          if (!given.add(summary.id)) continue;
          if (left <= 0) return;
          left -= 1;
          yield summary;
        }
        if (left <= 0) return;
      }
    }
  }
}

/** The keys of a scan that may lead to an execution. */
function candidates({ keys }, names, parts, filter) {
  const found = [];
  for (const name of names) {
    const parsed = keys.parse(name);
    if (!parsed || !parts.includes(parsed.part) || !filter.matches(parsed.id)) continue;
    // A text of another name is an execution only beside hashes, which lead to it.
    if (parsed.part === "execution" && !filter.all && !isUuid(parsed.id)) continue;
    found.push(parsed);
  }
  return found;
}

function pieces(list, size) {
  return Array.from({ length: Math.ceil(list.length / size) }, (_, index) =>
    list.slice(index * size, (index + 1) * size),
  );
}

/** Leaves out what is younger than asked for, as far as one question about each shows it: mostly that is nearly all. */
async function withoutYoung({ servers, keys, ttl, noTouch }, found, { olderThan, signal }) {
  if (olderThan === undefined) return found;
  const asked = found.map(({ id, part }) => {
    const names = keys.of(id);
    if (ttl !== undefined) return { key: names[part], command: ["PTTL", names[part]] };
    const key = names[noTouch ? part : "execution"];
    return { key, command: ["OBJECT", "IDLETIME", key] };
  });
  const replies = await servers.all(asked, signal);
  return found.filter((_, index) => {
    const reply = replies[index];
    if (typeof reply !== "number") return true;
    if (ttl === undefined) return reply * 1_000 >= olderThan;
    return reply < 0 || reply > ttl || ttl - reply >= olderThan;
  });
}

async function lookAt(context, chunk, filter) {
  const { servers, keys } = context;
  const all = await see(
    servers,
    keys,
    chunk.map(({ id }) => id),
    filter.signal,
  );
  const wanted = all.filter((seen, index) => leads(chunk[index], seen, filter) && passes(context, seen, filter));
  const ours = await withoutOtherTexts(servers, keys, wanted, context, filter.signal);
  return ours.length === 0 ? [] : summarise(servers, keys, ours, context, filter.signal);
}

/** Whether an execution is given at this key of it. Others of its keys are found in the same walk, maybe on other servers. */
function leads({ id, part }, seen, { stuck, orphans, all }) {
  if (!seen[part].exists) return false;
  if (stuck && !orphans) return true;
  const hasOwnKey = !orphans && !stuck && seen.execution.exists && (isUuid(id) || all);
  if (part === "execution") return hasOwnKey;
  if (hasOwnKey) return false;
  return part === "results" || !seen.results.exists;
}

function passes(context, seen, { stuck, orphans, all, olderThan }) {
  if (!isOurs(seen, all)) return false;
  const isStuck = seen.execution.exists && seen.transactions.exists;
  const isOrphan = !seen.execution.exists;
  if (stuck || orphans) {
    if (!((stuck && isStuck) || (orphans && isOrphan))) return false;
  }
  if (olderThan === undefined) return true;
  const { idleMs } = ageOf(seen, context);
  // What has no known age is left in: whoever deletes by age has to look at it.
  return idleMs === undefined || idleMs >= olderThan;
}

/** The last ids that were added. */
class Recent {
  constructor(size) {
    this.size = size;
    this.ids = new Set();
  }

  /** Adds an id; false when it is there already. */
  add(id) {
    if (this.ids.has(id)) return false;
    if (this.ids.size >= this.size) this.ids.delete(this.ids.values().next().value);
    this.ids.add(id);
    return true;
  }
}

module.exports = { executions };
