"use strict";
// The tasks of one execution, in the order of their paths, a page at a time.

const { ageOf } = require("./age.js");
const { see, summarise, isOurs } = require("./look.js");

/** Bytes of results that one answer should bring, and entries. */
const PIECE_BYTES = 4 * 1024 * 1024;
const PIECE_ENTRIES = 5_000;
/** Larger results are not read. */
const MAX_VALUE_BYTES = 32 * 1024 * 1024;

/**
 * @param {import("./admin.js").Context} context
 * @param {string} id
 * @param {ReturnType<import("./filter.js")["shown"]>} filter
 */
async function execution(context, id, { offset, limit, values, signal }) {
  const { servers, keys } = context;
  await context.begin(signal);
  const [seen] = await see(servers, keys, [id], signal);
  if (!isOurs(seen, true)) return undefined;
  // It is to be read, whatever that does to its age.
  const [summary] = await summarise(servers, keys, [seen], { ttl: context.ttl, noTouch: true }, signal);
  Object.assign(summary, ageOf(seen, context));
  if (limit === 0) return { ...summary, tasks: [], offset, total: summary.results + summary.inProgressCount };
  const { transactions, results } = keys.of(id);
  const tasks = new Map();
  // Results first: a task that is committed meanwhile is then seen in progress, or twice, but never not at all.
  const size = summary.bytes === undefined || summary.results === 0 ? 0 : summary.bytes / summary.results;
  if (seen.results.exists) {
    for await (const [task, bytes] of sizes(servers, results, size, signal)) {
      tasks.set(task, { id: task, state: "done", bytes });
    }
  }
  if (seen.transactions.exists) {
    for await (const [task] of entries(servers, transactions, 0, signal)) {
      const known = tasks.get(task);
      if (known) known.state = "done and in progress";
      else tasks.set(task, { id: task, state: "in progress" });
    }
  }
  const ordered = [...tasks.values()].map((task) => ({ task, path: task.id.replaceAll(":", "\0") }));
  ordered.sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0));
  const page = ordered.slice(offset, offset + limit).map(({ task }) => task);
  if (values) await addValues(servers, results, page, signal);
  return { ...summary, tasks: page, offset, total: tasks.size };
}

/** The fields of a hash and what they hold, in pieces that are not too large; each once, unless it is written meanwhile. */
async function* entries(servers, key, size, signal) {
  const count = Math.max(1, Math.min(PIECE_ENTRIES, Math.floor(PIECE_BYTES / Math.max(size, 1))));
  let cursor = "0";
  do {
    const [reply] = await servers.all([{ key, command: ["HSCAN", key, cursor, "COUNT", String(count)] }], signal);
    const [next, fields] = servers.expect(reply, "HSCAN");
    cursor = String(next);
    for (let at = 0; at + 1 < fields.length; at += 2) yield [fields[at], fields[at + 1]];
  } while (cursor !== "0");
}

/** The fields of a hash and the sizes of what they hold. */
async function* sizes(servers, key, size, signal) {
  try {
    for await (const [field, text] of entries(servers, key, size, signal)) yield [field, Buffer.byteLength(text)];
    return;
  } catch (error) {
    if (!isTooLarge(error)) throw error;
  }
  // Some of them are larger than what is read at a time: without them, then.
  const [names] = await servers.all([{ key, command: ["HKEYS", key] }], signal);
  const left = [...servers.expect(names, "HKEYS")];
  while (left.length > 0) {
    const piece = left.splice(0, PIECE_ENTRIES);
    const lengths = await servers.all(
      piece.map((field) => ({ key, command: ["HSTRLEN", key, field] })),
      signal,
    );
    for (const [index, field] of piece.entries()) yield [field, servers.expect(lengths[index], "HSTRLEN")];
  }
}

/** Whether an answer was larger than what is read. */
function isTooLarge({ code, reply }) {
  return code === "ERR_REDIS_REPLY" && reply === undefined;
}

/** Reads the results of the tasks of a page, as JSON texts; not those that are larger than what is read at a time. */
async function addValues(servers, key, page, signal) {
  const done = page.filter(({ bytes }) => bytes !== undefined && bytes <= MAX_VALUE_BYTES);
  while (done.length > 0) {
    let bytes = 0;
    let length = 0;
    while (length < done.length && (length === 0 || bytes + done[length].bytes <= PIECE_BYTES)) {
      bytes += done[length].bytes;
      length += 1;
    }
    const piece = done.splice(0, length);
    const command = ["HMGET", key, ...piece.map(({ id }) => id)];
    const [reply] = await servers.all([{ key, command }], signal);
    for (const [index, json] of servers.expect(reply, "HMGET").entries()) {
      if (json !== null) piece[index].value = json;
    }
  }
}

module.exports = { execution };
