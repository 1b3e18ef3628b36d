/**
 * Workflows on a network that takes a millisecond each way: what a user of a worker waits for.
 */
import { startProxy } from "../proxy.mjs";
import { BASELINE, RIVALS } from "../rivals.mjs";
import { runContender } from "../run-contender.mjs";

/** Milliseconds that the proxy adds each way. */
const DELAY = 1;

const MODES = ["ISOLATED", "UNTIL_ERROR"];

const KINDS = [
  { kind: "steps", prefix: "workflow", what: "A workflow of ten steps", rivals: RIVALS },
  { kind: "parallel", prefix: "workflow-parallel", what: "A workflow of five steps side by side", rivals: [] },
  { kind: "functions", prefix: "workflow-functions", what: "Three functions of three steps on one event", rivals: [] },
];

/**
 * @param {import("../experiments.mjs").Settings} settings
 * @returns {import("../experiments.mjs").Experiment[]}
 */
export function workflowExperiments({ quick }) {
  const params = { warmUp: 1, workflows: quick ? 1 : 3 };
  return KINDS.flatMap(({ kind, prefix, what, rivals }) =>
    MODES.map((mode) => {
      const name = `${prefix}-${mode.toLowerCase().replace("_", "-")}`;
      const title = `${what}, ${mode}`;
      return {
        contenders: ["ours", BASELINE, ...rivals],
        cases: [
          { name, title: `${title}, ${DELAY} ms each way`, figure: "time", unit: "ms", better: "lower" },
          {
            name: `${name}-round-trips`,
            title: `${title}, round trips`,
            figure: "roundTrips",
            unit: "trips",
            better: "lower",
          },
          {
            name: `${name}-commands`,
            title: `${title}, commands without MULTI and EXEC`,
            figure: "commands",
            unit: "commands",
            better: "lower",
          },
        ],
        run: (contender, { redis }) => runBehindProxy(contender, redis, { mode, kind, ...params }),
      };
    }),
  );
}

async function runBehindProxy(contender, redis, params) {
  const proxy = await startProxy(redis, DELAY);
  try {
    let traffic;
    const job = { contender, url: proxy.url, workload: "workflow", params };
    const { time } = await runContender(job, (phase) => {
      if (phase === "begin") proxy.startCounting();
      else traffic = proxy.traffic;
    });
    return {
      time,
      roundTrips: traffic.roundTrips / params.workflows,
      commands: traffic.commands / params.workflows,
    };
  } finally {
    await proxy.close();
  }
}
