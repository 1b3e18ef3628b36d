/**
 * How long calls take while their server is killed and comes back, or ends their connection, again and again.
 */
import { performance } from "node:perf_hooks";
import { setTimeout as delay } from "node:timers/promises";
import { Redis } from "ioredis";
import { startRedis } from "../../tooling/servers/redis-server.mjs";
import { BASELINE } from "../rivals.mjs";
import { runContender } from "../run-contender.mjs";

const KILLS = 20;

/** Milliseconds from one kill to the next, at least, and from a kill until the server is started again. */
const INTERVAL = 300;
const AWAY = 100;

const CUTS = 12;

/** Milliseconds from one end of the connection to the next. */
const CUT_INTERVAL = 800;

const CONCURRENCY = 32;

/**
 * @param {import("../experiments.mjs").Settings} settings
 * @returns {import("../experiments.mjs").Experiment[]}
 */
export function killsExperiments() {
  return [
    experiment("after-kill", `over ${KILLS} kills of the server`, killAgainAndAgain),
    experiment("after-cut", `over ${CUTS} ends of its connection`, cutAgainAndAgain),
  ];
}

function experiment(name, over, harm) {
  const when = `${CONCURRENCY} at a time, ${over}`;
  return {
    contenders: ["ours", BASELINE],
    cases: [
      { name, title: `Time of a commit, ${when}, p99`, figure: "p99", unit: "ms", better: "lower" },
      {
        name: `${name}-longest`,
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
        return await runContender(job, () => harm(server));
      } finally {
        await server.stop();
      }
    },
  };
}

/** Kills the server, and starts it again. */
async function killAgainAndAgain(server) {
  for (let kill = 0; kill < KILLS; kill += 1) {
    const began = performance.now();
    await server.kill();
    await delay(AWAY);
    await server.restart();
    await delay(Math.max(0, began + INTERVAL - performance.now()));
  }
}

/** Has the server end all connections. */
async function cutAgainAndAgain(server) {
  const admin = new Redis(server.url);
  try {
    for (let cut = 0; cut < CUTS; cut += 1) {
      await delay(CUT_INTERVAL);
      await admin.client("KILL", "TYPE", "normal", "SKIPME", "yes");
    }
  } finally {
    admin.disconnect();
  }
}
