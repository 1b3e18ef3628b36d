/**
 * What must be true of a run of the demo, checked against the journal and Redis.
 */
import { isDeepStrictEqual } from "node:util";
import { priceOf, SAMPLE_ORDER, STEPS, taskId } from "./order-workflow.mjs";

/**
 * @typedef {object} State what Redis holds for an execution
 * @property {string | null} execution
 * @property {string[]} tasksInProgress ids of the tasks that are in progress
 * @property {Record<string, unknown>} results per task id
 *
 * @typedef {object} Run everything that is known about a run
 * @property {string} fatalStep in which the first worker was killed
 * @property {{ pid: number, signal: string | null, code: number | null }} first how the first worker ended
 * @property {{ pid: number, signal: string | null, code: number | null }} second
 * @property {Entry[]} journal
 * @property {State} before what Redis held while no worker was alive
 * @property {number} keysLeft how many of the three keys there are in the end
 * @property {number} messagesLeft what is still in the queue in the end
 *
 * @typedef {object} Entry
 * @property {number} at milliseconds since the epoch
 * @property {number} pid who wrote it
 * @property {"start" | "done" | "commit" | "dispose"} event
 * @property {string} [step] of `start` and `done`
 * @property {string} [taskId] of `commit`
 * @property {unknown} [value] of `commit`
 */

/** @typedef {{ ok: boolean, claim: string, detail?: string }} Check `detail` is what was found instead */

/**
 * @param {Run} run
 * @returns {Check[]}
 */
export function verify(run) {
  const { fatalStep, first, second, journal, before } = run;
  const ofFirst = STEPS.slice(0, STEPS.indexOf(fatalStep));
  const starts = (step) => journal.filter((entry) => entry.event === "start" && entry.step === step);
  const commits = (id) => journal.filter((entry) => entry.event === "commit" && entry.taskId === id);
  const pids = (entries) => entries.map(({ pid }) => pid);

  const checks = [];
  const check = (claim, found, expected) => {
    const ok = isDeepStrictEqual(found, expected);
    checks.push({
      ok,
      claim,
      detail: ok ? undefined : `${JSON.stringify(found)} instead of ${JSON.stringify(expected)}`,
    });
  };

  check(`worker ${first.pid} died of SIGKILL inside ${fatalStep}`, first.signal, "SIGKILL");
  check(
    "at that moment Redis held the execution, its open tasks and every committed result",
    [before.execution, before.tasksInProgress, Object.keys(before.results).sort()],
    ["true", [taskId(), taskId(fatalStep)].sort(), ofFirst.map(taskId).sort()],
  );
  check(`worker ${second.pid} finished`, second.code, 0);
  check(
    "each of the ten steps was committed once",
    STEPS.map((step) => pids(commits(taskId(step)))),
    STEPS.map((step) => [ofFirst.includes(step) ? first.pid : second.pid]),
  );
  check(
    `no committed step ran again; only ${fatalStep} ran twice, its first run having no result`,
    STEPS.map((step) => pids(starts(step))),
    STEPS.map((step) =>
      step === fatalStep ? [first.pid, second.pid] : [ofFirst.includes(step) ? first.pid : second.pid],
    ),
  );

  const { total } = priceOf(SAMPLE_ORDER);
  const payment = before.results[taskId("charge-payment")]?.payment;
  const [result] = commits(taskId()).map(({ value }) => value);
  check(
    `the card was charged once, by worker ${first.pid}, and worker ${second.pid} knew the payment: ${payment}`,
    {
      order: result?.order,
      total: result?.total,
      payment: result?.payment,
      chargedByProcess: result?.chargedByProcess,
    },
    { order: SAMPLE_ORDER.number, total, payment, chargedByProcess: first.pid },
  );
  check("the queue is empty and all three keys are gone", [run.messagesLeft, run.keysLeft], [0, 0]);
  return checks;
}
