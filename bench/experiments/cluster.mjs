/**
 * What a cluster costs: our store on three masters against our store on one server, and against the reference store on an
 * ioredis Cluster. All of them share this machine, so it shows the price of routing, not the gain of more machines.
 */
import { startMasters } from "../../tooling/servers/cluster.mjs";
import { BASELINE_CLUSTER } from "../rivals.mjs";
import { runContender } from "../run-contender.mjs";

/** Executions side by side. */
const CONCURRENCY = 256;

/** Servers that are started once, for the experiments that share them. */
let shared;

/**
 * @param {import("../experiments.mjs").Settings} settings
 * @returns {import("../experiments.mjs").Experiment[]}
 */
export function clusterExperiments({ warmUp, duration }) {
  const params = { concurrency: CONCURRENCY, warmUp, duration };
  return [
    { suffix: "", options: {}, how: "in a cluster" },
    { suffix: "-hash-tags", options: { hashTags: true }, how: "in a cluster with hashTags" },
  ].flatMap(({ suffix, options, how }) => {
    const title = `Store calls per second ${how}`;
    const one = { figure: "callsPerSecond", unit: "calls/s", better: "higher" };
    return [
      {
        contenders: ["cluster", "one server"],
        ours: "cluster",
        baseline: "one server",
        cases: [{ name: `cluster${suffix}`, title: `${title}, against one server, 256 at a time`, ...one }],
        setUp: start,
        run(contender, { redis }) {
          const url = contender === "cluster" ? shared.startup : redis.url;
          return runContender({ contender: "ours", url, options, workload: "throughput", params });
        },
        tearDown: stop,
      },
      {
        contenders: ["ours", BASELINE_CLUSTER],
        baseline: BASELINE_CLUSTER,
        cases: [{ name: `cluster${suffix}-ioredis`, title: `${title}, 256 at a time`, ...one }],
        setUp: start,
        run: (contender) => runContender({ contender, url: shared.startup, options, workload: "throughput", params }),
        tearDown: stop,
      },
    ];
  });
}

async function start() {
  shared ??= await startMasters({ replicas: 0 });
}

async function stop() {
  const servers = shared;
  shared = undefined;
  await servers?.stop();
}
