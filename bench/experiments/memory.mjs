/**
 * How much memory a contender's process holds.
 */
import { Redis } from "ioredis";
import { BASELINE, RIVALS } from "../rivals.mjs";
import { runContender } from "../run-contender.mjs";

/** The stretch of work, and the calls that are then made in one turn. */
const PARAMS = { executions: 5_000, concurrency: 64, inFlight: 100_000 };

/** The result that is read many times in one turn, and thrown away. */
const RESULT = { executionId: "bench-memory", taskId: "process-order:report", reads: 1_000 };
const RESULT_BYTES = 1_000_000;

/**
 * @param {import("../experiments.mjs").Settings} settings
 * @returns {import("../experiments.mjs").Experiment[]}
 */
export function memoryExperiments({ quick }) {
  const cases = [
    { name: "memory", title: "Resident memory after 40 000 calls", figure: "worked" },
    { name: "memory-loaded", title: "Resident memory after the first call", figure: "loaded" },
    { name: "memory-in-flight", title: "Resident memory with 100 000 calls in flight", figure: "inFlight" },
  ];
  return [
    {
      contenders: ["ours", BASELINE, ...(quick ? [] : RIVALS)],
      cases: cases.map((definition) => ({ ...definition, unit: "MB", better: "lower" })),
      run: (contender, { redis }) => runContender({ contender, url: redis.url, workload: "memory", params: PARAMS }),
    },
    {
      contenders: ["ours", BASELINE],
      cases: [
        {
          name: "memory-results",
          title: "Largest resident memory while 1 000 results of 1 MB are read in one turn",
          figure: "peak",
          unit: "MB",
          better: "lower",
        },
      ],
      setUp: ({ redis }) => seedResult(redis.url),
      run: (contender, { redis }) =>
        runContender({ contender, url: redis.url, workload: "memoryOfResults", params: RESULT }),
    },
  ];
}

async function seedResult(url) {
  const redis = new Redis(url);
  try {
    const { executionId, taskId } = RESULT;
    await redis.hset(`${executionId}-results`, taskId, JSON.stringify("x".repeat(RESULT_BYTES)));
  } finally {
    redis.disconnect();
  }
}
