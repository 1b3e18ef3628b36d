/**
 * The worker's contract: what each method means, what callers may do with the store, and what it leaves in Redis. Every
 * kind of input has to keep it, in test files that each take one family of clients.
 */
import { Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { RedisStoreError } from "../../index.js";
import { connectStore } from "./inputs.mjs";
import { METHODS } from "./methods.mjs";
import { dump } from "./redis.mjs";

const HOSTILE_TASK_IDS = [
  "__proto__",
  "constructor",
  "toString",
  "hasOwnProperty",
  "0",
  "42",
  "-1",
  "4294967295",
  "length",
  " ",
  "a:b:c",
  'quoted "task" \\ with backslash',
  "line\nbreak",
  "nul\0byte",
  "{braces}",
  "*",
  "задача",
  "🚀",
];

/**
 * Checks the contract over every one of these inputs, each in the whole.
 *
 * @param {import("./inputs.mjs").Input[]} inputs
 * @param {() => import("./inputs.mjs").Servers} servers asked when the first test runs
 * @param {(label?: string) => string} newId
 */
export function describeContract(inputs, servers, newId) {
  describe.each(inputs)("a store over $name", (input) => checkContract(input, servers, newId));
}

function checkContract(input, servers, newId) {
  let store;
  let release;

  beforeAll(async () => {
    ({ store, release } = await connectStore(input, servers()));
  });

  afterAll(() => release?.());

  it("says what carries its commands", () => {
    expect(store.backend).toBe(input.backend);
  });

  it("has the worker's eight methods and close", () => {
    for (const name of [...METHODS, "close"]) expect(store[name], name).toBeTypeOf("function");
  });

  it("has an execution in progress from its beginning to its disposal", async () => {
    const id = newId();
    expect(await store.isExecutionInProgress(id)).toBe(false);
    expect(await store.beginExecution(id)).toBe(undefined);
    expect(await store.isExecutionInProgress(id)).toBe(true);
    expect(await store.disposeExecution(id)).toBe(undefined);
    expect(await store.isExecutionInProgress(id)).toBe(false);
  });

  it("has a task in progress from its beginning to its result", async () => {
    const id = newId();
    expect(await store.isExecutionTaskInProgress(id, "task")).toBe(false);
    expect(await store.beginExecutionTask(id, "task")).toBe(undefined);
    expect(await store.isExecutionTaskInProgress(id, "task")).toBe(true);
    expect(await store.isExecutionTaskInProgress(id, "other")).toBe(false);
    expect(await store.commitExecutionTaskResult(id, "task", 1)).toBe(undefined);
    expect(await store.isExecutionTaskInProgress(id, "task")).toBe(false);
  });

  it("has a result once it was committed, and undefined before", async () => {
    const id = newId();
    expect(await store.getExecutionTaskResult(id, "task")).toBe(undefined);
    await store.commitExecutionTaskResult(id, "task", { total: 12.5, items: ["a", null] });
    expect(await store.getExecutionTaskResult(id, "task")).toEqual({ total: 12.5, items: ["a", null] });
    expect(await store.getExecutionTaskResult(id, "other")).toBe(undefined);
  });

  it("has all results in a table without prototype, empty when there are none", async () => {
    const id = newId();
    const empty = await store.getExecutionTaskResults(id);
    expect(Object.getPrototypeOf(empty)).toBe(null);
    expect(Reflect.ownKeys(empty)).toEqual([]);
    await store.commitExecutionTaskResult(id, "a", 1);
    await store.commitExecutionTaskResult(id, "b", "<empty_execution_result>");
    const results = await store.getExecutionTaskResults(id);
    expect(Object.getPrototypeOf(results)).toBe(null);
    expect(Object.entries(results).sort()).toEqual([
      ["a", 1],
      ["b", "<empty_execution_result>"],
    ]);
  });

  it("deletes tasks in progress and results with the execution", async () => {
    const id = newId();
    await store.beginExecution(id);
    await store.commitExecutionTaskResult(id, "done", 1);
    await store.beginExecutionTask(id, "running");
    await store.disposeExecution(id);
    expect(await store.isExecutionTaskInProgress(id, "running")).toBe(false);
    expect(await store.getExecutionTaskResult(id, "done")).toBe(undefined);
    expect(await store.getExecutionTaskResults(id)).toEqual({});
  });

  it("keeps executions apart", async () => {
    const [one, other] = [newId(), newId()];
    await store.beginExecution(one);
    await store.beginExecutionTask(one, "task");
    await store.commitExecutionTaskResult(one, "result", 1);
    expect(await store.isExecutionInProgress(other)).toBe(false);
    expect(await store.isExecutionTaskInProgress(other, "task")).toBe(false);
    expect(await store.getExecutionTaskResults(other)).toEqual({});
    await store.disposeExecution(other);
    expect(await store.isExecutionInProgress(one)).toBe(true);
    expect(await store.getExecutionTaskResult(one, "result")).toBe(1);
  });

  it("takes every message twice: repeating a call changes nothing", async () => {
    const id = newId();
    for (const _ of ["first", "again"]) {
      await store.beginExecution(id);
      await store.beginExecutionTask(id, "task");
    }
    for (const value of ["first", "again"]) await store.commitExecutionTaskResult(id, "task", value);
    expect(await store.getExecutionTaskResults(id)).toEqual({ task: "again" });
    for (const _ of ["first", "again"]) await store.disposeExecution(id);
    expect(await store.isExecutionInProgress(id)).toBe(false);
  });

  const taskIds = HOSTILE_TASK_IDS.filter((taskId) => !input.cannotCarry?.includes(taskId));

  it.each(taskIds)("takes %j for a task id like any other", async (taskId) => {
    const id = newId();
    expect((await store.getExecutionTaskResults(id))[taskId]).toBe(undefined);
    expect(await store.isExecutionTaskInProgress(id, taskId)).toBe(false);
    await store.beginExecutionTask(id, taskId);
    expect(await store.isExecutionTaskInProgress(id, taskId)).toBe(true);
    await store.commitExecutionTaskResult(id, taskId, { of: taskId });
    expect(await store.isExecutionTaskInProgress(id, taskId)).toBe(false);
    expect(await store.getExecutionTaskResult(id, taskId)).toEqual({ of: taskId });
    const results = await store.getExecutionTaskResults(id);
    expect(Reflect.ownKeys(results)).toEqual([taskId]);
    expect(results[taskId]).toEqual({ of: taskId });
  });

  it("has all hostile results side by side, and no task looks done that is not", async () => {
    const id = newId();
    const [undone, ...done] = taskIds;
    await Promise.all(done.map((taskId) => store.commitExecutionTaskResult(id, taskId, taskId)));
    const results = await store.getExecutionTaskResults(id);
    expect(Object.keys(results).sort()).toEqual([...done].sort());
    for (const taskId of done) expect(results[taskId], taskId).toBe(taskId);
    expect(results[undone]).toBe(undefined);
    expect(results.valueOf).toBe(undefined);
  });

  it("answers calls made at once, each its own", async () => {
    const id = newId();
    const tasks = Array.from({ length: 200 }, (_, index) => `task-${index}`);
    await Promise.all(tasks.map((taskId) => store.commitExecutionTaskResult(id, taskId, `result of ${taskId}`)));
    const results = await Promise.all(tasks.map((taskId) => store.getExecutionTaskResult(id, taskId)));
    expect(results).toEqual(tasks.map((taskId) => `result of ${taskId}`));
  });

  if (input.at !== undefined) {
    it("writes the same keys and values as every other store, and expires them", async () => {
      const admin = new Redis(servers()[input.at]);
      const prefix = input.keyPrefix ?? "";
      const id = newId();
      const other = await connectStore(input, servers(), { ttl: 60_000 });
      for (const [{ beginExecution, beginExecutionTask, commitExecutionTaskResult }, expires] of [
        [store, false],
        [other.store, true],
      ]) {
        await beginExecution(id);
        for (const task of ["running", "done"]) await beginExecutionTask(id, task);
        await commitExecutionTaskResult(id, "done", { total: 12.5, note: "é" });
        expect(await dump(admin, prefix + id)).toEqual({
          execution: { type: "string", expires, value: "true" },
          transactions: { type: "hash", expires, value: [["running", "true"]] },
          results: { type: "hash", expires, value: [["done", '{"total":12.5,"note":"é"}']] },
        });
      }
      await other.store.disposeExecution(id);
      const none = { type: "none" };
      expect(await dump(admin, prefix + id)).toEqual({ execution: none, transactions: none, results: none });
      await other.release();
      admin.disconnect();
    });

    it("says what the server said when it refuses", async () => {
      const admin = new Redis(servers()[input.at]);
      const id = newId();
      await admin.set(`${input.keyPrefix ?? ""}${id}-transactions`, "not a hash");
      const error = await store.beginExecutionTask(id, "task").catch((reason) => reason);
      expect(error).toBeInstanceOf(RedisStoreError);
      expect(error).toMatchObject({ code: "ERR_REDIS_REPLY", reply: "WRONGTYPE", executionId: id, taskId: "task" });
      await store.disposeExecution(id);
      admin.disconnect();
    });
  }

  it("can be destructured", async () => {
    const { beginExecution, isExecutionInProgress, disposeExecution } = store;
    const id = newId();
    await beginExecution(id);
    expect(await isExecutionInProgress(id)).toBe(true);
    await disposeExecution(id);
    expect(await isExecutionInProgress(id)).toBe(false);
  });

  it("can be spread and wrapped", async () => {
    const begun = [];
    const wrapped = {
      ...store,
      beginExecution(executionId) {
        begun.push(executionId);
        return store.beginExecution(executionId);
      },
    };
    const id = newId();
    await wrapped.beginExecution(id);
    expect(await wrapped.isExecutionInProgress(id)).toBe(true);
    expect(begun).toEqual([id]);
    expect(wrapped.backend).toBe(input.backend);
  });

  it.each(METHODS)("can be spied on: %s", async (name) => {
    const spy = vi.spyOn(store, name);
    try {
      const args = [newId(), "task", 1].slice(0, store[name].length || 3);
      await store[name](...args);
      expect(spy).toHaveBeenCalledExactlyOnceWith(...args);
      spy.mockResolvedValue("mocked");
      expect(await store[name](...args)).toBe("mocked");
    } finally {
      spy.mockRestore();
    }
  });

  it("closes when it is disposed of, where the runtime has Symbol.asyncDispose", async () => {
    if (Symbol.asyncDispose === undefined) {
      expect(Object.getOwnPropertySymbols(store)).toEqual([]);
      return;
    }
    const other = await connectStore(input, servers());
    const id = newId();
    await other.store.beginExecution(id);
    await other.store[Symbol.asyncDispose]();
    await expect(other.store.isExecutionInProgress(id)).rejects.toMatchObject({ code: "ERR_REDIS_CLOSED" });
    await other.release();
  });
}
