// More calls than a server takes: a bounded number waits, the rest is refused at once, the event loop goes on, and afterwards
// everything is as before.
import { describe, expect, it } from "vitest";
import { startScript } from "../support/child.mjs";
import { privateRedis } from "../support/redis.mjs";
import { full, note, times } from "../support/scale.mjs";
import { outcomeOf, temporaryStore } from "../support/temporary.mjs";

/** Longest time without a turn of the event loop, beside the engine's own pauses, in milliseconds. */
const STALL = 20;
/** How often that is measured at most: a stall that we cause is there every time, one of a virtual machine is not. */
const TRIES = 3;

/** Calls that a caller makes before it lets the event loop go on. */
const SLICE = 100;

/** Floods a stopped server with calls and prints what became of them, and what it cost its process. */
const FLOOD = `
  import { once } from "node:events";
  import { PerformanceObserver } from "node:perf_hooks";
  import { setImmediate } from "node:timers/promises";
  const { commandTimeout, maxPending, calls, slice } = args;
  const store = createRedisStore(args.url, { commandTimeout, maxPending });
  const ids = Array.from({ length: 1000 }, (_, index) => "execution-" + index);
  for (const id of ids) await store.beginExecution(id);
  const counts = {};
  let left = calls;
  let finish;
  const settled = new Promise((resolve) => (finish = resolve));
  const count = (code) => {
    counts[code] = (counts[code] ?? 0) + 1;
    if (--left === 0) finish();
  };
  let memory = 0;
  const weigh = () => (memory = Math.max(memory, process.memoryUsage.rss()));
  const before = process.memoryUsage.rss();
  const stopped = once(process, "SIGUSR2");
  // An idle store does not keep the process alive.
  const waiting = setInterval(() => {}, 1000);
  console.log("ready");
  await stopped;
  clearInterval(waiting);
  // A tick each millisecond; the event loop stood still from one to the next.
  const stalls = [];
  let lastTick = performance.now();
  const ticking = setInterval(() => {
    const now = performance.now();
    stalls.push([lastTick, now]);
    lastTick = now;
  }, 1);
  // The engine's own pauses, which this number of calls causes in any store.
  const pauses = [];
  new PerformanceObserver((list) => {
    for (const { startTime, duration } of list.getEntries()) pauses.push([startTime, startTime + duration]);
  }).observe({ entryTypes: ["gc"] });
  for (let made = 0; made < calls; ) {
    for (const end = made + slice; made < end; made++) {
      const id = ids[made % ids.length];
      const call = made % 2 ? store.commitExecutionTaskResult(id, "task", made) : store.isExecutionInProgress(id);
      call.then(() => count("answered"), (error) => count(error.code));
    }
    weigh();
    await setImmediate();
  }
  console.log("flooded");
  const weighing = setInterval(weigh, 20);
  await settled;
  clearInterval(weighing);
  clearInterval(ticking);
  console.log("settled");
  let answered = 0;
  while (answered < 1000) await store.isExecutionInProgress(ids[answered]).then((is) => is && answered++, () => {});
  const length = ([from, to]) => Math.max(0, to - from);
  const collected = ([from, to]) =>
    pauses.reduce((sum, [begin, end]) => sum + length([Math.max(from, begin), Math.min(to, end)]), 0);
  const longest = Math.max(...stalls.map(length));
  const beside = Math.max(...stalls.map((stall) => length(stall) - collected(stall)));
  console.log(JSON.stringify({ counts, grown: memory - before, longest, beside, answered }));
`;

/** Runs the flood once; the server goes on at once, or when all calls have settled. */
async function flood({ tooLate, ...options }) {
  const server = await privateRedis();
  const args = { url: server.url, slice: SLICE, ...options };
  const child = startScript(FLOOD, { args, deadline: 100_000 });
  await child.printed("ready");
  server.pause();
  process.kill(child.pid, "SIGUSR2");
  await child.printed("flooded");
  if (tooLate) await child.printed("settled");
  server.resume();
  const { lines, errors } = await child.ended;
  return JSON.parse(lines.at(-1) ?? `{ "errors": ${JSON.stringify(errors)} }`);
}

describe("a server that is stopped under a flood of calls", () => {
  it.each([
    ["goes on in time, and everything that was taken succeeds", 60_000, "answered"],
    ["goes on too late, and everything that was taken is given up", times(6000, 15_000), "ERR_REDIS_TIMEOUT"],
  ])("%s", async (outcome, commandTimeout, becomes) => {
    const calls = times(20_000, 200_000);
    const maxPending = calls / 2;
    let found;
    let tries = 0;
    do {
      found = await flood({ commandTimeout, maxPending, calls, tooLate: becomes === "ERR_REDIS_TIMEOUT" });
      tries++;
      expect(found).toMatchObject({ answered: 1000 });
      expect(found.counts).toEqual({ [becomes]: maxPending, ERR_REDIS_OVERLOADED: calls - maxPending });
      // Calls, promises and errors, a few hundred bytes each.
      expect(found.grown).toBeLessThan(100e6 + calls * 2000);
    } while (full && found.beside >= STALL && tries < TRIES);
    if (full) expect(found.beside).toBeLessThan(STALL);
    note({
      scenario: `server stopped under a flood of calls; it ${outcome}`,
      done: `${calls} calls, maxPending ${maxPending}${tries > 1 ? `; measured ${tries} times` : ""}`,
      found:
        `${maxPending} ${becomes}, ${calls - maxPending} refused with ERR_REDIS_OVERLOADED; ` +
        `${Math.round(found.grown / 1e6)} MB more memory, longest event-loop stall ${found.longest.toFixed(1)} ms, ` +
        `${found.beside.toFixed(1)} ms beside the engine's garbage collection; ` +
        "1000 of 1000 calls answered afterwards",
      promise: "bounded memory, no stall above 20 ms beside garbage collection, full recovery",
    });
  });
});

describe("results that are large", () => {
  it("are refused when too many bytes wait, but never one alone, and taken again when the others are done", async () => {
    const server = await privateRedis();
    const store = temporaryStore(server.url, { commandTimeout: 30_000 });
    await store.beginExecution("execution");
    server.pause();
    const size = 8 * 1024 * 1024;
    const commit = (index) => store.commitExecutionTaskResult("execution", `task-${index}`, "x".repeat(size));
    // 256 MiB are the limit, and each has a name and quotation marks, too.
    const taken = Array.from({ length: 31 }, (_, index) => commit(index));
    const refused = await outcomeOf(commit(31));
    expect(refused.error).toMatchObject({ code: "ERR_REDIS_OVERLOADED", executionId: "execution", taskId: "task-31" });
    expect(refused.error.message).toContain("256 MiB");
    const small = store.commitExecutionTaskResult("execution", "small", 1);
    server.resume();
    await Promise.all([...taken, small]);
    await commit(31);
    if (full) await store.commitExecutionTaskResult("execution", "alone", "x".repeat(300 * 1024 * 1024));
    note({
      scenario: "server stopped, commits of 8 MB",
      done: "32 commits",
      found: "31 taken, the one above 256 MiB refused with ERR_REDIS_OVERLOADED, all there afterwards",
      promise: "bounded memory",
    });
  });
});
