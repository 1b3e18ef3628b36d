// Results of every kind: what has a JSON form comes back as JSON has it, what has none is refused in time.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CLIENT_INPUTS, NATIVE_INPUTS, openStore } from "../support/inputs.mjs";
import { sharedRedis } from "../support/redis.mjs";

const { url, admin, newId } = sharedRedis();

const shared = { once: true };

/** Everything that has a JSON form. What comes back is what `JSON.parse(JSON.stringify(value))` makes of it. */
const VALUES = [
  ["null", null],
  ["true", true],
  ["false", false],
  ["zero", 0],
  ["minus zero", -0],
  ["a fraction", 0.1],
  ["a large number in exponential form", 1e21],
  ["the largest number", Number.MAX_VALUE],
  ["the smallest number", Number.MIN_VALUE],
  ["the largest safe integer", Number.MAX_SAFE_INTEGER],
  ["NaN", Number.NaN],
  ["Infinity", Number.POSITIVE_INFINITY],
  ["an empty string", ""],
  ["the worker's empty result", "<empty_execution_result>"],
  ["a string that looks like JSON", '{"a":1}'],
  ["a string that looks like nothing", "undefined"],
  ["a NUL", "a\0b"],
  ["control characters", "\u0001\b\t\n\f\r\u001f\u007f"],
  ["line separators", "\u2028\u2029"],
  ["quotes and backslashes", '"\\"\\\\/'],
  ["emoji and other scripts", "🚀 é ß 漢字 العربية 👩‍👩‍👧"],
  ["a lone high surrogate", "a\ud800b"],
  ["a lone low surrogate", "\udc00"],
  ["surrogates in the wrong order", "\udc00\ud800"],
  ["the last code points", "\uffff\u{10ffff}"],
  ["a byte order mark", "\ufefftext"],
  ["an empty array", []],
  ["an empty object", {}],
  ["an array with holes and undefined", [1, undefined, null, () => 1, Symbol("s")]],
  ["a sparse array", Object.assign([], { 3: "x" })],
  ["an object with undefined, functions and symbols", { a: undefined, b: () => 1, [Symbol("s")]: 1, c: 1 }],
  ["nested objects and arrays", { a: [{ b: [{ c: [[[null]]] }] }], d: { e: { f: {} } } }],
  ["the same object twice", [shared, shared]],
  ["keys in their order", { z: 1, a: 2, 10: 3, 2: 4 }],
  ["hostile keys", JSON.parse('{"__proto__":{"admin":true},"constructor":1,"toString":null,"":0,"length":-1}')],
  ["a date", new Date(0)],
  ["an invalid date", new Date(Number.NaN)],
  ["a toJSON", { toJSON: () => ({ from: "toJSON" }) }],
  ["a toJSON that knows its key", { inner: { toJSON: (key) => key } }],
  ["a boxed string", Object("text")],
  ["a boxed number", Object(1)],
  ["a Map", new Map([["a", 1]])],
  ["a typed array", new Uint8Array([1, 2])],
  ["a Buffer", Buffer.from("bytes")],
  ["an error", new Error("lost")],
  ["a class instance", new URL("https://example.com/?q=1")],
  ["an object without prototype", Object.assign(Object.create(null), { a: 1 })],
  ["a regular expression", /x/],
];

const cycle = {};
cycle.self = cycle;
const broken = new Error("toJSON is broken");

/** Everything that has none. */
const UNSERIALISABLE = [
  ["undefined", undefined],
  ["a function", () => 1],
  ["a class", class {}],
  ["a symbol", Symbol("s")],
  ["a BigInt", 1n],
  ["a BigInt deep inside", { a: [{ b: 1n }] }],
  ["a cycle", cycle],
  ["a toJSON that returns undefined", { toJSON: () => undefined }],
  [
    "a toJSON that throws",
    {
      toJSON() {
        throw broken;
      },
    },
  ],
  [
    "a getter that throws",
    {
      get value() {
        throw broken;
      },
    },
  ],
  ["a revoked proxy", revokedProxy()],
];

function revokedProxy() {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  return proxy;
}

function depth(levels) {
  return JSON.parse("[".repeat(levels) + "]".repeat(levels));
}

describe.each([NATIVE_INPUTS[0], CLIENT_INPUTS[0]])("results in a store over $name", (input) => {
  let store;
  let release;

  beforeAll(() => {
    ({ store, release } = openStore(input, { url }));
  });

  afterAll(() => release?.());

  async function roundTrip(value) {
    const id = newId();
    await store.commitExecutionTaskResult(id, "task", value);
    const raw = await admin.hget(`${id}-results`, "task");
    return {
      raw,
      one: await store.getExecutionTaskResult(id, "task"),
      all: await store.getExecutionTaskResults(id),
    };
  }

  it.each(VALUES)("come back as JSON has them: %s", async (_, value) => {
    const json = JSON.stringify(value);
    const { raw, one, all } = await roundTrip(value);
    expect(raw).toBe(json);
    expect(one).toStrictEqual(JSON.parse(json));
    expect(all.task).toStrictEqual(JSON.parse(json));
    // Not only equal: the same keys in the same order, hostile ones included.
    expect(JSON.stringify(one)).toBe(JSON.stringify(JSON.parse(json)));
    expect(JSON.stringify(all.task)).toBe(JSON.stringify(JSON.parse(json)));
  });

  it("leave the prototype of nested objects alone", async () => {
    const { one, all } = await roundTrip(JSON.parse('{"__proto__":{"admin":true}}'));
    for (const result of [one, all.task]) {
      expect(Object.getPrototypeOf(result)).toBe(Object.prototype);
      expect(result.admin).toBe(undefined);
      expect(Object.hasOwn(result, "__proto__")).toBe(true);
    }
  });

  it.each([
    ["ASCII", "x".repeat(5 * 1024 * 1024)],
    ["emoji", "🚀".repeat(1024 * 1024)],
    ["escapes", '"\n'.repeat(1024 * 1024)],
  ])("may be strings of megabytes: %s", async (_, text) => {
    const { raw, one, all } = await roundTrip(text);
    // Compared as booleans: a difference would print megabytes.
    expect(raw === JSON.stringify(text)).toBe(true);
    expect(one === text).toBe(true);
    expect(all.task === text).toBe(true);
  });

  it("may be nested deeply", async () => {
    const { raw, one } = await roundTrip(depth(1000));
    expect(raw).toBe("[".repeat(1000) + "]".repeat(1000));
    expect(JSON.stringify(one)).toBe(raw);
  });

  it("may be many", async () => {
    const id = newId();
    const entries = Array.from({ length: 5000 }, (_, index) => [`task-${index}`, JSON.stringify({ index, text: "é" })]);
    await admin.hset(`${id}-results`, Object.fromEntries(entries));
    const results = await store.getExecutionTaskResults(id);
    expect(Object.keys(results)).toHaveLength(5000);
    for (const [taskId, json] of entries) expect(JSON.stringify(results[taskId])).toBe(json);
  });

  it.each(UNSERIALISABLE)(
    "are refused before anything is sent, and the task stays in progress: %s",
    async (_, value) => {
      const id = newId();
      await store.commitExecutionTaskResult(id, "task", "earlier");
      await store.beginExecutionTask(id, "task");
      const error = await store.commitExecutionTaskResult(id, "task", value).then(
        () => undefined,
        (reason) => reason,
      );
      expect(error).toMatchObject({
        name: "RedisStoreError",
        code: "ERR_REDIS_SERIALIZE",
        executionId: id,
        taskId: "task",
      });
      expect(await store.isExecutionTaskInProgress(id, "task")).toBe(true);
      expect(await store.getExecutionTaskResult(id, "task")).toBe("earlier");
    },
  );

  it("keep the reason why they were refused", async () => {
    const commit = (value) => store.commitExecutionTaskResult(newId(), "task", value);
    await expect(commit(1n)).rejects.toHaveProperty("cause", expect.any(TypeError));
    await expect(commit({ toJSON: throwBroken })).rejects.toHaveProperty("cause", broken);
    function throwBroken() {
      throw broken;
    }
  });

  it("may be changed by their toJSON while they are serialised", async () => {
    const id = newId();
    const inner = newId();
    const value = {
      toJSON() {
        value.nested = store.commitExecutionTaskResult(inner, "task", "inner");
        return "outer";
      },
    };
    await store.commitExecutionTaskResult(id, "task", value);
    await value.nested;
    expect(await store.getExecutionTaskResult(id, "task")).toBe("outer");
    expect(await store.getExecutionTaskResult(inner, "task")).toBe("inner");
  });

  it("are not sent where their toJSON closes the store", async () => {
    const other = openStore(input, { url });
    const id = newId();
    const committed = other.store.commitExecutionTaskResult(id, "task", {
      toJSON() {
        other.release();
        return 1;
      },
    });
    await expect(committed).rejects.toMatchObject({ code: "ERR_REDIS_CLOSED" });
    expect(await store.getExecutionTaskResult(id, "task")).toBe(undefined);
  });
});
