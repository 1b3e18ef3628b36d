"use strict";
// What changes something: a task's mark is taken away, an execution or the rest of one is deleted.

const { ageOf } = require("./age.js");
const { executions } = require("./executions.js");
const { listed } = require("./filter.js");
const { MARK, isOurs, see } = require("./look.js");
const { isRefusal } = require("./servers.js");

/**
 * Deletes what a sweep found, unless it is not what it was any more: `KEYS` are those of the execution, `ARGV` are what must be
 * true of the first one ("1" it is there, "0" it is not), the age in milliseconds, the stores' `ttl` or "0", and how many of the
 * keys, as they stand, tell the age.
 */
const SWEEP = `
local there = redis.call('EXISTS', KEYS[1])
if there ~= tonumber(ARGV[1]) then return -1 end
if there == 1 and redis.call('EXISTS', KEYS[2]) == 0 then return -1 end
local wanted, ttl, telling = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local youngest
for index = 1, 3 do
  local left = redis.call('PTTL', KEYS[index])
  local age
  if ttl > 0 and left >= 0 and left <= ttl then
    age = ttl - left
  elseif index <= telling and left ~= -2 then
    local idle = redis.pcall('OBJECT', 'IDLETIME', KEYS[index])
    if type(idle) == 'number' then age = idle * 1000 end
  end
  if age and (not youngest or age < youngest) then youngest = age end
end
if wanted >= 0 and youngest and youngest < wanted then return -1 end
if there == 1 and redis.call('GET', KEYS[1]) ~= 'true' then return -1 end
return redis.call('UNLINK', KEYS[1], KEYS[2], KEYS[3])
`;

/** Codes of a server that has no scripts, or whose user may not run them. */
const NO_SCRIPTS = /^(NOPERM|ERR unknown command)/;

/**
 * @param {import("./admin.js").Context} context
 * @param {string} id
 * @param {string} task
 * @param {{ dryRun?: boolean, signal?: AbortSignal }} options
 * @returns {Promise<boolean>} whether it was in progress
 */
async function releaseTask(context, id, task, { dryRun, signal }) {
  const { servers, keys } = context;
  await context.begin(signal);
  const key = keys.of(id).transactions;
  if (dryRun) {
    const [mark] = await servers.all([{ key, command: ["HGET", key, task] }], signal);
    return servers.expect(mark, "HGET") !== null;
  }
  const [reply] = await servers.all([{ key, command: ["HDEL", key, task] }], signal);
  return servers.expect(reply, "HDEL") > 0;
}

/**
 * @param {import("./admin.js").Context} context
 * @param {string} id
 * @param {AbortSignal} [signal]
 * @returns {Promise<boolean>} whether there was anything of it
 */
async function disposeExecution(context, id, signal) {
  await context.begin(signal);
  return (await remove(context, id, signal)) > 0;
}

/** Deletes the keys of an execution, and returns how many there were. Where that takes several commands, its own key goes first. */
async function remove({ servers, keys }, id, signal) {
  const all = Object.values(keys.of(id));
  if (servers.areTogether(all)) {
    const [reply] = await servers.all([{ key: all[0], command: ["UNLINK", ...all] }], signal);
    // Several shards behind one address.
    if (!isRefusal(reply) || !reply.refusal.startsWith("CROSSSLOT")) return servers.expect(reply, "UNLINK");
  }
  const unlink = async (keysOfStep) => {
    const replies = await servers.all(
      keysOfStep.map((key) => ({ key, command: ["UNLINK", key] })),
      signal,
    );
    return replies.reduce((sum, reply) => sum + servers.expect(reply, "UNLINK"), 0);
  };
  const [own, ...hashes] = all;
  return (await unlink([own])) + (await unlink(hashes));
}

/**
 * @param {import("./admin.js").Context} context
 * @param {ReturnType<import("./filter.js")["swept"]>} filter
 */
async function sweep(context, { stuck, all, anyAge, dryRun, olderThan, match, limit, signal, onProgress, onSwept }) {
  const report = { swept: 0, bytes: 0, unknownAge: 0, changed: 0 };
  const wanted = listed({ orphans: true, stuck, all, olderThan, match, signal, onProgress });
  for await (const summary of executions(context, wanted)) {
    if (limit !== undefined && report.swept >= limit) break;
    if (summary.idleMs === undefined && !anyAge) {
      report.unknownAge += 1;
      continue;
    }
    if (!dryRun && !(await sweepOne(context, summary, { olderThan, all, signal }))) {
      report.changed += 1;
      continue;
    }
    report.swept += 1;
    report.bytes += summary.bytes ?? 0;
    onSwept?.(summary);
  }
  return report;
}

/** Looks once more, and deletes; false when it is not what it was any more. */
async function sweepOne(context, { id, orphan, idleMs }, { olderThan, all, signal }) {
  const { servers, keys, ttl, noTouch } = context;
  const names = Object.values(keys.of(id));
  if (servers.areTogether(names)) {
    const wanted = idleMs === undefined ? -1 : olderThan;
    const telling = noTouch || orphan ? 3 : 1;
    const state = [orphan ? 0 : 1, wanted, ttl ?? 0, telling].map(String);
    const [reply] = await servers.all([{ key: names[0], command: ["EVAL", SWEEP, "3", ...names, ...state] }], signal);
    if (!isRefusal(reply)) return reply >= 0;
    if (!NO_SCRIPTS.test(reply.refusal) && !reply.refusal.startsWith("CROSSSLOT")) servers.expect(reply, "EVAL");
  }
  // Nothing looks and deletes in one step there, so little comes between the two.
  const [seen] = await see(servers, keys, [id], signal);
  if (seen.execution.exists === orphan || !isOurs(seen, all)) return false;
  if (!orphan && !seen.transactions.exists) return false;
  const [text] = await servers.all([{ key: names[0], command: ["GET", names[0]] }], signal);
  if (!orphan && servers.expect(text, "GET") !== MARK) return false;
  const age = ageOf(seen, context).idleMs;
  if (idleMs !== undefined && age !== undefined && age < olderThan) return false;
  return (await remove(context, id, signal)) > 0;
}

module.exports = { disposeExecution, releaseTask, sweep };
