// What other programs left in Redis: results that are not JSON and keys of another type are errors that name them.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { RedisStoreError } from "../../index.js";
import { CLIENT_INPUTS, NATIVE_INPUTS, openStore } from "../support/inputs.mjs";
import { sharedRedis } from "../support/redis.mjs";

const { url, admin, newId } = sharedRedis();

const TASK_ID = "process:pay";

/** Stored values that are not one JSON value each; some would change the table if they were pasted into it. */
const CORRUPT = [
  ["half of it", '{"total":'],
  ["an empty string", ""],
  ["white space", "  "],
  ["undefined", "undefined"],
  ["NaN", "NaN"],
  ["a single quote", "'text'"],
  ["what a function's string is", "() => 1"],
  ["a value and a field", '1,"x":2'],
  ["a value and the end of the table", '1},{"x":2'],
  ["two values", "1 2"],
  ["a trailing comma", "[1,]"],
  ["a comment", "1 // one"],
  ["a leading zero", "01"],
  ["a raw line break in a string", '"a\nb"'],
  ["a raw NUL in a string", '"a\0b"'],
  ["a byte order mark", "\ufeff1"],
  ["an unfinished escape", '"\\u12"'],
  ["the prototype as a field", '1,"__proto__":{"admin":true}'],
];

const rejection = (promise) =>
  promise.then(
    (value) => expect.fail(`resolved with ${JSON.stringify(value)}`),
    (error) => error,
  );

/** What the engine says about a text that is not JSON. */
function engineMessage(text) {
  try {
    JSON.parse(text);
  } catch (error) {
    return error.message;
  }
  return expect.fail(`${text} is JSON`);
}

describe.each([NATIVE_INPUTS[0], CLIENT_INPUTS[0]])("a store over $name", (input) => {
  let store;
  let release;

  beforeAll(() => {
    ({ store, release } = openStore(input, { url }));
  });

  afterAll(() => release?.());

  describe.each([
    ["getExecutionTaskResult", (id) => store.getExecutionTaskResult(id, TASK_ID)],
    ["getExecutionTaskResults", (id) => store.getExecutionTaskResults(id)],
  ])("%s", (_, read) => {
    it.each(CORRUPT)("names key, task and content of a result that is not JSON: %s", async (_label, raw) => {
      const id = newId();
      await admin.hset(`${id}-results`, { before: "1", [TASK_ID]: raw, x: "3" });
      const error = await rejection(read(id));
      expect(error).toBeInstanceOf(RedisStoreError);
      expect(error).toMatchObject({
        code: "ERR_REDIS_PARSE",
        executionId: id,
        taskId: TASK_ID,
        key: `${id}-results`,
      });
      expect(error.message).toBe(
        `Failed to parse JSON for Redis key "${id}-results" field "${TASK_ID}": ${engineMessage(raw)}. Raw value: "${raw}"`,
      );
      expect(error.cause).toBeInstanceOf(SyntaxError);
    });

    it("shows the first 200 characters of a long one", async () => {
      const id = newId();
      await admin.hset(`${id}-results`, TASK_ID, "é".repeat(5000));
      const { message } = await rejection(read(id));
      expect(message.endsWith(`. Raw value: "${"é".repeat(200)}"`)).toBe(true);
    });

    it("does not cut a character in half", async () => {
      const id = newId();
      await admin.hset(`${id}-results`, TASK_ID, `${"x".repeat(199)}🚀🚀`);
      const { message } = await rejection(read(id));
      expect(message.endsWith(`. Raw value: "${"x".repeat(199)}🚀"`)).toBe(true);
    });

    it("survives bytes that are not text", async () => {
      const id = newId();
      await admin.hset(`${id}-results`, TASK_ID, Buffer.from([0xff, 0xfe, 0x00]));
      const error = await rejection(read(id));
      expect(error).toMatchObject({ code: "ERR_REDIS_PARSE", taskId: TASK_ID });
    });

    it("reads again once the result has been repaired", async () => {
      const id = newId();
      await admin.hset(`${id}-results`, TASK_ID, "{");
      await rejection(read(id));
      await store.commitExecutionTaskResult(id, TASK_ID, "repaired");
      expect(JSON.stringify(await read(id))).toContain("repaired");
    });

    it("reports a key that is no hash as the server does", async () => {
      const id = newId();
      await admin.set(`${id}-results`, "text");
      const error = await rejection(read(id));
      expect(error).toMatchObject({
        code: "ERR_REDIS_REPLY",
        reply: "WRONGTYPE",
        key: `${id}-results`,
        executionId: id,
      });
    });
  });

  it("still reads the other results one by one", async () => {
    const id = newId();
    await admin.hset(`${id}-results`, { good: "1", bad: "{" });
    expect(await store.getExecutionTaskResult(id, "good")).toBe(1);
    await rejection(store.getExecutionTaskResult(id, "bad"));
  });

  it("lets no stored value add a result", async () => {
    const id = newId();
    await admin.hset(`${id}-results`, { a: '1,"b":2' });
    await rejection(store.getExecutionTaskResults(id));
    await admin.hset(`${id}-results`, { a: JSON.stringify('1,"b":2') });
    expect({ ...(await store.getExecutionTaskResults(id)) }).toEqual({ a: '1,"b":2' });
  });

  it("takes JSON written by others as JSON, white space included", async () => {
    const id = newId();
    await admin.hset(`${id}-results`, {
      a: ' \n{ "b" : [ 1 , 2 ] }\t',
      c: "1E400",
      d: '"\\ud800"',
      e: '{"x":1,"x":2}',
    });
    const results = await store.getExecutionTaskResults(id);
    expect({ ...results }).toEqual({ a: { b: [1, 2] }, c: Number.POSITIVE_INFINITY, d: "\ud800", e: { x: 2 } });
    expect(await store.getExecutionTaskResult(id, "d")).toBe("\ud800");
  });

  it.each([
    ["isExecutionInProgress", "", (id) => store.isExecutionInProgress(id)],
    ["beginExecutionTask", "-transactions", (id) => store.beginExecutionTask(id, "task")],
    ["isExecutionTaskInProgress", "-transactions", (id) => store.isExecutionTaskInProgress(id, "task")],
    ["commitExecutionTaskResult", "-results", (id) => store.commitExecutionTaskResult(id, "task", 1)],
  ])("reports a key of the wrong type as the server does: %s", async (_, suffix, call) => {
    const id = newId();
    await admin.rpush(id + suffix, "a list");
    const error = await rejection(call(id));
    expect(error).toMatchObject({ code: "ERR_REDIS_REPLY", reply: "WRONGTYPE", executionId: id, key: id + suffix });
    expect(error.message).toContain("WRONGTYPE");
    expect(await admin.type(id + suffix)).toBe("list");
  });

  it("takes any text as the value of an execution's key", async () => {
    const id = newId();
    await admin.set(id, "1");
    expect(await store.isExecutionInProgress(id)).toBe(true);
  });
});

describe("an execution whose id is the name of another one's hash", () => {
  it("is refused natively instead of overwriting the results", async () => {
    const { store, release } = openStore(NATIVE_INPUTS[0], { url });
    const id = newId();
    await store.commitExecutionTaskResult(id, "task", "kept");
    await store.beginExecutionTask(id, "marked");
    for (const other of [`${id}-results`, `${id}-transactions`]) {
      const error = await rejection(store.beginExecution(other));
      expect(error).toMatchObject({ code: "ERR_REDIS_REPLY", reply: "WRONGTYPE", executionId: other, key: other });
    }
    expect(await store.getExecutionTaskResult(id, "task")).toBe("kept");
    expect(await store.isExecutionTaskInProgress(id, "marked")).toBe(true);
    await release();
  });
});
