/**
 * Many executions at once, each awaiting its calls one after another, for a stretch of time.
 */
import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { performance } from "node:perf_hooks";
import { setTimeout as delay } from "node:timers/promises";
import { percentile } from "../statistics.mjs";
import { LIFE, runExecution } from "./execution.mjs";

/** How many latencies are kept: more than one caller can gather in the time a run takes. */
const MAX_SAMPLES = 1 << 20;

/**
 * @param {{ store: object }} process
 * @param {{ concurrency: number, warmUp: number, duration: number }} params how many executions run side by side, and
 *   for how many milliseconds they warm up and are measured
 * @returns {Promise<{ callsPerSecond: number, callTime: number, loopTime: number, mainThread?: number, cpu: number }>}
 *   calls per second; wall time, event-loop active time, CPU time of the main thread (where the system measures it) and of
 *   the whole process, each in microseconds per call
 */
export async function throughput({ store }, { concurrency, warmUp, duration }) {
  const counter = { calls: 0 };
  let stopped = false;
  const caller = async () => {
    while (!stopped) await runExecution(store, randomUUID(), counter);
  };
  const callers = Promise.all(Array.from({ length: concurrency }, caller));
  const figures = measure(counter, warmUp, duration).finally(() => {
    stopped = true;
  });
  // A caller that fails ends the run at once, not after its time.
  await Promise.race([callers, figures]);
  await callers;
  return figures;
}

/**
 * One caller that awaits each call, with the time that each took.
 *
 * @param {{ store: object }} process
 * @param {{ warmUp: number, duration: number }} params milliseconds
 * @returns {Promise<{ p50: number, p99: number }>} microseconds
 */
export async function latency({ store }, { warmUp, duration }) {
  const samples = new Float64Array(MAX_SAMPLES);
  let taken = 0;
  const begin = performance.now();
  const measured = begin + warmUp;
  const end = measured + duration;
  for (let now = begin; now < end && taken < MAX_SAMPLES; ) {
    const id = randomUUID();
    for (const { ask, accepts } of LIFE) {
      const asked = performance.now();
      const answer = await ask(store, id);
      now = performance.now();
      if (!accepts(answer)) throw new Error(`wrong answer to ${ask}`);
      if (asked >= measured && taken < MAX_SAMPLES) samples[taken++] = (now - asked) * 1000;
    }
  }
  const latencies = samples.subarray(0, taken);
  return { p50: percentile(latencies, 0.5), p99: percentile(latencies, 0.99) };
}

async function measure(counter, warmUp, duration) {
  await delay(warmUp);
  const before = snapshot(counter);
  await delay(duration);
  const after = snapshot(counter);
  const calls = after.calls - before.calls;
  if (calls === 0) throw new Error(`no call was answered in ${duration} ms`);
  const elapsed = after.time - before.time;
  const { active } = performance.eventLoopUtilization(after.loop, before.loop);
  const cpu = after.cpu.user + after.cpu.system - before.cpu.user - before.cpu.system;
  const figures = { callsPerSecond: (calls / elapsed) * 1000, callTime: (elapsed / calls) * 1000 };
  if (after.mainThread !== undefined) figures.mainThread = (after.mainThread - before.mainThread) / calls;
  return { ...figures, loopTime: (active / calls) * 1000, cpu: cpu / calls };
}

function snapshot({ calls }) {
  return {
    calls,
    time: performance.now(),
    loop: performance.eventLoopUtilization(),
    cpu: process.cpuUsage(),
    mainThread: mainThreadTime(),
  };
}

/**
 * CPU time of this process's main thread in microseconds. Event-loop time also counts what the thread waits for a core
 * that other threads of the process occupy; this does not.
 */
function mainThreadTime() {
  if (process.threadCpuUsage) {
    const { user, system } = process.threadCpuUsage();
    return user + system;
  }
  if (process.platform !== "linux") return undefined;
  // Nanoseconds on a core come first: https://docs.kernel.org/scheduler/sched-stats.html
  return Number(readFileSync("/proc/self/schedstat", "utf8").split(" ")[0]) / 1000;
}
