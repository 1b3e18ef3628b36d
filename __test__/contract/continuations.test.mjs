// What callers do with the promises of a store, and what runs while a call is made: nothing of it disturbs other calls.
import { describe, expect, it } from "vitest";
import { createRedisStore } from "../../index.js";
import { runScript } from "../support/child.mjs";
import { sharedRedis } from "../support/redis.mjs";
import { outcomeOf, temporaryStore } from "../support/temporary.mjs";

const { url, newId } = sharedRedis();

describe("an exception in a continuation", () => {
  it("rejects its own chain and no other call", async () => {
    const store = temporaryStore(url);
    const id = newId();
    await store.beginExecution(id);
    const outcomes = await Promise.all(
      Array.from({ length: 100 }, (_, index) =>
        outcomeOf(
          store.isExecutionInProgress(id).then((answer) => {
            if (index % 2) throw new Error(`mine ${index}`);
            return answer;
          }),
        ),
      ),
    );
    for (const [index, { value, error }] of outcomes.entries()) {
      if (index % 2) expect(error.message).toBe(`mine ${index}`);
      else expect(value).toBe(true);
    }
  });

  it("that is not caught is the process's to handle, and the other calls of the store go on", async () => {
    const script = `
      let caught = 0;
      process.on("uncaughtException", () => { caught += 1; });
      const store = createRedisStore(args.url);
      await store.beginExecution(args.id);
      const answers = await Promise.all(Array.from({ length: 300 }, () => store.isExecutionInProgress(args.id).then((answer) => {
        queueMicrotask(() => { throw new Error("mine"); });
        return answer;
      })));
      console.log(answers.every((answer) => answer === true), caught);
    `;
    const outcome = await runScript(script, { args: { url, id: newId() } });
    expect(outcome, outcome.errors).toMatchObject({ code: 0, lines: ["true 300"] });
  });

  it("ends the process when it is an unhandled rejection, with the error's code in the report", async () => {
    const script = `createRedisStore("redis://127.0.0.1:1", { commandTimeout: 50 }).beginExecution("execution");`;
    const outcome = await runScript(script);
    expect(outcome.code).toBe(1);
    expect(outcome.errors).toContain("ERR_REDIS_CONNECTION");
  });
});

describe("a continuation", () => {
  it("may call the store again, in the same turn and for as long as it likes", async () => {
    const store = temporaryStore(url);
    const id = newId();
    await store.beginExecution(id);
    const chain = (rest) => store.isExecutionInProgress(id).then((answer) => (rest === 0 ? answer : chain(rest - 1)));
    expect(await Promise.all(Array.from({ length: 50 }, () => chain(20)))).toEqual(Array(50).fill(true));
  });

  it("may close the store that it belongs to", async () => {
    const store = createRedisStore(url);
    const id = newId();
    const closed = store.beginExecution(id).then(() => store.close());
    const others = Promise.all(Array.from({ length: 100 }, () => store.beginExecution(id)));
    expect(await Promise.all([closed, others])).toEqual([undefined, Array(100).fill(undefined)]);
    await expect(store.beginExecution(id)).rejects.toMatchObject({ code: "ERR_REDIS_CLOSED" });
  });
});

describe("a result that looks like a promise", () => {
  it("is a result like any other", async () => {
    const store = temporaryStore(url);
    const id = newId();
    const thenable = JSON.parse('{"then":"not a function","catch":{"then":null}}');
    await store.commitExecutionTaskResult(id, "then", thenable);
    expect(await store.getExecutionTaskResult(id, "then")).toEqual(thenable);
    expect(Object.entries(await store.getExecutionTaskResults(id))).toEqual([["then", thenable]]);
  });

  it("is not waited for when a promise is committed: what counts is its JSON", async () => {
    const store = temporaryStore(url);
    const id = newId();
    await store.commitExecutionTaskResult(id, "task", Promise.resolve("late"));
    expect(await store.getExecutionTaskResult(id, "task")).toEqual({});
  });
});

describe("a value whose toJSON", () => {
  it("calls the store is stored, and so is what it asked for", async () => {
    const store = temporaryStore(url);
    const [outer, inner] = [newId(), newId()];
    const during = [];
    const value = {
      toJSON() {
        during.push(
          store.beginExecution(inner),
          store.commitExecutionTaskResult(inner, "inner", { toJSON: () => "in" }),
        );
        return { longer: "than what was asked for in between".repeat(100) };
      },
    };
    await store.commitExecutionTaskResult(outer, "outer", value);
    await Promise.all(during);
    expect(await store.getExecutionTaskResult(outer, "outer")).toEqual(value.toJSON());
    expect(await store.isExecutionInProgress(inner)).toBe(true);
    expect(await store.getExecutionTaskResult(inner, "inner")).toBe("in");
    await Promise.all(during);
  });

  it("closes the store is refused, because by then it is closed", async () => {
    const store = createRedisStore(url);
    const id = newId();
    await store.beginExecution(id);
    let closed;
    const value = {
      toJSON() {
        closed = store.close();
        return "value";
      },
    };
    await expect(store.commitExecutionTaskResult(id, "task", value)).rejects.toMatchObject({
      code: "ERR_REDIS_CLOSED",
    });
    await closed;
  });

  it("throws after it has called the store rejects its own call only", async () => {
    const store = temporaryStore(url);
    const id = newId();
    let inner;
    const value = {
      toJSON() {
        inner = store.beginExecution(id);
        throw new RangeError("mine");
      },
    };
    const { error } = await outcomeOf(store.commitExecutionTaskResult(id, "task", value));
    expect(error).toMatchObject({ code: "ERR_REDIS_SERIALIZE", cause: expect.any(RangeError), executionId: id });
    await inner;
    expect(await store.isExecutionInProgress(id)).toBe(true);
    expect(await store.getExecutionTaskResult(id, "task")).toBe(undefined);
  });
});
