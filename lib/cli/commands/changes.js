"use strict";
// `release`, `dispose` and `sweep`: what they would do, a question, and what they did.

const { UsageError, durationOf, numberOf } = require("../options.js");
const { confirm } = require("../terminal.js");
const { asJson, duration, many, printable, size } = require("../units.js");

const REDELIVER =
  "The task is dispatched again when its message is delivered again: nothing here delivers it. If the queue has given the message up, send it anew.";

/** Says what would be done, and asks. `--yes` is the answer; without a terminal nobody can be asked, and nothing is done. */
async function mayDo({ values, out, signal }, lines, question) {
  if (!values.json) for (const line of lines) await out.line(line);
  if (values.yes) return true;
  const answer = values.json ? undefined : await confirm(question, signal);
  if (answer === undefined && !values.json) await out.line("Nothing was changed: --yes does it.");
  if (answer === false) await out.line("Nothing was changed.");
  return answer === true;
}

async function release(session) {
  const { admin, ids, values, out, signal } = session;
  const [id, task] = ids;
  const names = `${printable(task)} of ${printable(id)}`;
  const execution = await admin.execution(id, { limit: 0, signal });
  const isInProgress = execution !== undefined && (await admin.releaseTask(id, task, { dryRun: true, signal }));
  if (!isInProgress) {
    const why = execution === undefined ? "there is nothing of the execution" : "the task is not in progress";
    await out.line(values.json ? asJson({ released: false, dryRun: false }) : `${names}: ${why}.`);
    return 1;
  }
  const age = execution.idleMs === undefined ? "" : `, idle for ${duration(execution.idleMs)}`;
  const would = `${names} is in progress${age}. Its in-progress mark is to be removed, so that it can be dispatched again.`;
  if (!(await mayDo(session, [would], "Remove the mark?"))) {
    if (values.json) await out.line(asJson({ released: false, dryRun: true }));
    return 1;
  }
  const released = await admin.releaseTask(id, task, { signal });
  if (values.json) await out.line(asJson({ released, dryRun: false }));
  else await out.line(released ? `Released. ${REDELIVER}` : `${names} was not in progress any more.`);
  return released ? 0 : 1;
}

async function dispose(session) {
  const { admin, values, out, signal } = session;
  const ids = [...new Set(session.ids)];
  const found = [];
  for (const id of ids) {
    const execution = await admin.execution(id, { limit: 0, signal });
    if (execution) found.push(execution);
    else if (!values.json) await out.line(`There is nothing of an execution ${printable(id)}.`);
  }
  const lines = found.map(({ id, total, inProgressCount, bytes }) => {
    const tasks = `${many(total, "task")}, ${many(inProgressCount, "mark")}`;
    return `${printable(id)} is to be deleted: ${tasks}, ${size(bytes)}.`;
  });
  const isWanted = found.length > 0 && (await mayDo(session, lines, `Delete ${many(found.length, "execution")}?`));
  const disposed = [];
  if (isWanted) {
    for (const { id } of found) if (await admin.disposeExecution(id, { signal })) disposed.push(id);
  }
  if (values.json) await out.line(asJson({ disposed, dryRun: found.length > 0 && !isWanted }));
  else if (isWanted) await out.line(`${many(disposed.length, "execution")} deleted.`);
  return disposed.length === ids.length ? 0 : 1;
}

async function sweep(session) {
  const { admin, values, out, progress, signal } = session;
  const olderThan = durationOf(values, "older-than");
  if (olderThan === undefined) throw new UsageError("sweep needs --older-than, such as --older-than 7d");
  const filter = {
    olderThan,
    stuck: values.stuck,
    all: values.all,
    anyAge: values["any-age"],
    match: values.match,
    limit: numberOf(values, "limit"),
    signal,
  };
  const what = values.stuck ? "orphans and stuck executions" : "orphans";
  const run = async (dryRun) => {
    let found = 0;
    const onSwept = () => {
      found += 1;
    };
    const onProgress = () => progress.show(`${many(found, "execution")} ${dryRun ? "found" : "deleted"}`);
    const report = await admin.sweep({ ...filter, dryRun, onSwept, onProgress });
    progress.end();
    return report;
  };
  // With `--yes` nobody reads what would be done.
  if (!values.yes) {
    const would = await run(true);
    const lines = [
      `${many(would.swept, "execution")} (${what} of ${duration(olderThan)} and more) to be deleted, ${size(would.bytes)}.`,
    ];
    if (would.unknownAge > 0)
      lines.push(`${many(would.unknownAge, "execution")} of unknown age left alone: --any-age takes them too.`);
    const isWanted = would.swept > 0 && (await mayDo(session, lines, "Delete them?"));
    if (would.swept === 0 && !values.json) for (const line of lines) await out.line(line);
    if (!isWanted) {
      if (values.json) await out.line(asJson({ ...would, dryRun: true }));
      return would.swept === 0 ? 0 : 1;
    }
  }
  const report = await run(false);
  if (values.json) {
    await out.line(asJson({ ...report, dryRun: false }));
    return 0;
  }
  await out.line(`${many(report.swept, "execution")} deleted, ${size(report.bytes)}.`);
  if (report.changed > 0)
    await out.line(`${many(report.changed, "execution")} had changed meanwhile, and were left alone.`);
  if (report.unknownAge > 0) await out.line(`${many(report.unknownAge, "execution")} of unknown age left alone.`);
  return 0;
}

module.exports = { dispose, release, sweep };
