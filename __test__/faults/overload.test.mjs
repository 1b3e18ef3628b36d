// More calls than a server takes: a bounded number waits, the rest is refused at once, the event loop goes on, and afterwards
// everything is as before.
import { describe, expect, it } from "vitest";
import { startScript } from "../support/child.mjs";
import { privateRedis } from "../support/redis.mjs";
import { full, note, times } from "../support/scale.mjs";
import { outcomeOf, temporaryStore } from "../support/temporary.mjs";

/** Calls that a caller makes before it lets the event loop go on. */
const SLICE = 100;

describe("a server that is stopped under a flood of calls", () => {
  it.each([
    ["goes on in time, and everything that was taken succeeds", 60_000, "answered"],
    ["goes on too late, and everything that was taken is given up", times(6000, 15_000), "ERR_REDIS_TIMEOUT"],
  ])("%s", async (outcome, commandTimeout, becomes) => {
    const calls = times(20_000, 200_000);
    const maxPending = calls / 2;
    const server = await privateRedis();
    const script = `
      import { once } from "node:events";
      import { monitorEventLoopDelay, PerformanceObserver } from "node:perf_hooks";
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
      const delays = monitorEventLoopDelay({ resolution: 1 });
      delays.enable();
      // The engine's own pauses, which calls in this number bring about whoever takes them.
      let collecting = 0;
      const collections = new PerformanceObserver((list) => {
        for (const { duration } of list.getEntries()) collecting = Math.max(collecting, duration);
      });
      collections.observe({ entryTypes: ["gc"] });
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
      delays.disable();
      console.log("settled");
      let answered = 0;
      while (answered < 1000) await store.isExecutionInProgress(ids[answered]).then((is) => is && answered++, () => {});
      console.log(JSON.stringify({ counts, grown: memory - before, longest: delays.max / 1e6, collecting, answered }));
    `;
    const args = { url: server.url, commandTimeout, maxPending, calls, slice: SLICE };
    const child = startScript(script, { args, deadline: 100_000 });
    await child.printed("ready");
    server.pause();
    process.kill(child.pid, "SIGUSR2");
    await child.printed("flooded");
    if (becomes === "ERR_REDIS_TIMEOUT") await child.printed("settled");
    server.resume();
    const { lines, errors } = await child.ended;
    const found = JSON.parse(lines.at(-1) ?? `{ "errors": ${JSON.stringify(errors)} }`);
    expect(found).toMatchObject({ answered: 1000 });
    expect(found.counts).toEqual({ [becomes]: maxPending, ERR_REDIS_OVERLOADED: calls - maxPending });
    // Calls, promises and errors, a few hundred bytes each.
    expect(found.grown).toBeLessThan(100e6 + calls * 2000);
    if (full) expect(found.longest - found.collecting).toBeLessThan(20);
    note({
      scenario: `server stopped under a flood of calls; it ${outcome}`,
      done: `${calls} calls, maxPending ${maxPending}`,
      found:
        `${maxPending} ${becomes}, ${calls - maxPending} refused with ERR_REDIS_OVERLOADED; ` +
        `${Math.round(found.grown / 1e6)} MB more memory, longest event-loop stall ${found.longest.toFixed(1)} ms, ` +
        `${found.collecting.toFixed(1)} ms of which the engine collected garbage; ` +
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
