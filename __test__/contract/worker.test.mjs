/**
 * The store as a worker lives on it: whole workflows, in both modes, with messages that come twice and steps that fail.
 */
import { afterAll, describe, expect, test } from "vitest";
import { createRedisStore } from "../../index.js";
import { createReferenceStore } from "../../tooling/reference-store.mjs";
import { createWorker } from "../../tooling/workflow/worker.mjs";
import { METHODS } from "../support/methods.mjs";
import { sharedRedis } from "../support/redis.mjs";

const STEPS = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"];
const MESSAGE_LIMIT = 1000;

const { url, admin, newId, dump } = sharedRedis();
const redisStore = createRedisStore(url);
afterAll(() => redisStore.close());

/**
 * A queue in memory, through which messages travel as JSON. What fails is delivered again, from its last checkpoint, as
 * often as `retries` says.
 */
function createQueue({ retries = 0 } = {}) {
  const waiting = [];
  const delivered = [];
  return {
    delivered,
    dispatch: (message) => void waiting.push(JSON.stringify(message)),
    async drain(worker) {
      let failures = 0;
      while (waiting.length > 0) {
        let text = waiting.shift();
        delivered.push(text);
        if (delivered.length > MESSAGE_LIMIT) throw new Error("the workflow does not come to an end");
        const checkpoint = (message) => {
          text = JSON.stringify(message);
        };
        try {
          await worker.handle(JSON.parse(text), { checkpoint });
        } catch (error) {
          failures += 1;
          if (failures > retries) throw error;
          waiting.push(text);
        }
      }
    },
  };
}

/** The same store, with the names of the calls it gets. */
function recordCalls(store) {
  const calls = [];
  const recorded = Object.fromEntries(
    METHODS.map((name) => [
      name,
      (...args) => {
        calls.push(name);
        return store[name](...args);
      },
    ]),
  );
  return { calls, store: recorded };
}

/** Ten steps in a row; `body(step)` is what each does. */
function tenSteps(worker, body) {
  worker.createFunction({ id: "count", event: "start" }, async (_event, run) => {
    const results = [];
    for (const step of STEPS) results.push(await run(step, () => body(step)));
    return results;
  });
}

async function runWorkflow({ mode, store = redisStore, id = newId(mode), retries, define }) {
  const queue = createQueue({ retries });
  const worker = createWorker({ store, dispatcher: queue, mode });
  define(worker, queue);
  queue.dispatch({ id, event: { name: "start" } });
  await queue.drain(worker);
  return id;
}

const gone = { execution: { type: "none" }, transactions: { type: "none" }, results: { type: "none" } };

describe.each([
  { mode: "ISOLATED", calls: 92 },
  { mode: "UNTIL_ERROR", calls: 70 },
])("in mode $mode", ({ mode, calls: expectedCalls }) => {
  test(`ten steps run once each, in ${expectedCalls} store calls, and leave nothing`, async () => {
    const { store, calls } = recordCalls(redisStore);
    const ran = [];
    const id = await runWorkflow({ mode, store, define: (worker) => tenSteps(worker, (step) => ran.push(step)) });

    expect(ran).toEqual(STEPS);
    expect(calls).toHaveLength(expectedCalls);
    expect(await dump(id)).toEqual(gone);
  });

  test("Redis holds at every step what the reference store would have written", async () => {
    const seen = {};
    const stores = { ours: redisStore, reference: createReferenceStore(admin) };
    for (const [name, store] of Object.entries(stores)) {
      seen[name] = [];
      const id = newId(name);
      const define = (worker) =>
        tenSteps(worker, async (step) => {
          seen[name].push(await dump(id));
          return step === "three" ? undefined : { step, list: [1, null, "ü"] };
        });
      await runWorkflow({ mode, store, id, define });
      seen[name].push(await dump(id));
    }

    expect(seen.ours).toHaveLength(STEPS.length + 1);
    expect(seen.ours).toEqual(seen.reference);
  });

  test("messages that are delivered again do not run a committed step again", async () => {
    const ran = [];
    const id = newId("duplicates");
    await runWorkflow({
      mode,
      id,
      define: (worker, queue) =>
        tenSteps(worker, async (step) => {
          ran.push(step);
          const running = JSON.stringify(messageFor(id, ["count", step]));
          const earlier = new Set(queue.delivered.filter((text) => text !== running));
          for (const text of earlier) await worker.handle(JSON.parse(text));
          for (const done of ran.slice(0, -1)) await worker.handle(messageFor(id, ["count", done]));
        }),
    });
    expect(ran).toEqual(STEPS);
    expect(await dump(id)).toEqual(gone);
  });

  test("a step that fails is run again, and those before it are not", async () => {
    const ran = [];
    await runWorkflow({
      mode,
      retries: 1,
      define: (worker) =>
        tenSteps(worker, (step) => {
          ran.push(step);
          if (step === "five" && ran.length === 5) throw new Error("the service is away");
        }),
    });
    expect(ran).toEqual([...STEPS.slice(0, 5), ...STEPS.slice(4)]);
  });

  test("results are what JSON makes of them, also when a replay reads them back", async () => {
    const values = {
      nothing: undefined,
      null: null,
      date: new Date(0),
      nested: { a: [{ b: "\u0000 😀" }] },
      false: false,
      zero: 0,
      empty: "",
    };
    let outcome;
    await runWorkflow({
      mode,
      define: (worker) =>
        worker.createFunction({ id: "values", event: "start" }, async (_event, run) => {
          const results = {};
          for (const [name, value] of Object.entries(values)) results[name] = await run(name, () => value);
          outcome = results;
        }),
    });
    expect(outcome).toEqual({ ...values, date: "1970-01-01T00:00:00.000Z" });
  });

  test("steps may bear the names of object properties", async () => {
    const names = ["constructor", "toString", "__proto__", "hasOwnProperty", "7", "a:b", " "];
    const ran = [];
    await runWorkflow({
      mode,
      define: (worker) =>
        // The function's own id counts too: it is the first part of every task id, and alone it is one.
        worker.createFunction({ id: "valueOf", event: "start" }, async (_event, run) => {
          for (const name of names) await run(name, () => void ran.push(name));
        }),
    });
    expect(ran).toEqual(names);
  });

  test("nested steps and steps side by side run once each", async () => {
    const ran = [];
    const note = (name, value) => () => {
      ran.push(name);
      return value;
    };
    let outcome;
    await runWorkflow({
      mode,
      define: (worker) =>
        worker.createFunction({ id: "tree", event: "start" }, async (_event, run) => {
          const sums = await Promise.all([
            run("left", async (inner) => (await inner("x", note("x", 1))) + (await inner("y", note("y", 2)))),
            run("right", note("right", 10)),
          ]);
          outcome = sums[0] + sums[1] + (await run("last", note("last", 100)));
        }),
    });
    expect(outcome).toBe(113);
    expect(ran.sort()).toEqual(["last", "right", "x", "y"]);
  });

  test("two functions on one event both finish before the execution is disposed of", async () => {
    const ran = [];
    const id = await runWorkflow({
      mode,
      define(worker) {
        for (const name of ["first", "second"]) {
          worker.createFunction({ id: name, event: "start" }, async (_event, run) => {
            await run("step", () => void ran.push(name));
          });
        }
        worker.createFunction({ id: "other", event: "something else" }, () => void ran.push("other"));
      },
    });
    expect(ran.sort()).toEqual(["first", "second"]);
    expect(await dump(id)).toEqual(gone);
  });
});

test("in mode ISOLATED each kind of message makes its own sequence of store calls", async () => {
  const { store, calls } = recordCalls(redisStore);
  const sequences = [];
  const queue = createQueue();
  const worker = createWorker({ store, dispatcher: queue, mode: "ISOLATED" });
  worker.createFunction({ id: "f", event: "start" }, (_event, run) => run("step", () => 1));
  queue.dispatch({ id: newId("sequence"), event: { name: "start" } });
  await queue.drain({
    async handle(message) {
      await worker.handle(message);
      sequences.push(calls.splice(0));
    },
  });

  const opening = ["getExecutionTaskResults", "isExecutionInProgress"];
  const handOut = ["getExecutionTaskResult", "isExecutionTaskInProgress", "beginExecutionTask"];
  expect(sequences).toEqual([
    ["beginExecution", ...opening, ...handOut],
    [...opening, ...handOut],
    [...opening, "commitExecutionTaskResult"],
    [...opening, "commitExecutionTaskResult"],
    [...opening, "disposeExecution"],
  ]);
});

test("in mode UNTIL_ERROR a process may die before or after any store call, and the next one finishes", async () => {
  const define = (worker, note) =>
    worker.createFunction({ id: "f", event: "start" }, async (_event, run) => {
      for (const step of STEPS.slice(0, 3)) await run(step, () => note(step));
    });
  const { store: recorded, calls } = recordCalls(redisStore);
  await runWorkflow({ mode: "UNTIL_ERROR", store: recorded, define: (worker) => define(worker, () => {}) });

  for (let fatal = 1; fatal <= calls.length; fatal += 1) {
    for (const when of ["before", "after"]) {
      const id = newId(`${when}-${fatal}`);
      const ran = [];
      const committed = [];
      const queue = createQueue({ retries: 1 });
      const workers = [dyingStore(fatal, when, committed), dyingStore(Number.POSITIVE_INFINITY, when, committed)].map(
        (store) => createWorker({ store, dispatcher: queue, mode: "UNTIL_ERROR" }),
      );
      for (const worker of workers) {
        define(worker, (step) => void ran.push({ step, again: committed.includes(`f:${step}`) }));
      }
      queue.dispatch({ id, event: { name: "start" } });
      await queue.drain({ handle: (...args) => workers.shift().handle(...args) });

      const label = `died ${when} call ${fatal}`;
      expect(new Set(ran.map(({ step }) => step)), label).toEqual(new Set(STEPS.slice(0, 3)));
      expect(
        ran.filter(({ again }) => again),
        label,
      ).toEqual([]);
      expect(await dump(id), label).toEqual(gone);
    }
  }
});

/** The store in a process that dies at its nth call, before or after that call reaches Redis. */
function dyingStore(fatalCall, when, committed) {
  let calls = 0;
  const die = () => {
    throw new Error("the process is dead");
  };
  return Object.fromEntries(
    METHODS.map((name) => [
      name,
      async (...args) => {
        calls += 1;
        if (calls > fatalCall || (calls === fatalCall && when === "before")) die();
        const answer = await redisStore[name](...args);
        if (name === "commitExecutionTaskResult") committed.push(args[1]);
        if (calls === fatalCall) die();
        return answer;
      },
    ]),
  );
}

function messageFor(executionId, ...tasks) {
  return { id: executionId, event: { name: "start" }, context: { executionId, tasks } };
}
