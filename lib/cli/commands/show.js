"use strict";
// `show`: one execution, its steps as a tree by their paths, a page at a time.

const { numberOf } = require("../options.js");
const { padEnd, widthOf } = require("../terminal.js");
const { asJson, count, duration, many, printable, printableJson, size } = require("../units.js");

const PAGE = 1_000;
const PAGE_ON_TERMINAL = 200;

async function show({ admin, ids: [id], values, out, signal }) {
  const limit = numberOf(values, "limit") ?? (out.isTerminal ? PAGE_ON_TERMINAL : PAGE);
  const offset = numberOf(values, "offset") ?? 0;
  const execution = await admin.execution(id, { limit, offset, values: values.values, signal });
  if (values.json) {
    await out.line(asJson(execution ?? null));
    return execution ? 0 : 1;
  }
  if (!execution) {
    await out.line(
      `There is nothing of an execution ${printable(id)}. Is --prefix, or --hash-tags, as the workers have it?`,
    );
    return 1;
  }
  await writeSummary(out, execution);
  await writeTree(out, execution.tasks, offset > 0);
  const end = offset + execution.tasks.length;
  if (end < execution.total) {
    await out.line(`… ${many(execution.total - end, "more task")}: --offset ${end}, or a larger --limit`);
  }
  return 0;
}

async function writeSummary(out, execution) {
  const { id, orphan, bytes, idleMs, startedMs, ttlMs, total, inProgressCount, results } = execution;
  const state = orphan ? out.style("yellow", "orphan: it has no execution key any more") : "in progress";
  await out.line(`${out.style("bold", printable(id))}  ${state}`);
  const facts = [
    `${many(total, "task")}: ${count(results)} done, ${count(inProgressCount)} in progress`,
    startedMs === undefined ? "" : `begun ${duration(startedMs)} ago`,
    idleMs === undefined ? "idle time unknown" : `idle for ${duration(idleMs)}`,
    ttlMs === undefined ? "never expires" : `expires in ${duration(ttlMs)}`,
    size(bytes),
  ];
  await out.cut(facts.filter(Boolean).join(" · "));
}

/** Tasks in the order of their paths, each below the last one whose path it continues. */
async function writeTree(out, tasks, isContinued) {
  const rows = [];
  let path = [];
  for (const task of tasks) {
    const steps = task.id.split(":");
    let depth = 0;
    while (depth < path.length && depth < steps.length - 1 && path[depth] === steps[depth]) depth += 1;
    // Steps in between that are no tasks themselves, or are on an earlier page.
    for (; depth < steps.length - 1; depth += 1) rows.push({ name: steps[depth], depth });
    rows.push({ name: steps.at(-1), depth, task });
    path = steps;
  }
  if (isContinued) await out.line(out.style("dim", "…"));
  const widest = rows.reduce((most, { name, depth }) => Math.max(most, 2 * depth + widthOf(printable(name))), 0);
  const width = Math.min(widest, Math.max(20, out.width - 24), 100);
  for (const { name, depth, task } of rows) {
    const label = `${"  ".repeat(depth)}${printable(name)}`;
    if (!task) {
      await out.cut(out.style("dim", `  ${label}`));
      continue;
    }
    const isDone = task.state === "done";
    const sign = isDone ? out.style("green", "✓") : out.style("yellow", "●");
    const state = isDone ? size(task.bytes).padStart(6) : out.style("yellow", task.state);
    const value = task.value === undefined ? "" : `  ${printableJson(task.value)}`;
    await out.cut(`${sign} ${padEnd(label, width)}  ${state}${value}`);
  }
}

module.exports = { show };
