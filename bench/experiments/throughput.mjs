/**
 * Calls per second, event-loop time and CPU time over the life of executions, and the latency of a single caller.
 */
import { BASELINE, RIVALS } from "../rivals.mjs";
import { runContender } from "../run-contender.mjs";

/** Milliseconds until everything of an execution expires, in the cases with a ttl. */
const TTL = 60_000;

/**
 * @param {import("../experiments.mjs").Settings} settings
 * @returns {import("../experiments.mjs").Experiment[]}
 */
export function throughputExperiments({ quick, warmUp, duration }) {
  const life = [];
  for (const ttl of [undefined, TTL]) {
    for (const concurrency of [1, 64, 256]) {
      life.push(lifeOfExecutions(concurrency, ttl, { warmUp, duration }, quick && ttl ? [] : RIVALS));
    }
  }
  const times = { warmUp, duration };
  return [...life, singleCaller(times), singleCallerWithoutReadAhead(times), clientMode(times)];
}

function lifeOfExecutions(concurrency, ttl, times, rivals) {
  const suffix = ttl === undefined ? "" : "-ttl";
  const when = `${concurrency} at a time${ttl === undefined ? "" : ", with a ttl"}`;
  const cases = [
    {
      name: `throughput-${concurrency}${suffix}`,
      title: `Store calls per second, ${when}`,
      figure: "callsPerSecond",
      unit: "calls/s",
      better: "higher",
    },
  ];
  if (concurrency === 256 && ttl === undefined) {
    cases.push(
      {
        name: "loop-time-256",
        title: `Event-loop time per call, ${when}`,
        figure: "loopTime",
        unit: "µs",
        better: "lower",
      },
      {
        name: "main-thread-256",
        title: `CPU time of the main thread per call, ${when}`,
        figure: "mainThread",
        unit: "µs",
        better: "lower",
        optional: true,
      },
      { name: "cpu-256", title: `CPU time per call, ${when}`, figure: "cpu", unit: "µs", better: "lower" },
    );
  }
  return {
    contenders: ["ours", BASELINE, ...rivals],
    cases,
    run: (contender, { redis }) =>
      runContender({
        contender,
        url: redis.url,
        options: { ttl },
        workload: "throughput",
        params: { concurrency, ...times },
      }),
  };
}

function singleCaller(times) {
  const cases = ["p50", "p99"].map((figure) => ({
    name: figure === "p50" ? "latency-1" : `latency-1-${figure}`,
    title: `Time of one call, one at a time, ${figure}`,
    figure,
    unit: "µs",
    better: "lower",
  }));
  return {
    contenders: ["ours", BASELINE, ...RIVALS],
    cases,
    run: (contender, { redis }) => runContender({ contender, url: redis.url, workload: "latency", params: times }),
  };
}

/** Every call goes to the server, as the baseline's do. */
function singleCallerWithoutReadAhead(times) {
  return {
    contenders: ["ours", BASELINE],
    cases: [
      {
        name: "latency-1-no-read-ahead",
        title: "Time of one call, one at a time, without read-ahead, p50",
        figure: "p50",
        unit: "µs",
        better: "lower",
      },
    ],
    run: (contender, { redis }) =>
      runContender({ contender, url: redis.url, options: { readAhead: false }, workload: "latency", params: times }),
  };
}

function clientMode(times) {
  return {
    contenders: ["ours-client-mode", BASELINE],
    ours: "ours-client-mode",
    cases: [
      {
        name: "client-mode-ioredis",
        title: "Event-loop time per call on the caller's own ioredis, 256 at a time",
        figure: "loopTime",
        unit: "µs",
        better: "lower",
      },
    ],
    run: (contender, { redis }) =>
      runContender({ contender, url: redis.url, workload: "throughput", params: { concurrency: 256, ...times } }),
  };
}
