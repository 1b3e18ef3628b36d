/**
 * Upstash over HTTP: our store against the reference store on Upstash's client with automatic deserialisation off, over an
 * endpoint of our own in front of a real server. Requests are what a workflow waits for, commands what is paid for.
 */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { startRestEndpoint } from "../../tooling/servers/rest-endpoint.mjs";
import { runContender } from "../run-contender.mjs";
import { median } from "../statistics.mjs";

/** Milliseconds that the endpoint is away, each way. */
const DELAY = 5;

/** Executions side by side where the event loop is measured. */
const CONCURRENCY = 64;

/** New processes per contender and round; their median counts. */
const STARTS = 3;

/** Milliseconds that a process may take before it is ended. */
const DEADLINE = 30_000;

const COLD_START = fileURLToPath(new URL("../workloads/cold-start.mjs", import.meta.url));

const CONTENDERS = { contenders: ["ours-upstash", "upstash"], ours: "ours-upstash", baseline: "upstash" };

/**
 * @param {import("../experiments.mjs").Settings} settings
 * @returns {import("../experiments.mjs").Experiment[]}
 */
export function upstashExperiments({ quick, warmUp, duration }) {
  const params = { warmUp: 1, workflows: quick ? 1 : 3 };
  return [
    ...["ISOLATED", "UNTIL_ERROR"].map((mode) => workflows({ mode, ...params })),
    coldStarts(),
    loopTime({ warmUp, duration }),
  ];
}

function workflows(params) {
  const name = params.mode === "ISOLATED" ? "upstash-workflow" : "upstash-workflow-until-error";
  const title = `A workflow of ten steps over HTTP, ${params.mode}`;
  const lower = { better: "lower" };
  return withEndpoint({
    latency: DELAY,
    cases: [
      { name, title: `${title}, ${DELAY} ms each way`, figure: "time", unit: "ms", ...lower },
      { name: `${name}-requests`, title: `${title}, requests`, figure: "requests", unit: "requests", ...lower },
      { name: `${name}-commands`, title: `${title}, commands`, figure: "commands", unit: "commands", ...lower },
    ],
    async run(contender, rest) {
      let counts;
      const job = { contender, url: urlOf(rest), workload: "workflow", params };
      const { time } = await runContender(job, (phase) => {
        if (phase === "end") counts = count(rest.requests);
        rest.requests.length = 0;
      });
      return {
        time,
        requests: counts.requests / params.workflows,
        commands: counts.commands / params.workflows,
      };
    },
  });
}

function coldStarts() {
  const start = async (contender, rest) => {
    const args = [COLD_START, contender, urlOf(rest)];
    const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: DEADLINE });
    return Number(stdout);
  };
  return withEndpoint({
    cases: [
      {
        name: "upstash-cold-start",
        title: "From loading to the first answered call over HTTP, in a new process",
        figure: "firstAnswer",
        unit: "ms",
        better: "lower",
      },
    ],
    // The first start finds the files on the disk, all later ones in the page cache.
    async prepare(rest) {
      for (const contender of CONTENDERS.contenders) await start(contender, rest);
    },
    async run(contender, rest) {
      const starts = [];
      for (let i = 0; i < STARTS; i += 1) starts.push(await start(contender, rest));
      return { firstAnswer: median(starts) };
    },
  });
}

function loopTime(times) {
  return withEndpoint({
    cases: [
      {
        name: "upstash-loop-time",
        title: `Event-loop time per call over HTTP, ${CONCURRENCY} at a time`,
        figure: "loopTime",
        unit: "µs",
        better: "lower",
      },
    ],
    async run(contender, rest) {
      const params = { concurrency: CONCURRENCY, ...times };
      const figures = await runContender({ contender, url: urlOf(rest), workload: "throughput", params });
      rest.requests.length = 0;
      return figures;
    },
  });
}

/** An experiment over an endpoint of its own. */
function withEndpoint({ cases, latency, prepare, run }) {
  let rest;
  return {
    ...CONTENDERS,
    cases,
    async setUp({ redis }) {
      rest = await startRestEndpoint({ redisUrl: redis.url, latency });
      await prepare?.(rest);
    },
    run: (contender) => run(contender, rest),
    tearDown: () => rest?.stop(),
  };
}

/** The endpoint's URL with its token as the user, as contenders take it. */
function urlOf({ url, token }) {
  return Object.assign(new URL(url), { username: token }).href;
}

function count(requests) {
  const commands = requests.map(({ path, body }) => (path === "/" ? 1 : body.length));
  return { requests: requests.length, commands: commands.reduce((sum, each) => sum + each, 0) };
}
