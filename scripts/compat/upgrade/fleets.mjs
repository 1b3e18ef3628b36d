/**
 * Fleets of both releases: orders that one begins and the other finishes, workers that are killed half-way, an upgrade and a
 * rollback worker by worker, while orders go through. This process is the queue, which delivers again what a dead worker had.
 */
import { deepStrictEqual, strictEqual } from "node:assert";
import { fork } from "node:child_process";
import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { SAMPLE_ORDER, STEPS, taskId } from "../../../tooling/workflow/order-workflow.mjs";
import { verify } from "../../../tooling/workflow/verify.mjs";

const WORKER = fileURLToPath(new URL("./worker-process.mjs", import.meta.url));
const DEADLINE_MS = 60_000;
const MODES = ["ISOLATED", "UNTIL_ERROR"];
const FATAL_STEP = STEPS[5];
const FLEET = 3;
const ORDERS = 24;
/** Messages that a fleet handles before the next worker is replaced, in either mode. */
const HANDLED_BETWEEN = { ISOLATED: 40, UNTIL_ERROR: 2 };
/** What is left when a check fails goes away by itself. */
const TTL_MS = 600_000;

/** @param {import("./run.mjs").Context} context */
export async function checkFleets({ check, earlier, current, servers: { redis } }) {
  const fleet = { url: redis.server.url, redis: redis.admin };
  for (const mode of MODES) {
    for (const [first, second] of [
      [earlier, current],
      [current, earlier],
    ]) {
      const names = `${first.version} begins an order and is killed half-way, ${second.version} finishes it`;
      await check(`${names} (${mode})`, () => handOver({ ...fleet, mode, first, second }));
    }
    const there = `${earlier.version}, ${current.version}, ${earlier.version} and so on are killed at every step of an order`;
    await check(`${there} (${mode})`, () => killAtEveryStep({ ...fleet, mode, sides: [earlier, current] }));
    await check(`upgrade and rollback worker by worker, while ${ORDERS} orders go through (${mode})`, () =>
      rollOver({ ...fleet, mode, sides: [earlier, current], killed: false }),
    );
    await check(`the same with workers that are killed in the middle of a step (${mode})`, () =>
      rollOver({ ...fleet, mode, sides: [earlier, current], killed: true }),
    );
  }
  await check("each message to the other release: every task of an order is handed over", () =>
    alternate({ ...fleet, mode: "ISOLATED", sides: [earlier, current] }),
  );
}

async function handOver({ url, redis, mode, first: before, second: after }) {
  await redis.flushall();
  const queue = openQueue();
  const journal = [];
  const order = newOrder();
  queue.push(order);
  const workers = [before, after].map((side) => startWorker(side, { url, mode, queue, journal }));
  const [first, second] = workers;
  try {
    const reached = seen(first, ({ event, step }) => event === "start" && step === FATAL_STEP);
    const drained = drain(queue, first, { hangingStep: FATAL_STEP });
    await within(Promise.race([reached, drained]), `reaching ${FATAL_STEP}`);
    first.kill();
    await drained;
    const state = await look(redis, order.id);
    await within(drain(queue, second), "the end of the order");
    await second.stop();
    const run = { fatalStep: FATAL_STEP, first: await first.ended, second: await second.ended, journal, before: state };
    const checks = verify({ ...run, keysLeft: (await redis.keys("*")).length, messagesLeft: queue.length });
    const wrong = checks.filter(({ ok }) => !ok).map(({ claim, detail }) => `${claim}: ${detail}`);
    deepStrictEqual(wrong, []);
  } finally {
    for (const worker of workers) worker.kill();
  }
}

/** Each worker dies in the step after the one in which the worker before it died. */
async function killAtEveryStep({ url, redis, mode, sides }) {
  await redis.flushall();
  const queue = openQueue();
  const journal = [];
  queue.push(newOrder());
  for (const [index, step] of STEPS.entries()) {
    const worker = startWorker(sides[index % 2], { url, mode, queue, journal });
    try {
      const reached = seen(worker, (entry) => entry.event === "start" && entry.step === step);
      const drained = drain(queue, worker, { hangingStep: step });
      await within(Promise.race([reached, drained]), `reaching ${step}`);
      worker.kill();
      await drained;
    } finally {
      worker.kill();
    }
  }
  const last = startWorker(sides[STEPS.length % 2], { url, mode, queue, journal });
  try {
    await within(drain(queue, last), "the end of the order");
    await last.stop();
  } finally {
    last.kill();
  }
  const count = (event, step) => journal.filter((entry) => entry.event === event && entry.step === step).length;
  // A step begins once in the worker that dies in it, and once in that which goes on.
  deepStrictEqual(
    STEPS.map((step) => [count("start", step), count("done", step)]),
    STEPS.map(() => [2, 1]),
  );
  deepStrictEqual(await redis.keys("*"), []);
}

/** Two workers, one of each release, which take turns. */
async function alternate({ url, redis, mode, sides }) {
  await redis.flushall();
  const queue = openQueue();
  const journal = [];
  const orders = [newOrder(), newOrder()];
  queue.push(...orders);
  const workers = sides.map((side) => startWorker(side, { url, mode, queue, journal }));
  try {
    for (let turn = 0; queue.length > 0; turn += 1) {
      strictEqual(await within(workers[turn % 2].handle(queue.shift()), "a message"), "handled");
    }
    await Promise.all(workers.map((worker) => worker.stop()));
  } finally {
    for (const worker of workers) worker.kill();
  }
  everyOrderOnce(orders, journal);
  const committers = new Set(journal.filter(({ event }) => event === "commit").map(({ pid }) => pid));
  strictEqual(committers.size, 2);
  deepStrictEqual(await redis.keys("*"), []);
}

/** A fleet of one release becomes one of the other, and then one of the first again. */
async function rollOver({ url, redis, mode, sides, killed }) {
  await redis.flushall();
  const queue = openQueue();
  const journal = [];
  const orders = Array.from({ length: ORDERS }, newOrder);
  queue.push(...orders);
  const [earlier, current] = sides;
  // Upgrade, rollback: what takes whose place, one after the other.
  const successors = [...Array(FLEET).fill(current), ...Array(FLEET).fill(earlier)];
  const start = (side) => startWorker(side, { url, mode, queue, journal });
  const all = [];
  const add = (side) => {
    const worker = start(side);
    all.push(worker);
    return worker;
  };
  let handled = 0;
  let kills = 0;
  let due = HANDLED_BETWEEN[mode];

  /** One place of the fleet: a worker, and those that take its place. */
  async function place(side) {
    let worker = add(side);
    for (;;) {
      if (successors.length > 0 && handled >= due) {
        due = handled + HANDLED_BETWEEN[mode];
        const next = successors.shift();
        if (killed) await killWithin(worker);
        else await worker.stop();
        worker = add(next);
      }
      const message = queue.shift();
      if (message === undefined) {
        if (disposals(journal) === orders.length) break;
        await delay(1);
        continue;
      }
      strictEqual(await worker.handle(message), "handled");
      handled += 1;
    }
    await worker.stop();
  }

  /** Dies in the next step that it takes; what it had is delivered again. */
  async function killWithin(worker) {
    for (let message = queue.shift(); message; message = queue.shift()) {
      const reached = seen(worker, ({ event, step }) => event === "start" && STEPS.includes(step));
      const outcome = worker.handle(message, { hangingStep: "any" });
      if ((await Promise.race([reached.then(() => "reached"), outcome])) === "handled") {
        handled += 1;
        continue;
      }
      worker.kill();
      strictEqual(await outcome, "died");
      kills += 1;
      return;
    }
    // There was nothing left that it could have died in.
    await worker.stop();
  }

  try {
    await within(Promise.all(Array.from({ length: FLEET }, () => place(earlier))), "the end of all orders");
  } finally {
    for (const worker of all) worker.kill();
  }
  strictEqual(successors.length, 0, "not every worker was replaced");
  strictEqual(kills > 0, killed, `${kills} workers were killed`);
  if (killed) everyOrderAtLeastOnce(orders, journal);
  else everyOrderOnce(orders, journal);
  deepStrictEqual(await redis.keys("*"), []);
}

/** No step of any order was run or committed twice, and each order came to its end. */
function everyOrderOnce(orders, journal) {
  const expected = [...STEPS.map(taskId), taskId()].sort();
  for (const { id } of orders) {
    const committed = journal.filter(({ event, executionId }) => event === "commit" && executionId === id);
    deepStrictEqual(committed.map((entry) => entry.taskId).sort(), expected);
  }
  strictEqual(journal.filter(({ event }) => event === "start").length, orders.length * STEPS.length);
  strictEqual(disposals(journal), orders.length);
}

function everyOrderAtLeastOnce(orders, journal) {
  const expected = [...STEPS.map(taskId), taskId()].sort();
  for (const { id } of orders) {
    const committed = journal.filter(({ event, executionId }) => event === "commit" && executionId === id);
    deepStrictEqual([...new Set(committed.map((entry) => entry.taskId))].sort(), expected);
  }
  strictEqual(disposals(journal), orders.length);
}

function disposals(journal) {
  return new Set(journal.filter(({ event }) => event === "dispose").map(({ executionId }) => executionId)).size;
}

function newOrder() {
  return { id: randomUUID(), event: { name: "order.placed", data: SAMPLE_ORDER } };
}

const openQueue = () => [];

/** Delivers until nothing is left, or the worker has died. */
async function drain(queue, worker, options) {
  for (let message = queue.shift(); message; message = queue.shift()) {
    if ((await worker.handle(message, options)) === "died") return;
  }
}

/** A process with one release. What it dispatches goes into the queue, and what it says of its work into the journal. */
function startWorker({ home }, { url, mode, queue, journal }) {
  const args = [home, url, mode, JSON.stringify({ ttl: TTL_MS })];
  const child = fork(WORKER, args, { stdio: ["ignore", "ignore", "pipe", "ipc"] });
  const listeners = new Set();
  let errors = "";
  child.stderr.setEncoding("utf8").on("data", (text) => {
    errors = (errors + text).slice(-4000);
  });
  const ended = new Promise((resolve) => {
    child.once("error", (error) => resolve({ pid: child.pid, code: null, signal: error.message }));
    child.once("close", (code, signal) => resolve({ pid: child.pid, code, signal }));
  });
  child.on("message", (said) => {
    if (said.dispatched) queue.push(said.dispatched);
    else if (said.event) journal.push({ at: Date.now(), pid: child.pid, ...said });
    for (const listener of listeners) listener(said);
  });

  return {
    pid: child.pid,
    ended,
    listeners,
    kill: () => void child.kill("SIGKILL"),

    /** Tells it to end; it has to close its store, and end by itself. */
    async stop() {
      child.send({ stop: true });
      const { code, signal } = await within(ended, "the end of a worker");
      if (code !== 0) throw new Error(`A worker ended with ${signal ?? `status ${code}`}:\n${errors}`);
    },

    /**
     * Delivers a message. If the worker dies, what it last wanted to have delivered instead goes back to the front of the queue.
     *
     * @returns {Promise<"handled" | "died">}
     */
    handle(message, { hangingStep } = {}) {
      let again = message;
      return new Promise((resolve, reject) => {
        const listener = ({ checkpoint, handled, failed }) => {
          if (checkpoint) again = checkpoint;
          else if (handled) settle(resolve, "handled");
          else if (failed) settle(reject, new Error(failed));
        };
        const settle = (how, outcome) => {
          listeners.delete(listener);
          how(outcome);
        };
        listeners.add(listener);
        ended.then(({ signal }) => {
          if (!listeners.has(listener)) return;
          queue.unshift(again);
          if (signal === "SIGKILL") settle(resolve, "died");
          else settle(reject, new Error(`A worker has ended:\n${errors}`));
        });
        child.send({ message, hangingStep });
      });
    },
  };
}

/** Resolves when a worker has told what is looked for. */
function seen({ listeners }, isIt) {
  return new Promise((resolve) => {
    const listener = (said) => {
      if (!isIt(said)) return;
      listeners.delete(listener);
      resolve(said);
    };
    listeners.add(listener);
  });
}

/** What Redis holds of an execution. */
async function look(redis, id) {
  const [execution, tasksInProgress, fields] = await Promise.all([
    redis.get(id),
    redis.hkeys(`${id}-transactions`),
    redis.hgetall(`${id}-results`),
  ]);
  const parsed = Object.entries(fields).map(([task, json]) => [task, JSON.parse(json)]);
  return { execution, tasksInProgress: tasksInProgress.sort(), results: Object.fromEntries(parsed) };
}

async function within(promise, what) {
  const late = new AbortController();
  const deadline = delay(DEADLINE_MS, undefined, { signal: late.signal }).then(() => {
    throw new Error(`${what} did not come within ${DEADLINE_MS / 1000} s`);
  });
  deadline.catch(() => {});
  try {
    return await Promise.race([promise, deadline]);
  } finally {
    late.abort();
  }
}
