// Read-ahead: what a round trip brought along answers the questions of the same turn, and nothing but those.
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { createRedisStore } from "../../index.js";
import { startElsewhere } from "../support/elsewhere.mjs";
import { ioredisConfiguration } from "../support/inputs.mjs";
import { recordCommands } from "../support/monitor.mjs";
import { startProxy } from "../support/proxy.mjs";
import { eventually, sharedRedis } from "../support/redis.mjs";
import { unhurried } from "../support/unhurried.mjs";

const { url, admin, newId } = sharedRedis();
const server = ioredisConfiguration(url);
let store;
let elsewhere;
let commands;

beforeAll(async () => {
  elsewhere = await startElsewhere(url);
  commands = await recordCommands(admin);
});

const releases = [];
// A prefetch policy belongs to a store: what one test does not ask must not stop the calls of another from carrying reads.
beforeEach(() => {
  store = openStore(url);
});

afterEach(async () => {
  for (const release of releases.splice(0).reverse()) await release();
});

afterAll(async () => {
  commands?.stop();
  await elsewhere?.stop();
});

/** A store that is closed after the test. */
function openStore(redis, options) {
  const opened = createRedisStore(redis, options);
  releases.push(() => opened.close());
  return opened;
}

/** What Redis was sent about an execution since this was last asked. */
async function commandsOf(id) {
  return (await commands.take()).filter((command) => command.some((word) => word.includes(id)));
}

/** An execution in progress with a task that is marked and one that has a result. */
async function prepare(id, { execution = "true", marked = "marked", done = "done", result = { n: [1] } } = {}) {
  if (execution) await admin.set(id, execution);
  if (marked) await admin.hset(`${id}-transactions`, marked, "true");
  if (done) await admin.hset(`${id}-results`, done, JSON.stringify(result));
  await commandsOf(id);
}

/** This thread does something else for so many milliseconds. */
const holdUp = (time) => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, time);

const WHOLE = (id) => [
  ["HGETALL", `${id}-transactions`],
  ["HGETALL", `${id}-results`],
  ["GET", id],
];

describe("one round trip answers", () => {
  /** Asks one question after the other, and only then looks at the answers. */
  const ask = async (...questions) => {
    const answers = [];
    for (const question of questions) answers.push(await question());
    return answers;
  };
  const unlessHurried = (name, test) =>
    it(name, () =>
      unhurried(() => {
        store = openStore(url);
        return test();
      }),
    );

  unlessHurried("everything about an execution, after getExecutionTaskResults", async () => {
    const id = newId();
    await prepare(id);
    const answers = await ask(
      () => store.getExecutionTaskResults(id),
      () => store.isExecutionInProgress(id),
      () => store.isExecutionTaskInProgress(id, "marked"),
      () => store.isExecutionTaskInProgress(id, "done"),
      () => store.isExecutionTaskInProgress(id, "unknown"),
      () => store.getExecutionTaskResult(id, "done"),
      () => store.getExecutionTaskResult(id, "marked"),
      () => store.getExecutionTaskResults(id),
    );
    expect(answers).toEqual([
      { done: { n: [1] } },
      true,
      true,
      false,
      false,
      { n: [1] },
      undefined,
      { done: { n: [1] } },
    ]);
    expect(await commandsOf(id)).toEqual(WHOLE(id));
  });

  unlessHurried("that there is nothing, as well", async () => {
    const id = newId();
    const answers = await ask(
      () => store.getExecutionTaskResults(id),
      () => store.isExecutionInProgress(id),
      () => store.isExecutionTaskInProgress(id, "task"),
      () => store.getExecutionTaskResult(id, "task"),
    );
    expect(answers).toEqual([{}, false, false, undefined]);
    expect(await commandsOf(id)).toEqual(WHOLE(id));
  });

  unlessHurried("everything about an execution, after beginExecution, also when it had begun before", async () => {
    for (const begun of [false, true]) {
      const id = newId();
      if (begun) await prepare(id);
      const answers = await ask(
        () => store.beginExecution(id),
        () => store.getExecutionTaskResults(id),
        () => store.isExecutionInProgress(id),
        () => store.getExecutionTaskResult(id, "done"),
        () => store.isExecutionTaskInProgress(id, "marked"),
      );
      const [results, result] = begun ? [{ done: { n: [1] } }, { n: [1] }] : [{}, undefined];
      expect(answers).toEqual([undefined, results, true, result, begun]);
      expect(await commandsOf(id)).toEqual([["SET", id, "true", "GET"], ...WHOLE(id).slice(0, 2)]);
    }
  });

  unlessHurried("whether a task is in progress, after getExecutionTaskResult", async () => {
    const id = newId();
    await prepare(id);
    const asked = [];
    for (const task of ["marked", "done", "unknown"]) {
      const answers = await ask(
        () => store.getExecutionTaskResult(id, task),
        () => store.isExecutionTaskInProgress(id, task),
      );
      expect(answers).toEqual([task === "done" ? { n: [1] } : undefined, task === "marked"]);
      asked.push(["HGET", `${id}-transactions`, task], ["HGET", `${id}-results`, task]);
    }
    expect(await store.isExecutionTaskInProgress(id, "marked")).toBe(true);
    expect(await commandsOf(id)).toEqual([...asked, ["HGET", `${id}-transactions`, "marked"]]);
  });

  unlessHurried("which tasks there are, after a write of a caller that asks for the next one", async () => {
    const id = newId();
    await prepare(id);
    const names = [`${id}-transactions`, `${id}-results`].map((key) => ["HKEYS", key]);
    const next = async (task) =>
      ask(
        () => store.isExecutionInProgress(id),
        () => store.getExecutionTaskResult(id, task),
        () => store.isExecutionTaskInProgress(id, task),
      );
    // How many tasks there are is known once they have been read, and what is answered here may be spent below.
    await store.beginExecution(id);
    await store.getExecutionTaskResults(id);
    await next("a:1");
    // Each question is asked once before it is known that it is.
    for (const task of ["a:1", "a:2", "a:3"]) {
      await store.commitExecutionTaskResult(id, task, 1);
      expect(await next("a:next")).toEqual([true, undefined, false]);
    }
    await commandsOf(id);
    await store.commitExecutionTaskResult(id, "a:4", 1);
    expect(await next("marked")).toEqual([true, undefined, true]);
    expect((await commandsOf(id)).slice(-3)).toEqual([...names, ["GET", id]]);
    // Only that there is a result is known, not which.
    await store.commitExecutionTaskResult(id, "a:5", 1);
    expect(await next("done")).toEqual([true, { n: [1] }, false]);
    expect((await commandsOf(id)).at(-1)).toEqual(["HGET", `${id}-results`, "done"]);
    expect(await store.getExecutionTaskResults(id)).toMatchObject({ done: { n: [1] }, "a:5": 1 });
  });

  it("nothing for longer than asking again would take", async () => {
    const id = newId();
    await prepare(id);
    await store.getExecutionTaskResults(id);
    elsewhere.change("UNLINK", id, `${id}-results`, `${id}-transactions`);
    holdUp(20);
    expect(await store.isExecutionInProgress(id)).toBe(false);
    await store.getExecutionTaskResults(id);
    elsewhere.change("SET", id, "true");
    elsewhere.change("HSET", `${id}-transactions`, "marked", "true");
    holdUp(20);
    const answers = await ask(
      () => store.isExecutionTaskInProgress(id, "marked"),
      () => store.isExecutionInProgress(id),
    );
    expect(answers).toEqual([true, true]);
  });

  unlessHurried("for tasks of any name", async () => {
    const names = ["__proto__", "constructor", "toString", "7", " ", "a:b", "nul\0", '"\\', "*", "{x}", "🚀", "\ufffd"];
    for (const name of names) {
      const id = newId();
      await prepare(id, { marked: name, done: name, result: name });
      const others = names.filter((candidate) => candidate !== name);
      const [results, result, marked, lone, again, ...rest] = await ask(
        () => store.getExecutionTaskResults(id),
        () => store.getExecutionTaskResult(id, name),
        () => store.isExecutionTaskInProgress(id, name),
        // As Redis clients send it, a lone surrogate is U+FFFD.
        () => store.isExecutionTaskInProgress(id, "\ud800"),
        () => store.getExecutionTaskResults(id),
        ...others.map((other) => () => store.getExecutionTaskResult(id, other)),
        ...others.map((other) => () => store.isExecutionTaskInProgress(id, other)),
      );
      expect(Object.entries(results)).toEqual([[name, name]]);
      expect([result, marked, lone]).toEqual([name, true, name === "\ufffd"]);
      expect(Object.getPrototypeOf(again)).toBe(null);
      expect(rest).toEqual([...others.map(() => undefined), ...others.map(() => false)]);
      expect(await commandsOf(id)).toEqual(WHOLE(id));
    }
  });

  unlessHurried("with an object of its own each time", async () => {
    const id = newId();
    await prepare(id);
    const first = await store.getExecutionTaskResults(id);
    first.done.n.push(2);
    first.added = true;
    const second = await store.getExecutionTaskResult(id, "done");
    second.n.push(3);
    const [third, fourth] = await ask(
      () => store.getExecutionTaskResult(id, "done"),
      () => store.getExecutionTaskResults(id),
    );
    expect([second, third, fourth]).toEqual([{ n: [1, 3] }, { n: [1] }, { done: { n: [1] } }]);
    expect(await commandsOf(id)).toEqual(WHOLE(id));
  });

  for (const raw of ["{", "", '1,"x":2', "undefined"]) {
    unlessHurried(`with the error of a result that is not JSON: ${JSON.stringify(raw)}`, async () => {
      const id = newId();
      await prepare(id);
      await admin.hset(`${id}-results`, "bad", raw);
      const own = await rejectionOf(createPlainAsker().getExecutionTaskResult(id, "bad"));
      expect(own.code).toBe("ERR_REDIS_PARSE");
      await commandsOf(id);
      // The results themselves cannot be read; the snapshot comes with the execution's beginning.
      await store.beginExecution(id);
      const errors = [
        await rejectionOf(store.getExecutionTaskResult(id, "bad")),
        await rejectionOf(store.getExecutionTaskResults(id)),
      ];
      expect(await store.getExecutionTaskResult(id, "done")).toEqual({ n: [1] });
      for (const error of errors) {
        expect(error).toMatchObject({ code: own.code, message: own.message, key: own.key, taskId: "bad" });
        expect(error.cause).toBeInstanceOf(SyntaxError);
      }
      expect(await commandsOf(id)).toHaveLength(3);
    });
  }

  const createPlainAsker = () => openStore(url, { readAhead: false });
});

describe("results too many or too large to keep", () => {
  it.each([
    ["300 results", 300, "1"],
    ["one result of 70 KB", 1, JSON.stringify("x".repeat(70_000))],
  ])("are asked for again, but not what has none: %s", (_, count, json) =>
    unhurried(async () => {
      store = openStore(url);
      const id = newId();
      await prepare(id);
      const fields = Array.from({ length: count }, (_, index) => [`task-${index}`, json]);
      await admin.hset(`${id}-results`, Object.fromEntries(fields));
      await commandsOf(id);

      const results = await store.getExecutionTaskResults(id);
      const answers = [
        await store.isExecutionInProgress(id),
        await store.isExecutionTaskInProgress(id, "marked"),
        await store.getExecutionTaskResult(id, "unknown"),
      ];
      expect(Object.keys(results)).toHaveLength(count + 1);
      expect(answers).toEqual([true, true, undefined]);
      expect(await commandsOf(id)).toEqual(WHOLE(id));

      await store.getExecutionTaskResults(id);
      const result = await store.getExecutionTaskResult(id, "task-0");
      expect(result).toEqual(JSON.parse(json));
      const again = await store.getExecutionTaskResults(id);
      expect(again).toEqual(results);
      expect((await commandsOf(id)).map(([name]) => name)).toEqual([
        ...["HGETALL", "HGETALL", "GET"],
        ...["HGET", "HGET"],
        ...["HGETALL", "HGETALL", "GET"],
      ]);
    }),
  );
});

describe("what was read is dropped", () => {
  // Per write: what there is before it, and what the questions below are answered with after it.
  const WRITES = [
    ["beginExecution", (by, id) => by.beginExecution(id), { execution: null }, [true, true, undefined]],
    ["beginExecutionTask", (by, id) => by.beginExecutionTask(id, "task"), { marked: null }, [true, true, undefined]],
    ["commitExecutionTaskResult", (by, id) => by.commitExecutionTaskResult(id, "task", 1), {}, [true, false, 1]],
    ["disposeExecution", (by, id) => by.disposeExecution(id), { done: "task" }, [false, false, undefined]],
  ];
  const QUESTIONS = [
    (id, by = store) => by.isExecutionInProgress(id),
    (id, by = store) => by.isExecutionTaskInProgress(id, "task"),
    (id, by = store) => by.getExecutionTaskResult(id, "task"),
  ];

  const prepareFor = async (before) => {
    const id = newId();
    await prepare(id, { marked: "task", done: null, ...before });
    return id;
  };

  const askAll = async (id) => {
    const answers = [];
    for (const ask of QUESTIONS) answers.push(await ask(id));
    return answers;
  };

  it.each(WRITES)("by %s, from the moment it is called", async (_, write, before, after) => {
    for (const [index, ask] of QUESTIONS.entries()) {
      const id = await prepareFor(before);
      await store.getExecutionTaskResults(id);
      const written = write(store, id);
      // Behind the write on the same connection.
      expect(await ask(id)).toEqual(after[index]);
      await written;
    }
  });

  it.each(WRITES)("by %s, for what is asked after it", async (_, write, before, after) => {
    const id = await prepareFor(before);
    await store.getExecutionTaskResults(id);
    await write(store, id);
    expect(await askAll(id)).toEqual(after);
    await store.getExecutionTaskResults(id);
    expect(await askAll(id)).toEqual(after);
  });

  it.each(WRITES)("by %s that was called while it was on its way", async (_, write, before, after) => {
    for (const [index, ask] of QUESTIONS.entries()) {
      const id = await prepareFor(before);
      const learnt = store.getExecutionTaskResults(id);
      const written = write(store, id);
      await learnt;
      expect(await ask(id)).toEqual(after[index]);
      await written;
    }
  });

  it.each(WRITES)("by %s of another store that was answered meanwhile", async (_, write, before, after) => {
    // A connection of its own: what is read may be older than the write although it is answered later.
    const other = openStore(url, { connectTimeout: 4999 });
    for (const [index, ask] of QUESTIONS.entries()) {
      const id = await prepareFor(before);
      const learnt = store.getExecutionTaskResults(id);
      await Promise.all([write(other, id), learnt]);
      expect(await ask(id)).toEqual(after[index]);
    }
  });

  it.each(WRITES)("by %s of another store that was answered before it", async (_, write, before, after) => {
    // Two connections, so that Redis may answer the question first and its answer may arrive last.
    const proxies = [await startProxy(server), await startProxy(server)];
    releases.push(...proxies.map((proxy) => proxy.stop));
    const [asking, writing] = proxies.map(({ host, port }) => openStore({ ...server, host, port }));
    await Promise.all([asking, writing].map((each) => each.isExecutionInProgress("connected")));
    const [[question], [order]] = proxies.map(({ connections }) => connections);
    for (const [index, ask] of QUESTIONS.entries()) {
      const id = await prepareFor(before);
      order.hold("toServer");
      question.hold("toClient");
      const written = write(writing, id);
      // In a turn of its own, and so behind the write.
      await store.isExecutionInProgress("another");
      const learnt = asking.getExecutionTaskResults(id);
      await eventually(() => question.held("toClient").includes("task") || question.held("toClient").includes("*0"));
      order.release("toServer");
      await written;
      question.release("toClient");
      await learnt;
      expect(await ask(id, asking)).toEqual(after[index]);
    }
  });

  it("by a write through another store of this process, whatever its settings", async () => {
    const others = [
      openStore(url),
      openStore(url, { readAhead: false }),
      openStore(url, { ttl: 60_000 }),
      openStore(url, { connectTimeout: 4999 }),
    ];
    for (const other of others) {
      for (const [, write] of WRITES) {
        const id = await prepareFor();
        await store.getExecutionTaskResults(id);
        const written = write(other, id);
        await store.isExecutionTaskInProgress(id, "task");
        await written;
        expect(await commandsOf(id)).toContainEqual(["HGET", `${id}-transactions`, "task"]);
      }
    }
  });

  it("only as far as it is about the task that is written", async () => {
    await unhurried(async () => {
      const id = await prepareFor({ marked: "marked" });
      await store.getExecutionTaskResults(id);
      const written = [store.commitExecutionTaskResult(id, "task", 1), store.beginExecutionTask(id, "another")];
      const answers = await Promise.all([
        store.isExecutionInProgress(id),
        store.isExecutionTaskInProgress(id, "marked"),
        store.isExecutionTaskInProgress(id, "another"),
        store.getExecutionTaskResult(id, "task"),
        store.getExecutionTaskResults(id),
      ]);
      await Promise.all(written);
      expect(answers).toEqual([true, true, true, 1, { task: 1 }]);
      const sent = (await commandsOf(id))
        .slice(WHOLE(id).length)
        .filter(([name]) => ["GET", "HGET", "HGETALL"].includes(name));
      expect(sent).toEqual([
        ["HGET", `${id}-transactions`, "another"],
        ["HGET", `${id}-results`, "task"],
        // The last of the calls side by side carries what comes next.
        ...WHOLE(id),
      ]);
    });
  });

  it.each(["first", "last"])(
    "by an error, also by one that came with it, what is learnt being asked %s",
    async (place) => {
      const id = newId();
      await prepare(id, { marked: null });
      await admin.set(`${id}-transactions`, "no hash");
      const asks = [() => store.getExecutionTaskResults(id), () => store.isExecutionTaskInProgress(id, "task")];
      if (place === "last") asks.reverse();
      const outcomes = await Promise.allSettled(asks.map((ask) => ask()));
      const [learnt, failed] = place === "last" ? outcomes.reverse() : outcomes;
      expect([learnt.status, failed.reason?.reply]).toEqual(["fulfilled", "WRONGTYPE"]);
      await commandsOf(id);
      expect(await store.isExecutionInProgress(id)).toBe(true);
      expect((await commandsOf(id)).filter(([name]) => name === "GET")).toHaveLength(1);
    },
  );

  it("by nothing that concerns another execution", () =>
    unhurried(async () => {
      store = openStore(url);
      const [id, other] = [newId(), newId()];
      await prepare(id);
      const [, results] = await Promise.all([store.beginExecution(other), store.getExecutionTaskResults(id)]);
      expect(results).toEqual({ done: { n: [1] } });
      const written = store.beginExecutionTask(other, "task");
      expect(await store.isExecutionInProgress(id)).toBe(true);
      expect(await commandsOf(id)).toEqual(WHOLE(id));
      await written;
    }));
});

describe("what was read is not used", () => {
  it("for another execution", async () => {
    const [id, other] = [newId(), newId()];
    await prepare(id);
    await store.getExecutionTaskResults(id);
    expect(await store.isExecutionInProgress(other)).toBe(false);
    expect(await commandsOf(other)).toEqual([["GET", other]]);
  });

  it.each([
    ["with another prefix", () => openStore(url, { keyPrefix: `${newId()}:` }), false],
    ["with hash tags", () => openStore(url, { hashTags: true }), false],
    ["of another database", () => openStore(new URL("/1", url)), false],
    ["that does not read ahead", () => openStore(url, { readAhead: false }), true],
    ["with the same settings", () => openStore(url), true],
  ])("by a store %s", async (_, open, same) => {
    const id = newId();
    await prepare(id);
    const other = open();
    await store.getExecutionTaskResults(id);
    expect(await other.isExecutionInProgress(id)).toBe(same);
    expect((await commandsOf(id)).filter(([name]) => name === "GET")).toHaveLength(2);
  });

  it("by a store that has been closed", async () => {
    const id = newId();
    const closing = openStore(url);
    await closing.getExecutionTaskResults(id);
    closing.close();
    expect(await rejectionOf(closing.isExecutionInProgress(id))).toMatchObject({ code: "ERR_REDIS_CLOSED" });
  });
});

/** How a promise was rejected. */
async function rejectionOf(promise) {
  const [{ reason }] = await Promise.allSettled([promise]);
  return reason ?? expect.fail("should have been rejected");
}
