// Ids of every kind: whatever text they are, they reach Redis as the UTF-8 that JavaScript clients send; what is no text is
// refused.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CLIENT_INPUTS, NATIVE_INPUTS, openStore } from "../support/inputs.mjs";
import { sharedRedis } from "../support/redis.mjs";

const { url, admin, newId } = sharedRedis();

const OF_EXECUTION = ["beginExecution", "isExecutionInProgress", "getExecutionTaskResults", "disposeExecution"];
const OF_TASK = [
  "beginExecutionTask",
  "isExecutionTaskInProgress",
  "commitExecutionTaskResult",
  "getExecutionTaskResult",
];
const NO_TEXT = [undefined, null, 1, true, 1n, Symbol("s"), {}, ["execution"], () => "execution", new String("id")];

const rejection = (promise) =>
  promise.then(
    () => expect.fail("resolved"),
    (error) => error,
  );

describe.each([NATIVE_INPUTS[0], CLIENT_INPUTS[0]])("ids in a store over $name", (input) => {
  let store;
  let release;

  beforeAll(() => {
    ({ store, release } = openStore(input, { url }));
  });

  afterAll(() => release?.());

  const IDS = [
    ["with NUL", "a\0b\0"],
    ["with emoji", "🚀👩‍👩‍👧"],
    ["with other scripts", "исполнение-漢字"],
    ["with quotes, spaces and line breaks", ' "a" \r\n b\t'],
    ["of the length of a stack buffer, and one around it", "x".repeat(1023)],
    ["of a page", "é".repeat(2048)],
    ["of 100 KB", "long-".repeat(20_000)],
    ["of 100 KB in several bytes a character", "🚀".repeat(25_000)],
  ];

  it.each(IDS)("reach Redis as UTF-8: %s", async (_, text) => {
    const id = newId() + text;
    await store.beginExecution(id);
    await store.beginExecutionTask(id, text);
    await store.commitExecutionTaskResult(id, `${text}-done`, 1);
    expect(await admin.get(Buffer.from(id))).toBe("true");
    expect((await admin.hkeys(Buffer.from(`${id}-transactions`)))[0] === text).toBe(true);
    expect((await admin.hkeys(Buffer.from(`${id}-results`)))[0] === `${text}-done`).toBe(true);
    expect(await store.isExecutionInProgress(id)).toBe(true);
    expect(await store.isExecutionTaskInProgress(id, text)).toBe(true);
    expect(await store.getExecutionTaskResult(id, `${text}-done`)).toBe(1);
    expect((await store.getExecutionTaskResults(id))[`${text}-done`]).toBe(1);
    await store.disposeExecution(id);
    expect(await admin.exists(Buffer.from(id), Buffer.from(`${id}-transactions`), Buffer.from(`${id}-results`))).toBe(
      0,
    );
  });

  it.each([
    ["a lone high surrogate", "a\ud800b", "a\ufffdb"],
    ["a lone low surrogate", "\udc00", "\ufffd"],
    ["surrogates in the wrong order", "\udc00\ud800", "\ufffd\ufffd"],
    ["one at the very end", "end\ud83d", "end\ufffd"],
    ["one in a long id", `${"x".repeat(5000)}\ud800`, `${"x".repeat(5000)}\ufffd`],
  ])("have U+FFFD in place of what UTF-8 cannot have: %s", async (_, text, replaced) => {
    const prefix = newId();
    await store.beginExecution(prefix + text);
    expect(await admin.getBuffer(Buffer.from(prefix + replaced))).toEqual(Buffer.from("true"));
    expect(await store.isExecutionInProgress(prefix + text)).toBe(true);
    await store.commitExecutionTaskResult(prefix, text, 1);
    expect(await admin.hkeys(`${prefix}-results`)).toEqual([replaced]);
    expect(await store.getExecutionTaskResult(prefix, text)).toBe(1);
    expect(Object.keys(await store.getExecutionTaskResults(prefix))).toEqual([replaced]);
  });

  it.each([...OF_EXECUTION, ...OF_TASK])(
    "must be text, or the promise is rejected: executionId of %s",
    async (name) => {
      for (const id of NO_TEXT) {
        const error = await rejection(store[name](id, "task", 1));
        expect(error).toBeInstanceOf(TypeError);
        expect(error).toMatchObject({ code: "ERR_INVALID_ARG_TYPE" });
        expect(error.message).toContain('"executionId"');
      }
    },
  );

  it.each(OF_TASK)("must be text, or the promise is rejected: taskId of %s", async (name) => {
    for (const id of NO_TEXT) {
      const error = await rejection(store[name](newId(), id, 1));
      expect(error).toBeInstanceOf(TypeError);
      expect(error).toMatchObject({ code: "ERR_INVALID_ARG_TYPE" });
      expect(error.message).toContain('"taskId"');
    }
  });

  it.each([...OF_EXECUTION, ...OF_TASK])("must not be empty: %s", async (name) => {
    const error = await rejection(store[name]("", "task", 1));
    expect(error).toBeInstanceOf(TypeError);
    expect(error).toMatchObject({ code: "ERR_INVALID_ARG_VALUE" });
    if (!OF_TASK.includes(name)) return;
    expect(await rejection(store[name](newId(), "", 1))).toMatchObject({ code: "ERR_INVALID_ARG_VALUE" });
  });
});
