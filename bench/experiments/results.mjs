/**
 * Reading all results of executions that have many.
 */
import { Redis } from "ioredis";
import { BASELINE, RIVALS } from "../rivals.mjs";
import { runContender } from "../run-contender.mjs";
import { VALUE } from "../workloads/execution.mjs";

/**
 * @param {import("../experiments.mjs").Settings} settings
 * @returns {import("../experiments.mjs").Experiment[]}
 */
export function resultsExperiments({ duration }) {
  return [1_000, 20_000].map((count) => {
    const executionId = `bench-results-${count}`;
    const of = `${count.toLocaleString("en").replaceAll(",", " ")} results`;
    return {
      contenders: ["ours", BASELINE, ...RIVALS],
      cases: [
        { name: `results-${count}`, title: `Reading ${of}`, figure: "time", unit: "ms", better: "lower" },
        {
          name: `results-${count}-loop-time`,
          title: `Reading ${of}, event-loop time`,
          figure: "loopTime",
          unit: "ms",
          better: "lower",
        },
      ],
      setUp: ({ redis }) => seed(redis.url, executionId, count),
      run: (contender, { redis }) =>
        runContender({
          contender,
          url: redis.url,
          workload: "results",
          params: { executionId, count, duration },
        }),
    };
  });
}

/** Stores an execution's results as a worker would have left them. */
async function seed(url, executionId, count) {
  const redis = new Redis(url);
  try {
    const json = JSON.stringify(VALUE);
    const fields = Array.from({ length: count }, (_, i) => [`process-order:line-${i}`, json]);
    await redis.hset(`${executionId}-results`, Object.fromEntries(fields));
  } finally {
    redis.disconnect();
  }
}
