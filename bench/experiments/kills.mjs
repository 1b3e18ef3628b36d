/**
 * How long calls take while their server is killed and comes back, again and again.
 */
import { performance } from "node:perf_hooks";
import { setTimeout as delay } from "node:timers/promises";
import { startRedis } from "../../tooling/servers/redis-server.mjs";
import { BASELINE } from "../rivals.mjs";
import { runContender } from "../run-contender.mjs";

const KILLS = 20;

/** Milliseconds from one kill to the next, at least, and from a kill until the server is started again. */
const INTERVAL = 300;
const AWAY = 100;

const CONCURRENCY = 32;

/**
 * @param {import("../experiments.mjs").Settings} settings
 * @returns {import("../experiments.mjs").Experiment[]}
 */
export function killsExperiments() {
  const when = `${CONCURRENCY} at a time, over ${KILLS} kills of the server`;
  return [
    {
      contenders: ["ours", BASELINE],
      cases: [
        { name: "after-kill", title: `Time of a commit, ${when}, p99`, figure: "p99", unit: "ms", better: "lower" },
        {
          name: "after-kill-longest",
          title: `Time of the longest commit, ${when}`,
          figure: "longest",
          unit: "ms",
          better: "lower",
        },
      ],
      async run(contender) {
        const server = await startRedis({ appendonly: true, args: ["--appendfsync", "always"] });
        try {
          const job = { contender, url: server.url, workload: "kills", params: { concurrency: CONCURRENCY } };
          return await runContender(job, () => killAgainAndAgain(server));
        } finally {
          await server.stop();
        }
      },
    },
  ];
}

async function killAgainAndAgain(server) {
  for (let kill = 0; kill < KILLS; kill += 1) {
    const began = performance.now();
    await server.kill();
    await delay(AWAY);
    await server.restart();
    await delay(Math.max(0, began + INTERVAL - performance.now()));
  }
}
