/**
 * One run of the demo: a worker starts an order, is killed in the middle of a step, a second worker finishes it. What
 * happened is read from the journal and from Redis, and then checked.
 */
import { fork } from "node:child_process";
import { randomUUID } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { SAMPLE_ORDER, STEPS } from "../../tooling/workflow/order-workflow.mjs";
import { verify } from "../../tooling/workflow/verify.mjs";
import { openFileQueue } from "../file-queue.mjs";
import { openJournal } from "./journal.mjs";

const WORKER = fileURLToPath(new URL("./worker-process.mjs", import.meta.url));
const DEADLINE_MS = 20_000;
const POLL_MS = 5;

/** The step in which the first worker dies: the customer's card has just been charged. */
const FATAL_STEP = STEPS[STEPS.indexOf("charge-payment") + 1];

/**
 * @param {object} options
 * @param {"ISOLATED" | "UNTIL_ERROR"} options.mode
 * @param {string} options.url of the Redis server
 * @param {import("ioredis").Redis} options.redis reads the keys beside the store
 * @param {ReturnType<import("./timeline.mjs").createTimeline>} options.timeline gets each event as it happens
 * @returns {Promise<import("../../tooling/workflow/verify.mjs").Check[]>}
 * @throws {Error} when the run does not get to its end
 */
export async function runScenario({ mode, url, redis, timeline }) {
  const dir = mkdtempSync(join(tmpdir(), "idioteque-demo-"));
  const queue = openFileQueue(join(dir, "queue"));
  const journal = openJournal(join(dir, "journal"));
  const executionId = randomUUID();
  const keys = [executionId, `${executionId}-transactions`, `${executionId}-results`];
  const environment = {
    DEMO_REDIS_URL: url,
    DEMO_MODE: mode,
    DEMO_QUEUE: join(dir, "queue"),
    DEMO_JOURNAL: join(dir, "journal"),
  };

  let shown = 0;
  const show = () => {
    const entries = journal.read();
    for (const entry of entries.slice(shown)) timeline.entry(entry);
    shown = entries.length;
    return entries;
  };

  let worker;
  try {
    timeline.begin(mode, executionId);
    queue.dispatch({ id: executionId, event: { name: "order.placed", data: SAMPLE_ORDER } });

    worker = startWorker({ ...environment, DEMO_HANGING_STEP: FATAL_STEP });
    timeline.started(worker.pid);
    const hasReached = ({ event, step }) => event === "start" && step === FATAL_STEP;
    await waitFor(worker, `reach ${FATAL_STEP}`, () => show().some(hasReached));
    worker.kill();
    const first = await worker.ended;
    timeline.killed(first.pid, FATAL_STEP);
    const before = await look(redis, keys);
    timeline.state(keys, before);

    queue.giveBack(first.pid);
    worker = startWorker({ ...environment, DEMO_HANGING_STEP: "" });
    timeline.resumed(worker.pid, FATAL_STEP, before);
    await waitFor(worker, "finish", () => show() && worker.outcome());
    const second = await worker.ended;
    const keysLeft = await redis.exists(...keys);
    timeline.finished(second.pid, keysLeft);

    const messagesLeft = queue.size();
    return verify({ fatalStep: FATAL_STEP, first, second, journal: show(), before, keysLeft, messagesLeft });
  } finally {
    worker?.kill();
    await worker?.ended;
    rmSync(dir, { recursive: true, force: true });
    await redis.del(...keys);
  }
}

function startWorker(environment) {
  const child = fork(WORKER, { env: { ...process.env, ...environment }, stdio: ["ignore", "ignore", "pipe", "ipc"] });
  let errors = "";
  let outcome;
  child.stderr.setEncoding("utf8").on("data", (text) => {
    errors = (errors + text).slice(-4000);
  });
  const ended = new Promise((resolve) => {
    child.once("error", (error) => resolve({ pid: child.pid, code: null, signal: error.message }));
    child.once("close", (code, signal) => resolve({ pid: child.pid, code, signal }));
  });
  ended.then((result) => {
    outcome = result;
  });
  return {
    pid: child.pid,
    ended,
    outcome: () => outcome,
    errors: () => errors.trim(),
    kill: () => void child.kill("SIGKILL"),
  };
}

async function waitFor(worker, goal, condition) {
  const deadline = Date.now() + DEADLINE_MS;
  for (;;) {
    const ended = worker.outcome();
    if (condition()) return;
    if (ended) {
      throw new Error(
        `Worker ${worker.pid} ended (${ended.signal ?? `status ${ended.code}`}) and did not ${goal}.\n${worker.errors()}`,
      );
    }
    if (Date.now() > deadline) {
      throw new Error(`Worker ${worker.pid} did not ${goal} within ${DEADLINE_MS / 1000} s.\n${worker.errors()}`);
    }
    await delay(POLL_MS);
  }
}

/** @returns {Promise<State>} */
async function look(redis, [execution, transactions, results]) {
  const [value, tasksInProgress, fields] = await Promise.all([
    redis.get(execution),
    redis.hkeys(transactions),
    redis.hgetall(results),
  ]);
  const parsed = Object.entries(fields).map(([taskId, json]) => [taskId, JSON.parse(json)]);
  return { execution: value, tasksInProgress: tasksInProgress.sort(), results: Object.fromEntries(parsed) };
}
