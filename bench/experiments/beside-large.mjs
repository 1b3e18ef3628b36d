/**
 * What small calls take while another store of the process reads large results from another server.
 */
import { Redis } from "ioredis";
import { startRedis } from "../../tooling/servers/redis-server.mjs";
import { BASELINE } from "../rivals.mjs";
import { runContender } from "../run-contender.mjs";

/** 30 MB. */
const COUNT = 300;
const RESULT_BYTES = 100_000;

const READS = 40;
const READS_QUICK = 10;

const EXECUTION_ID = "bench-beside-large";

/**
 * @param {import("../experiments.mjs").Settings} settings
 * @returns {import("../experiments.mjs").Experiment[]}
 */
export function besideLargeExperiments({ quick }) {
  let server;
  return [
    {
      contenders: ["ours", BASELINE],
      cases: [
        {
          name: "beside-large",
          title: "Time of a small call beside another store's reads of 30 MB, p99",
          figure: "p99",
          unit: "ms",
          better: "lower",
        },
      ],
      async setUp() {
        server = await startRedis();
        const redis = new Redis(server.url);
        try {
          const json = JSON.stringify("x".repeat(RESULT_BYTES));
          const fields = Array.from({ length: COUNT }, (_, i) => [`process-order:line-${i}`, json]);
          await redis.hset(`${EXECUTION_ID}-results`, Object.fromEntries(fields));
        } finally {
          redis.disconnect();
        }
      },
      run(contender, { redis }) {
        const reads = quick ? READS_QUICK : READS;
        const params = { largeUrl: server.url, executionId: EXECUTION_ID, count: COUNT, reads };
        return runContender({ contender, url: redis.url, workload: "besideLarge", params });
      },
      tearDown: () => server?.stop(),
    },
  ];
}
