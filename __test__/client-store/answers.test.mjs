// What clients answer with: text, bytes or values that they have parsed, in objects, Maps or lists.
import { describe, expect, it } from "vitest";
import { createRedisStore } from "../../index.js";

describe("an answer of the caller's own client", () => {
  const answers = (stored, all) => ({
    get: async () => true,
    set: async () => "OK",
    hset: async () => 1,
    hget: async () => stored,
    hdel: async () => 1,
    hgetall: async () => all,
    expire: async () => 1,
    del: async () => 1,
  });

  it.each([
    ["text", '{"a":1}', { a: 1 }],
    ["a Buffer", Buffer.from('{"a":"é"}'), { a: "é" }],
    ["a part of a larger Uint8Array", new Uint8Array([120, 91, 49, 93, 120]).subarray(1, 4), [1]],
    ["an object", { a: 1 }, { a: 1 }],
    ["a number", 12.5, 12.5],
    ["false", false, false],
    ["null", null, undefined],
    ["undefined", undefined, undefined],
  ])("is taken as it is, text and bytes are parsed: %s", async (_, stored, expected) => {
    const store = createRedisStore(answers(stored));
    expect(await store.getExecutionTaskResult("execution", "task")).toEqual(expected);
  });

  it.each([
    ["an object", { a: "1", b: { parsed: true } }],
    [
      "a Map",
      new Map([
        ["a", "1"],
        ["b", { parsed: true }],
      ]),
    ],
    [
      "a Map of Buffers",
      new Map([
        [Buffer.from("a"), Buffer.from("1")],
        [Buffer.from("b"), '{"parsed":true}'],
      ]),
    ],
    ["a flat array", ["a", "1", "b", { parsed: true }]],
    ["a flat array of Buffers", ["a", "1", "b", '{"parsed":true}'].map((text) => Buffer.from(text))],
    [
      "a list of pairs",
      [
        ["a", "1"],
        [Buffer.from("b"), { parsed: true }],
      ],
    ],
    [
      "a list of records",
      [
        { field: "a", value: "1" },
        { field: Buffer.from("b"), value: Buffer.from('{"parsed":true}') },
      ],
    ],
    ["an object of Buffers", { a: Buffer.from("1"), b: Buffer.from('{"parsed":true}') }],
  ])("makes the same table of all results: %s", async (_, all) => {
    const results = await createRedisStore(answers(null, all)).getExecutionTaskResults("execution");
    expect(Object.getPrototypeOf(results)).toBe(null);
    expect({ ...results }).toEqual({ a: 1, b: { parsed: true } });
  });

  it.each([
    ["null", null],
    ["undefined", undefined],
    ["{}", {}],
    ["[]", []],
    ["an empty Map", new Map()],
  ])("is an empty table when there are none: %s", async (_, all) => {
    const results = await createRedisStore(answers(null, all)).getExecutionTaskResults("execution");
    expect(Object.getPrototypeOf(results)).toBe(null);
    expect(Reflect.ownKeys(results)).toEqual([]);
  });

  it("keeps a task called __proto__ apart from the prototype", async () => {
    const all = JSON.parse('{"__proto__":"1","constructor":"2"}');
    const results = await createRedisStore(answers(null, all)).getExecutionTaskResults("execution");
    expect(Object.getPrototypeOf(results)).toBe(null);
    expect(Object.entries(results)).toEqual([
      ["__proto__", 1],
      ["constructor", 2],
    ]);
  });

  it.each([
    ["text", "true"],
    ["a Buffer", Buffer.from("true")],
    ["true", true],
    ["a number", 1],
    ["other text", "1"],
  ])("counts as a mark whatever it is: %s", async (_, stored) => {
    const store = createRedisStore({ ...answers(stored), get: async () => stored });
    expect(await store.isExecutionInProgress("execution")).toBe(true);
    expect(await store.isExecutionTaskInProgress("execution", "task")).toBe(true);
  });
});
