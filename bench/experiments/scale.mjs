/**
 * What a call costs when the server holds few executions and when it holds very many.
 */
import { Redis } from "ioredis";
import { startRedis } from "../../tooling/servers/redis-server.mjs";
import { BASELINE } from "../rivals.mjs";
import { runContender } from "../run-contender.mjs";
import { VALUE } from "../workloads/execution.mjs";

/** Executions side by side. */
const CONCURRENCY = 64;

const FEW = 1_000;
const MANY = 1_000_000;
const MANY_QUICK = 100_000;

/** Executions stored by one script call, which keeps each call well below a second. */
const CHUNK = 10_000;

/** Stores executions that have one result each, as a worker would have left them. */
const SEED = `
  for i = tonumber(ARGV[1]), tonumber(ARGV[2]) do
    local id = string.format("00000000-0000-4000-8000-%012d", i)
    redis.call("SET", id, "true")
    redis.call("HSET", id .. "-results", "process-order:get-order", ARGV[3])
  end`;

/**
 * @param {import("../experiments.mjs").Settings} settings
 * @returns {import("../experiments.mjs").Experiment[]}
 */
export function scaleExperiments({ quick, warmUp, duration }) {
  const many = quick ? MANY_QUICK : MANY;
  const title = `Time per call with ${spaced(many)} executions stored, against ${spaced(FEW)}`;
  const servers = new Map();
  return ["ours", BASELINE].map((contender) => {
    const [large, small] = [`${contender} at ${spaced(many)}`, `${contender} at ${spaced(FEW)}`];
    return {
      contenders: [large, small],
      ours: large,
      baseline: small,
      cases: [
        {
          name: contender === "ours" ? "scale" : `scale-${contender}`,
          title: contender === "ours" ? title : `${title}, ${contender}`,
          figure: "callTime",
          unit: "µs",
          better: "lower",
        },
      ],
      async setUp() {
        for (const stored of [FEW, many]) {
          if (servers.has(stored)) continue;
          const server = await startRedis();
          servers.set(stored, server);
          await seed(server.url, stored);
        }
      },
      run(variant) {
        const { url } = servers.get(variant === large ? many : FEW);
        const params = { concurrency: CONCURRENCY, warmUp, duration };
        return runContender({ contender, url, workload: "throughput", params });
      },
      async tearDown() {
        for (const [stored, server] of servers) {
          servers.delete(stored);
          await server.stop();
        }
      },
    };
  });
}

async function seed(url, count) {
  const redis = new Redis(url);
  try {
    for (let first = 1; first <= count; first += CHUNK) {
      await redis.eval(SEED, 0, first, Math.min(count, first + CHUNK - 1), JSON.stringify(VALUE));
    }
  } finally {
    redis.disconnect();
  }
}

function spaced(count) {
  return count.toLocaleString("en").replaceAll(",", " ");
}
