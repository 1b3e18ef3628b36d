"use strict";
// `list` and `count`: the executions on the servers.

const { durationOf, numberOf } = require("../options.js");
const { padEnd, widthOf } = require("../terminal.js");
const { asJson, count: thousands, duration, many, printable, size } = require("../units.js");

const ID_WIDTH = 36;

async function list({ admin, values, out, err, progress, signal }) {
  let looked = 0;
  const found = admin.executions({
    stuck: values.stuck,
    orphans: values.orphans,
    all: values.all,
    match: values.match,
    limit: numberOf(values, "limit"),
    olderThan: durationOf(values, "older-than"),
    signal,
    onProgress: (keys) => {
      looked += keys;
      progress.show(`about ${thousands(looked)} keys looked at, ${many(listed, "execution")} found`);
    },
  });
  let listed = 0;
  let ageless = 0;
  for await (const summary of found) {
    progress.end();
    if (values.json) {
      await out.line(asJson(summary));
    } else {
      if (listed === 0)
        await out.cut(out.style("dim", row("EXECUTION", "RESULTS", "SIZE", "IDLE", "TTL", "IN PROGRESS")));
      await writeRow(out, summary);
    }
    listed += 1;
    if (summary.idleMs === undefined) ageless += 1;
  }
  progress.end();
  if (values.json) return 0;
  if (listed === 0) await out.line("No executions found.");
  if (ageless > 0 && (values.stuck || values["older-than"])) {
    await err.line(
      `The age of ${many(ageless, "execution")} is not known: --ttl gives it where the stores have a ttl.`,
    );
  }
  return 0;
}

function row(id, results, bytes, idle, ttl, inProgress) {
  const columns = [padEnd(id, ID_WIDTH), results.padStart(7), bytes.padStart(5), idle.padStart(4), ttl.padStart(4)];
  return `${columns.join("  ")}  ${inProgress}`.trimEnd();
}

async function writeRow(out, summary) {
  const { id, orphan, results, bytes, idleMs, ttlMs } = summary;
  const id_ = printable(id);
  const ttl = ttlMs === undefined ? "-" : duration(ttlMs);
  const state = [orphan ? out.style("yellow", "orphan") : "", inProgressOf(summary)].filter(Boolean).join(" ");
  const line = row(id_, thousands(results), size(bytes), duration(idleMs), ttl, state);
  // An id has to be there in whole, so that it can be copied.
  await (widthOf(id_) > ID_WIDTH ? out.line(line) : out.cut(line));
}

/** `2: f:a, f:b` */
function inProgressOf({ inProgress, inProgressCount, orphan }) {
  if (inProgress === undefined) return orphan ? "" : "?";
  if (inProgressCount === 0) return "";
  const more = inProgressCount > inProgress.length ? ", …" : "";
  return `${thousands(inProgressCount)}: ${inProgress.map(printable).join(", ")}${more}`;
}

async function count({ admin, values, out, progress, signal }) {
  const sums = { executions: 0, inProgress: 0, orphans: 0, bytes: 0 };
  let looked = 0;
  const onProgress = (keys) => {
    looked += keys;
    progress.show(`about ${thousands(looked)} keys looked at, ${many(sums.executions, "execution")} counted`);
  };
  for await (const summary of admin.executions({ match: values.match, all: values.all, signal, onProgress })) {
    if (summary.orphan) sums.orphans += 1;
    else sums.executions += 1;
    if (!summary.orphan && summary.inProgressCount > 0) sums.inProgress += 1;
    sums.bytes += summary.bytes ?? 0;
  }
  progress.end();
  if (values.json) {
    await out.line(asJson(sums));
    return 0;
  }
  const lines = [
    ["executions", thousands(sums.executions)],
    ["with tasks in progress", thousands(sums.inProgress)],
    ["orphans", thousands(sums.orphans)],
    ["bytes", `${thousands(sums.bytes)} (${size(sums.bytes)})`],
  ];
  for (const [name, number] of lines) await out.line(`${name.padEnd(24)}${number}`);
  return 0;
}

module.exports = { count, list };
