// Executions with more results than are parsed at once: the table is the same as of few, whatever the tasks are called.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CLIENT_INPUTS, NATIVE_INPUTS, openStore } from "../support/inputs.mjs";
import { sharedRedis } from "../support/redis.mjs";
import { rejectionOf } from "../support/temporary.mjs";

const { url, admin, newId } = sharedRedis();

/** Names that an object could take for something else, or put in another order. */
const NAMES = [
  "__proto__",
  "constructor",
  "toString",
  "10",
  "9",
  "-1",
  "4294967295",
  "",
  "a,b",
  '"]',
  "é",
  "task:\u2028",
];

/** About 12 MB: one result in ten is large, the last ones are small. */
function manyResults() {
  const value = (index) => (index % 10 === 0 ? { text: "x,]}".repeat(15_000), index } : [index, "é", null, { index }]);
  const plain = Array.from({ length: 2000 }, (_, index) => [`step ${index}`, value(index)]);
  NAMES.forEach((name, index) => {
    // Among the first, in the middle and among the last.
    plain.splice(Math.floor((index * plain.length) / (NAMES.length - 1)), 0, [name, value(index)]);
  });
  return plain;
}

async function write(id, results) {
  const fields = results.flatMap(([name, value]) => [name, typeof value === "string" ? value : JSON.stringify(value)]);
  for (let i = 0; i < fields.length; i += 1000) await admin.hset(`${id}-results`, ...fields.slice(i, i + 1000));
}

describe.each([NATIVE_INPUTS[0], CLIENT_INPUTS[0]])("a store over $name", (input) => {
  let store;
  let release;

  beforeAll(() => {
    ({ store, release } = openStore(input, { url }));
  });

  afterAll(() => release?.());

  it("reads each of many results under its name", async () => {
    const [id, results] = [newId(), manyResults()];
    await write(id, results);
    const table = await store.getExecutionTaskResults(id);
    expect(Object.getPrototypeOf(table)).toBe(null);
    const stored = new Map(results);
    expect(Object.keys(table).sort()).toEqual([...stored.keys()].sort());
    for (const [name, value] of stored) expect(table[name], name).toEqual(value);
    expect({}.index).toBeUndefined();
  });

  it("answers several questions about them, each with the whole", async () => {
    const [id, results] = [newId(), manyResults()];
    await write(id, results);
    const [first, one, second, flag] = await Promise.all([
      store.getExecutionTaskResults(id),
      store.getExecutionTaskResult(id, "__proto__"),
      store.getExecutionTaskResults(id),
      store.isExecutionInProgress(id),
    ]);
    expect(one).toEqual(new Map(results).get("__proto__"));
    expect(first).toEqual(second);
    expect(Object.keys(second)).toHaveLength(results.length);
    expect(flag).toBe(false);
  });

  it.each([0, 700, 1400, 2011])("names one that is not JSON, the %i. of them", async (place) => {
    const [id, results] = [newId(), manyResults()];
    results[place][1] = '1],"x":[2';
    await write(id, results);
    const error = await rejectionOf(store.getExecutionTaskResults(id));
    expect(error).toMatchObject({ code: "ERR_REDIS_PARSE", executionId: id, taskId: results[place][0] });
  });
});
