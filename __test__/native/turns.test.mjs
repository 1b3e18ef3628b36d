// What one turn of the event loop sends and settles: no store, and no large result, keeps the others waiting.
import { setImmediate as nextIteration } from "node:timers/promises";
import { expect, it } from "vitest";
import { createRedisStore } from "../../index.js";
import { runScript } from "../support/child.mjs";
import { privateRedis, sharedRedis } from "../support/redis.mjs";
import { temporaryStore } from "../support/temporary.mjs";

const { url, admin, newId } = sharedRedis();

/** Blocks this thread, and with it the event loop. */
const block = (milliseconds) => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);

it("large results are settled a few in a turn, however many are there at once", async () => {
  const [count, megabyte] = [24, 1024 * 1024];
  // Takes a JSON parser longer than a turn may last.
  const value = Array.from({ length: (2 * megabyte) / 8 }, (_, index) => [index % 1000]);
  const store = temporaryStore(url, { commandTimeout: 60_000, readAhead: false });
  const id = newId();
  await store.commitExecutionTaskResult(id, "task", value);
  let [turn, counting] = [0, true];
  const counted = (async () => {
    for (; counting; turn += 1) await nextIteration();
  })();
  const turns = [];
  const read = async () => {
    await store.getExecutionTaskResult(id, "task");
    turns.push(turn);
  };
  const all = Promise.all(Array.from({ length: count }, read));
  await nextIteration();
  // Most of them are there when the event loop goes on.
  block(1000);
  await all;
  counting = false;
  await counted;
  const inOneTurn = Math.max(...turns.map((turn) => turns.filter((other) => other === turn).length));
  // One before and one after what counts the turns.
  expect(inOneTurn).toBeLessThanOrEqual(2);
});

it("many results are parsed a few at a time, and other stores' calls are answered between", async () => {
  const [count, parseMs] = [200, 1];
  const script = `
    // Whatever the machine, one call takes longer than a quarter of what a turn may last.
    const parse = JSON.parse;
    let inTurn = 0;
    let most = 0;
    let all = 0;
    JSON.parse = (text) => {
      inTurn += 1;
      all += 1;
      most = Math.max(most, inTurn);
      for (const until = performance.now() + args.parseMs; performance.now() < until; );
      return parse(text);
    };
    const { createRedisStore } = await import(args.entry);
    const [large, small] = [args.url, args.otherUrl].map((url) => createRedisStore(url, { readAhead: false }));
    await Promise.all([large, small].map((store) => store.isExecutionInProgress(args.id)));
    let reading = true;
    const countTurns = () => {
      inTurn = 0;
      if (reading) setImmediate(countTurns);
    };
    countTurns();
    let between = 0;
    const ask = async () => {
      while (reading) {
        await small.isExecutionInProgress(args.id);
        if (reading && all > 0) between += 1;
      }
    };
    const asked = ask();
    const results = await large.getExecutionTaskResults(args.id);
    reading = false;
    await asked;
    const isWhole = Object.keys(results).length === args.count && Object.values(results).every((value) => value.length === 70_000);
    console.log(JSON.stringify({ isWhole, all, most, between }));
    await Promise.all([large.close(), small.close()]);
  `;
  const [id, other] = [newId(), await privateRedis()];
  const value = JSON.stringify("x".repeat(70_000));
  const fields = Array.from({ length: count }, (_, task) => [`task-${task}`, value]);
  await admin.hset(`${id}-results`, Object.fromEntries(fields));
  const entry = new URL("../../index.js", import.meta.url).href;
  const args = { entry, url, otherUrl: other.url, id, count, parseMs };
  const { lines, errors } = await runScript(script, { args, imports: false });
  expect(lines, errors).toHaveLength(1);
  const { isWhole, all, most, between } = JSON.parse(lines[0]);
  expect(isWhole).toBe(true);
  // Each is a text of its own, but for the first 4 MiB.
  expect(all).toBeGreaterThan(count / 2);
  // Four milliseconds, the call in which they end, and what came before and after what counts the turns.
  expect(most).toBeLessThanOrEqual(12);
  expect(between).toBeGreaterThan(0);
});

it("answers of another connection come between those that were there before", async () => {
  const other = await privateRedis();
  const [busy, quiet] = [temporaryStore(url, { readAhead: false }), temporaryStore(other.url)];
  const id = newId();
  await Promise.all([busy.beginExecution(id), quiet.beginExecution(id)]);
  let settled = 0;
  const all = Array.from({ length: 20_000 }, () =>
    busy.isExecutionInProgress(id).then(() => {
      settled += 1;
    }),
  );
  const meanwhile = await new Promise((resolve) => {
    setImmediate(() => {
      // Timers that are due come before what the I/O thread has for this one.
      setTimeout(() => block(300), 1);
      block(500);
      const settledBefore = settled;
      quiet.isExecutionInProgress(id).then(() => resolve(settled - settledBefore));
    });
  });
  await Promise.all(all);
  expect(meanwhile).toBeLessThan(1000);
});

it("the deadline of a call counts from the moment it is made, not from the end of its turn", async () => {
  const [commandTimeout, blocked, slack] = [1500, 1200, 1000];
  const server = await privateRedis();
  const store = createRedisStore(server.url, { commandTimeout });
  await store.beginExecution("execution");
  server.pause();
  const made = performance.now();
  const failure = store.beginExecution("execution").catch((error) => error);
  block(blocked);
  expect(await failure).toMatchObject({ code: "ERR_REDIS_TIMEOUT" });
  const took = performance.now() - made;
  server.resume();
  await store.close();
  expect(took).toBeGreaterThanOrEqual(commandTimeout);
  expect(took).toBeLessThan(commandTimeout + slack);
});

it("the end of a turn sends what was called in it also where a tick, a microtask or a timer called", async () => {
  const source = `
    const store = createRedisStore(args.url, { readAhead: false });
    const begin = (name) => store.beginExecution(args.id + name);
    const from = (schedule, name) => new Promise((resolve, reject) => schedule(() => begin(name).then(resolve, reject)));
    await begin("module");
    await from(process.nextTick, "tick");
    await from(queueMicrotask, "microtask");
    await from(setImmediate, "immediate");
    await from((callback) => setTimeout(callback, 0), "timer");
    await from((callback) => process.nextTick(() => queueMicrotask(() => process.nextTick(callback))), "nested");
    await from((callback) => Promise.reject().catch(() => process.nextTick(callback)), "rejection");
    process.once("uncaughtException", () => {});
    await from((callback) => setImmediate(() => { callback(); throw new Error("mine"); }), "exception");
    console.log("all");
  `;
  const outcome = await runScript(source, { args: { url, id: newId() } });
  expect(outcome, outcome.errors).toMatchObject({ code: 0, lines: ["all"] });
});

it("large results are settled under fake timers that were there before the package was loaded", async () => {
  const id = newId();
  const store = temporaryStore(url, { readAhead: false });
  const value = Array.from({ length: 100_000 }, (_, index) => [index % 1000]);
  await store.commitExecutionTaskResult(id, "task", value);
  // As node:test's are, which the oldest Node.js that is supported has not.
  const source = `
    import { createRequire, syncBuiltinESMExports } from "node:module";
    const timers = createRequire(import.meta.url)("node:timers");
    const fakes = { setTimeout: () => ({}), setInterval: () => ({}), setImmediate: () => ({}) };
    Object.assign(timers, fakes);
    Object.assign(globalThis, fakes);
    syncBuiltinESMExports();
    const { createRedisStore } = (await import(args.home)).default;
    const store = createRedisStore(args.url);
    const reads = Array.from({ length: 20 }, () => store.getExecutionTaskResult(args.id, "task"));
    console.log((await Promise.all(reads)).filter(({ length }) => length === 100_000).length);
    await store.close();
  `;
  const home = new URL("../../index.js", import.meta.url).href;
  const { lines, errors } = await runScript(source, { args: { url, id, home }, imports: false, deadline: 15_000 });
  expect(errors).toBe("");
  expect(lines).toEqual(["20"]);
});
