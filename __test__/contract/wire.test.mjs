// What is in Redis: byte for byte what the TypeScript package writes, so that old and new workers share one server.
import { randomInt } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createRedisStore } from "../../index.js";
import { createReferenceStore } from "../../tooling/reference-store.mjs";
import { TASK_IDS, VALUES } from "../../tooling/samples.mjs";
import { CLIENT_INPUTS, ioredisConfiguration, NATIVE_INPUTS, openStore } from "../support/inputs.mjs";
import { METHODS } from "../support/methods.mjs";
import { createRandom } from "../support/random.mjs";
import { sharedRedis } from "../support/redis.mjs";

const { url, admin, newId } = sharedRedis();
const reference = createReferenceStore(admin);

const SEQUENCES = 20;
const STEPS = 120;

/** Commits twice as often as the others, so that there is something to read. */
const CHOICES = [...METHODS, "commitExecutionTaskResult"];

/** A random sequence of calls; the same seed makes the same sequence. */
function randomCalls(random, executionIds) {
  return Array.from({ length: STEPS }, () => {
    const name = random.pick(CHOICES);
    const args = [random.pick(executionIds)];
    if (name.includes("Task") && name !== "getExecutionTaskResults") args.push(random.pick(TASK_IDS));
    if (name === "commitExecutionTaskResult") args.push(random.pick(VALUES));
    return { name, args };
  });
}

/** What the contract says, without Redis: the answer of each call and the content of the three keys. */
function createModel() {
  const executions = new Set();
  const marks = new Map();
  const results = new Map();
  const hash = (map, id) => map.get(id) ?? map.set(id, new Map()).get(id);
  const answers = {
    beginExecution: (id) => void executions.add(id),
    isExecutionInProgress: (id) => executions.has(id),
    beginExecutionTask: (id, task) => void hash(marks, id).set(task, "true"),
    isExecutionTaskInProgress: (id, task) => hash(marks, id).has(task),
    commitExecutionTaskResult(id, task, value) {
      hash(results, id).set(task, JSON.stringify(value));
      hash(marks, id).delete(task);
    },
    getExecutionTaskResult(id, task) {
      const json = hash(results, id).get(task);
      return json === undefined ? undefined : JSON.parse(json);
    },
    getExecutionTaskResults: (id) =>
      Object.fromEntries([...hash(results, id)].map(([task, json]) => [task, JSON.parse(json)])),
    disposeExecution(id) {
      executions.delete(id);
      marks.delete(id);
      results.delete(id);
    },
  };
  return {
    apply: ({ name, args }) => answers[name](...args),
    content: (id) => ({
      execution: executions.has(id) ? hex("true") : null,
      transactions: hexFields([...hash(marks, id)]),
      results: hexFields([...hash(results, id)]),
    }),
  };
}

const hex = (value) => Buffer.from(value).toString("hex");
const hexFields = (pairs) => pairs.map(([field, value]) => `${hex(field)} ${hex(value)}`).sort();

/** The content of the three keys, as bytes. */
async function content(id) {
  const execution = await admin.getBuffer(id);
  const [transactions, results] = await Promise.all(
    [`${id}-transactions`, `${id}-results`].map(async (key) => {
      const flat = await admin.callBuffer("HGETALL", key);
      const pairs = [];
      for (let index = 0; index < flat.length; index += 2) pairs.push([flat[index], flat[index + 1]]);
      return hexFields(pairs);
    }),
  );
  return { execution: execution === null ? null : hex(execution), transactions, results };
}

/** The three keys as Redis serialises them: type, encoding, order of fields and every byte. */
const dumps = (id) =>
  Promise.all(
    [id, `${id}-transactions`, `${id}-results`].map(async (key) => (await admin.dumpBuffer(key))?.toString("hex")),
  );

describe.each([NATIVE_INPUTS[0], CLIENT_INPUTS[0]])("a store over $name", (input) => {
  let store;
  let release;

  beforeAll(() => {
    ({ store, release } = openStore(input, { url }));
  });

  afterAll(() => release?.());

  it("shares executions with the TypeScript package: both see and write the same, in any mixture of calls", async () => {
    for (let sequence = 0; sequence < SEQUENCES; sequence++) {
      const seed = randomInt(2 ** 32);
      const random = createRandom(seed);
      const ids = [newId(), newId("é🚀")];
      const model = createModel();
      for (const [step, call] of randomCalls(random, ids).entries()) {
        const who = random.pick([store, reference]);
        const what = `seed ${seed}, step ${step}: ${who === store ? "ours" : "reference"}.${call.name}`;
        const expected = model.apply(call);
        expect(await who[call.name](...call.args), what).toEqual(expected);
      }
      for (const id of ids) expect(await content(id), `seed ${seed}, content`).toEqual(model.content(id));
    }
  });

  it("writes byte for byte what the TypeScript package writes for the same calls", async () => {
    for (let sequence = 0; sequence < SEQUENCES; sequence++) {
      const seed = randomInt(2 ** 32);
      const [ours, theirs] = [newId(), newId()];
      for (const { name, args } of randomCalls(createRandom(seed), [ours])) {
        await store[name](...args);
        await reference[name](theirs, ...args.slice(1));
      }
      expect(await dumps(ours), `seed ${seed}`).toEqual(await dumps(theirs));
    }
  });

  it("has no keys but the three", async () => {
    const id = newId();
    await store.beginExecution(id);
    await store.beginExecutionTask(id, "running");
    await store.commitExecutionTaskResult(id, "done", 1);
    expect((await admin.keys(`*${id}*`)).sort()).toEqual([id, `${id}-results`, `${id}-transactions`]);
    await store.disposeExecution(id);
    expect(await admin.keys(`*${id}*`)).toEqual([]);
  });

  it.each([
    ["a key prefix", { keyPrefix: "app:" }, (id) => `app:${id}`],
    ["hash tags", { hashTags: true }, (id) => `{${id}}`],
    ["both", { keyPrefix: "é:", hashTags: true }, (id) => `é:{${id}}`],
  ])("puts %s around the id, only when asked to", async (_, options, key) => {
    const { store: other, release: end } = openStore(input, { url }, options);
    try {
      const id = newId();
      await other.beginExecution(id);
      await other.beginExecutionTask(id, "running");
      await other.commitExecutionTaskResult(id, "done", 1);
      const keys = [key(id), `${key(id)}-results`, `${key(id)}-transactions`];
      expect((await admin.keys(`*${id}*`)).sort()).toEqual(keys.sort());
      expect(await other.getExecutionTaskResults(id)).toEqual({ done: 1 });
      expect(await other.isExecutionInProgress(id)).toBe(true);
      expect(await store.isExecutionInProgress(id)).toBe(false);
      await other.disposeExecution(id);
      expect(await admin.keys(`*${id}*`)).toEqual([]);
    } finally {
      await end();
    }
  });
});

describe("the settings of what was passed", () => {
  it.each([
    ["a prefix in the configuration", { keyPrefix: "conf:" }, undefined, "conf:"],
    ["a prefix in the options instead", { keyPrefix: "conf:" }, { keyPrefix: "opt:" }, "opt:"],
    ["an empty prefix in the options", { keyPrefix: "conf:" }, { keyPrefix: "" }, ""],
  ])("decide where the keys are: %s", async (_, configuration, options, prefix) => {
    const store = createRedisStore({ ...ioredisConfiguration(url), ...configuration }, options);
    const id = newId();
    await store.beginExecution(id);
    expect(await admin.get(prefix + id)).toBe("true");
    await store.close();
  });
});
