// Ids and values that are meant to harm: they reach Redis as what they are and nothing else, or are refused before anything is
// sent. What ids and values look like in general is in ids.test.mjs and values.test.mjs.
import { readdirSync, readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CLIENT_INPUTS, NATIVE_INPUTS, openStore } from "../support/inputs.mjs";
import { sharedRedis } from "../support/redis.mjs";
import { outcomeOf, rejectionOf } from "../support/temporary.mjs";

const { url, admin, newId, dump } = sharedRedis();

const CORPUS = new URL("../../fuzz/corpus/splice/", import.meta.url);
/** Ends a field or a value in a file of the corpus: a byte that UTF-8 does not have. */
const END = 0xff;

const IDS = [
  ["a command", "x\r\n*1\r\n$8\r\nFLUSHALL\r\n"],
  ["the end of a string, and an answer", "x\r\n$4\r\ntrue\r\n+OK\r\n"],
  ["__proto__", "__proto__"],
  ["constructor", "constructor"],
  ["a name of every object", "toString"],
  ["characters of no width", "\u200b\ufeff\u200d\u2060"],
  ["a mark that combines with nothing", "\u0301\u0301"],
  ["text from right to left", "\u202etxt.exe"],
  ["a pattern", "*?[a-z]\\*"],
  ["hash tags", "{a}{b}"],
  ["braces that do not match", "}{"],
  ["a path", "../../etc/passwd\0.png"],
  ["a megabyte", "m".repeat(1024 * 1024)],
  ["a megabyte of NULs", "\0".repeat(1024 * 1024)],
];

describe.each([NATIVE_INPUTS[0], CLIENT_INPUTS[0]])("a store over $name", (input) => {
  let store;
  let release;

  beforeAll(() => {
    ({ store, release } = openStore(input, { url }));
  });

  afterAll(() => release?.());

  describe("takes as an id", () => {
    it.each(IDS)("%s", async (_, text) => {
      const id = newId() + text;
      const same = (names) => names.length === 1 && names[0] === text;
      await store.beginExecution(id);
      await store.beginExecutionTask(id, text);
      expect(same(await admin.hkeys(`${id}-transactions`))).toBe(true);
      await store.commitExecutionTaskResult(id, text, { text: "safe" });
      expect(same(await admin.hkeys(`${id}-results`))).toBe(true);
      expect(await store.isExecutionTaskInProgress(id, text)).toBe(false);
      expect(await store.getExecutionTaskResult(id, text)).toEqual({ text: "safe" });
      const results = await store.getExecutionTaskResults(id);
      expect(same(Object.keys(results))).toBe(true);
      expect(Object.getOwnPropertyDescriptor(results, text)?.value).toEqual({ text: "safe" });
      expect(Object.getPrototypeOf(results)).toBe(null);
      await store.disposeExecution(id);
      expect(await admin.exists(id, `${id}-transactions`, `${id}-results`)).toBe(0);
    });
  });

  it("does not let one execution pass for a key of another", async () => {
    const id = newId();
    await store.beginExecution(id);
    await store.beginExecutionTask(id, "marked");
    await store.commitExecutionTaskResult(id, "done", 1);
    for (const suffix of ["-results", "-transactions"]) {
      expect((await outcomeOf(store.isExecutionInProgress(id + suffix))).value).not.toBe(true);
      expect(await store.getExecutionTaskResults(id + suffix)).toEqual({});
    }
    expect(await store.getExecutionTaskResults(id)).toEqual({ done: 1 });
  });

  it("refuses a value nested 100 000 deep, and what was there stays", async () => {
    const id = newId();
    let deep = [];
    for (let level = 0; level < 100_000; level++) deep = [deep];
    await store.commitExecutionTaskResult(id, "task", "earlier");
    await store.beginExecutionTask(id, "task");
    const before = await dump(id);
    const error = await rejectionOf(store.commitExecutionTaskResult(id, "task", deep));
    expect(error).toMatchObject({ code: "ERR_REDIS_SERIALIZE", executionId: id, taskId: "task" });
    expect(error.cause).toBeInstanceOf(RangeError);
    expect(await dump(id)).toEqual(before);
  });

  it.each([
    ["100 000 deep", "[".repeat(100_000) + "]".repeat(100_000)],
    ["100 000 deep in objects", '{"a":'.repeat(100_000) + 1 + "}".repeat(100_000)],
    ["a million numbers", `[${"0,".repeat(999_999)}0]`],
  ])("reads what the engine can parse, and rejects the rest: %s", async (_, json) => {
    const id = newId();
    await admin.hset(`${id}-results`, "task", json);
    const expected = attempt(() => JSON.parse(json));
    for (const read of [store.getExecutionTaskResult(id, "task"), store.getExecutionTaskResults(id)]) {
      const { value, error } = await outcomeOf(read);
      if (expected.error) expect(error.code).toBe("ERR_REDIS_PARSE");
      else expect(error).toBe(undefined);
      // Too large and too deep to be compared value by value.
      const result = value !== undefined && Object.getPrototypeOf(value) === null ? value.task : value;
      if (!expected.error) expect(lengthOf(result)).toBe(lengthOf(expected.value));
    }
  });

  it.each([
    ["a million values", () => Array.from({ length: 1_000_000 }, (_, index) => index)],
    ["an array that is almost all holes", () => Object.assign([], { 999999: -0 })],
  ])("stores %s", async (_, make) => {
    const id = newId();
    const json = JSON.stringify(make());
    await store.commitExecutionTaskResult(id, "task", make());
    expect((await admin.hget(`${id}-results`, "task")) === json).toBe(true);
    expect(JSON.stringify(await store.getExecutionTaskResult(id, "task")) === json).toBe(true);
  });

  it("reads a value once, whatever its getters and traps do", async () => {
    const id = newId();
    let reads = 0;
    const value = {
      get moving() {
        reads += 1;
        return reads;
      },
    };
    const seen = [];
    const proxy = new Proxy(value, {
      get: (target, key) => {
        seen.push(key);
        return Reflect.get(target, key);
      },
    });
    await store.commitExecutionTaskResult(id, "task", proxy);
    expect(await store.getExecutionTaskResult(id, "task")).toEqual({ moving: 1 });
    expect(reads).toBe(1);
    expect(seen).toEqual(["toJSON", "moving"]);
  });

  it("serves calls that a value makes from every place where its code runs", async () => {
    const [id, inner] = [newId(), newId()];
    const made = [];
    const call = (task) => made.push(store.commitExecutionTaskResult(inner, task, task));
    const value = {
      toJSON() {
        call("toJSON");
        return {
          get getter() {
            call("getter");
            for (let index = 0; index < 1000; index++) made.push(store.isExecutionInProgress(inner));
            const get = (target, key) => {
              if (key === "0") call("trap");
              return target[key];
            };
            return new Proxy([1], { get });
          },
        };
      },
    };
    await store.commitExecutionTaskResult(id, "task", value);
    await Promise.all(made);
    expect(await store.getExecutionTaskResult(id, "task")).toEqual({ getter: [1] });
    expect(await store.getExecutionTaskResults(inner)).toEqual({ toJSON: "toJSON", getter: "getter", trap: "trap" });
  });

  it("makes of every stored text what JSON.parse makes of it alone", async () => {
    const texts = readdirSync(CORPUS).flatMap((name) => valuesOf(readFileSync(new URL(name, CORPUS))));
    expect(texts.length).toBeGreaterThan(20);
    const pipeline = admin.pipeline();
    const cases = texts.map((text) => ({ text, id: newId() }));
    for (const { text, id } of cases) {
      pipeline.hset(`${id}-results`, "before", "1", "task", text, "x", "2");
    }
    await pipeline.exec();
    for (const { text, id } of cases) {
      const expected = attempt(() => JSON.parse(text.toString()));
      const { value, error } = await outcomeOf(store.getExecutionTaskResults(id));
      if (expected.error) {
        expect(error, JSON.stringify(text.toString())).toMatchObject({ code: "ERR_REDIS_PARSE", taskId: "task" });
      } else {
        expect(JSON.stringify(value.task)).toBe(JSON.stringify(expected.value));
        expect({ ...value, task: undefined }).toEqual({ before: 1, task: undefined, x: 2 });
      }
    }
  });
});

it("stores and reads 64 MB of text", async () => {
  const { store, release } = openStore(NATIVE_INPUTS[0], { url }, { commandTimeout: 60_000 });
  const [id, text] = [newId(), "y".repeat(64 * 1024 * 1024)];
  await store.commitExecutionTaskResult(id, "task", text);
  expect(await admin.hstrlen(`${id}-results`, "task")).toBe(text.length + 2);
  expect((await store.getExecutionTaskResult(id, "task")) === text).toBe(true);
  await release();
});

function attempt(action) {
  try {
    return { value: action() };
  } catch (error) {
    return { error };
  }
}

const lengthOf = (value) => value.length ?? Object.keys(value).length;

/** Every second part of a file. */
function valuesOf(file) {
  const parts = [];
  for (let from = 0, to = file.indexOf(END); to !== -1; from = to + 1, to = file.indexOf(END, from)) {
    parts.push(file.subarray(from, to));
  }
  return parts.filter((_, index) => index % 2 === 1);
}
