/**
 * `npm run bench`: our store against the reference store on ioredis and against other clients, on a private server. Only
 * built-in modules are loaded until the packages are installed.
 */
import { writeFile } from "node:fs/promises";
import { performance } from "node:perf_hooks";
import { parseArgs } from "node:util";
import { ensureRedisServer, startRedis } from "../tooling/servers/redis-server.mjs";
import { setup } from "../tooling/setup.mjs";
import { createTerminal } from "../tooling/terminal.mjs";

const HELP = `npm run bench -- [options]

  --quick             a first impression in less than two minutes: short rounds, fewer rivals
  --rounds N          how often everything is measured; 5 if not given, 3 with --quick
  --case NAME[,NAME]  only these cases
  --json FILE         write the figures to a file
  --list              print the names of the cases

It installs the npm packages and builds the addon first where that is needed, and starts a Redis server of its own.`;

/** Milliseconds of each run that do not count, and that do. */
const FULL = { quick: false, warmUp: 800, duration: 700 };
const QUICK = { quick: true, warmUp: 150, duration: 250 };

const terminal = createTerminal();

async function main() {
  const { values: flags } = parseArgs({
    options: {
      quick: { type: "boolean", default: false },
      rounds: { type: "string" },
      case: { type: "string" },
      json: { type: "string" },
      list: { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (flags.help) return terminal.line(HELP);
  const rounds = numberOfRounds(flags);

  await setup(terminal);
  const { allExperiments } = await import("./experiments.mjs");
  const experiments = allExperiments(flags.quick ? QUICK : FULL);
  if (flags.list) return terminal.line(namesOf(experiments).join("\n"));
  const chosen = choose(experiments, flags.case?.split(","));

  ensureRedisServer({ log: terminal.line });
  const redis = await startRedis();
  try {
    await measure(chosen, { redis, rounds, quick: flags.quick, json: flags.json });
  } finally {
    await redis.stop();
  }
}

async function measure(experiments, { redis, rounds, quick, json }) {
  const { describeMachine, describeVersions } = await import("./machine.mjs");
  const { runRounds } = await import("./rounds.mjs");
  const { renderTable } = await import("./table.mjs");

  const machine = describeMachine();
  const versions = await describeVersions(redis.url);
  const named = Object.entries(versions).map((entry) => entry.join(" "));
  terminal.line(`\n${machine.cpu}, ${machine.cores} cores, ${machine.memory}, ${machine.system}`);
  terminal.line(`${named.join(", ")}\n`);

  const began = performance.now();
  const progress = terminal.progress("measuring");
  const cases = await runRounds(experiments, rounds, { redis }, reportTo(progress, rounds)).finally(progress.end);
  terminal.line(renderTable(cases, terminal));
  const seconds = Math.round((performance.now() - began) / 1000);
  terminal.line(`\n${rounds} ${rounds === 1 ? "round" : "rounds"} in ${seconds} s`);

  if (json) {
    const report = { date: new Date().toISOString(), quick, rounds, machine, versions, cases };
    await writeFile(json, `${JSON.stringify(report, null, 2)}\n`);
    terminal.line(`the figures are in ${json}`);
  }
}

function numberOfRounds({ rounds, quick }) {
  const number = Number(rounds ?? (quick ? 3 : 5));
  if (!Number.isInteger(number) || number < 1) throw new RangeError(`--rounds must be a whole number, not ${rounds}`);
  return number;
}

/** Keeps the cases with these names, and the experiments that yield them. */
function choose(experiments, names) {
  if (!names) return experiments;
  const known = new Set(namesOf(experiments));
  const unknown = names.filter((name) => !known.has(name));
  if (unknown.length > 0) throw new RangeError(`there is no case ${unknown.join(", ")}: --list prints their names`);
  return experiments
    .map((experiment) => ({ ...experiment, cases: experiment.cases.filter(({ name }) => names.includes(name)) }))
    .filter(({ cases }) => cases.length > 0);
}

function namesOf(experiments) {
  return experiments.flatMap(({ cases }) => cases.map(({ name }) => name));
}

/** Shows every run on a terminal, and elsewhere, where each update is a line, every round. */
function reportTo(progress, rounds) {
  let shown;
  return ({ round, done, total, label }) => {
    const what = round === 0 ? "preparing" : `round ${round} of ${rounds}`;
    if (process.stdout.isTTY) progress.update(`${what}  ${Math.floor((done / total) * 100)} %  ${label}`);
    else if (round !== shown) progress.update(what);
    shown = round;
  };
}

await main().catch((error) => {
  terminal.line(`${terminal.red("✗")} ${error.stack}`);
  process.exitCode = 1;
});
