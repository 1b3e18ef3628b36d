/**
 * `npm run test:servers`: the tests that talk to Redis, on the servers of several releases of Debian, one after the other.
 * Prints a table in Markdown. `-- --server "Valkey 8"` runs them on one server only.
 */
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative, sep } from "node:path";
import { parseArgs } from "node:util";
import { ROOT, requireCargo, setup } from "../../../tooling/setup.mjs";
import { createTerminal } from "../../../tooling/terminal.mjs";
import { SERVER_PACKAGES, unpackServer, versionOf } from "./packages.mjs";

const CACHE = join(ROOT, "node_modules/.cache/servers");
const TESTS = join(ROOT, "__test__");
const DEADLINE_MS = 30 * 60_000;
const MAX_FAILURES_SHOWN = 20;

/**
 * Which test files make a column of the table, by the beginnings of their names. The contract over every client is left to
 * `npm test`: how a client reaches its server is left to the client.
 */
const COLUMNS = {
  contract: ["contract/contract.", "contract/contract-tls", "contract/contract-topologies"],
  "ttl, wire": ["contract/ttl", "contract/wire", "contract/lifetimes"],
  "read-ahead": ["read-ahead/"],
  TLS: ["tls/"],
  Sentinel: ["topologies/sentinel"],
  cluster: ["topologies/cluster"],
  permissions: ["config/permissions"],
};

/** Beginnings of the full names of tests that need more than Redis 6.0. */
const SINCE_6_2 = [
  // CLIENT LIST has the local address.
  "instances with TLS of",
  // What is sent is counted, and the first SET … GET of a connection is sent again without GET.
  "one round trip answers",
  "a workflow in mode .* never sends more commands",
  "without read-ahead each call sends",
  "prefetching a caller that only ever calls beginExecution",
  "what was read is dropped by a write through another store",
  "what was read is dropped by nothing that concerns another execution",
  // Sentinels have users.
  "behind sentinels the lists are enough",
  // SET without GET overwrites.
  "a key of another type does not fail the beginning",
  "a key of another type fails the call it is about",
];

const terminal = createTerminal();

async function main() {
  const { values: flags } = parseArgs({ options: { server: { type: "string" } } });
  const servers = SERVER_PACKAGES.filter(({ name }) => flags.server === undefined || flags.server === name);
  if (servers.length === 0) {
    throw new RangeError(`there is no server ${flags.server}: ${SERVER_PACKAGES.map(({ name }) => name).join(", ")}`);
  }
  await setup(terminal);
  const env = requireCargo();
  mkdirSync(CACHE, { recursive: true });
  const rows = [];
  for (const server of servers) {
    terminal.line(`  … ${server.name}, from Debian ${server.suite}`);
    const launcher = unpackServer(server, CACHE);
    const results = await runTests({ ...env, REDIS_SERVER: launcher, REDIS_URL: "" }, server);
    rows.push({ ...server, version: versionOf(launcher), results });
  }
  terminal.line(`\n${renderTable(rows)}`);
  // A column without any test has lost its files: they have other names by now.
  return rows.every(({ results }) => results.every(({ passed, failed }) => passed > 0 && failed === 0));
}

/** Runs vitest and counts what passed, failed and was left out, in the order of `COLUMNS`. */
async function runTests(env, { suite }) {
  const dir = mkdtempSync(join(tmpdir(), "idioteque-servers-"));
  const report = join(dir, "report.json");
  const files = Object.values(COLUMNS).flatMap((names) => names.map((name) => `__test__/${name}`));
  const args = ["run", ...files, "--reporter=dot", "--reporter=json", `--outputFile.json=${report}`];
  if (suite === "bullseye") args.push("-t", `^(?!.*(?:${SINCE_6_2.join("|")})).*`);
  try {
    await vitest(args, env);
    return count(JSON.parse(readFileSync(report, "utf8")).testResults);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

function vitest(args, env) {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [join(ROOT, "node_modules/vitest/vitest.mjs"), ...args], {
      cwd: ROOT,
      env,
      stdio: "ignore",
      timeout: DEADLINE_MS,
    });
    child.once("error", reject);
    child.once("close", (code, signal) => {
      if (signal) reject(new Error(`the tests were not over after ${DEADLINE_MS / 60_000} minutes`));
      else resolve(code);
    });
  });
}

function count(files) {
  const shown = [];
  const columns = Object.values(COLUMNS).map((names) => {
    const counts = { passed: 0, failed: 0, left: 0 };
    for (const { name, status, message, assertionResults } of files) {
      const file = relative(TESTS, name).split(sep).join("/");
      if (!names.some((beginning) => file.startsWith(beginning))) continue;
      for (const { status, fullName } of assertionResults) {
        if (status === "passed") counts.passed += 1;
        else if (status === "failed") counts.failed += 1;
        else counts.left += 1;
        if (status === "failed") shown.push(fullName);
      }
      // A file that could not be prepared has no failed test.
      const prepared = status !== "failed" || assertionResults.some(({ status }) => status === "failed");
      if (!prepared) {
        counts.failed += 1;
        shown.push(`${name}: ${message}`);
      }
    }
    return counts;
  });
  for (const line of shown.slice(0, MAX_FAILURES_SHOWN)) terminal.line(`    ${terminal.red("✗")} ${line}`);
  if (shown.length > MAX_FAILURES_SHOWN) terminal.line(`    and ${shown.length - MAX_FAILURES_SHOWN} more`);
  return columns;
}

function renderTable(rows) {
  const cell = ({ passed, failed, left }) =>
    [`${passed} ✓`, failed > 0 && `${failed} ✗`, left > 0 && `${left} left out`].filter(Boolean).join(", ");
  const header = ["server", "Debian", ...Object.keys(COLUMNS)];
  const lines = rows.map(({ name, version, suite, results }) => [
    `${name.split(" ")[0]} ${version}`,
    suite,
    ...results.map(cell),
  ]);
  const table = [header, header.map(() => "---"), ...lines].map((cells) => `| ${cells.join(" | ")} |`);
  return [`${new Date().toISOString().slice(0, 10)}, Node.js ${process.versions.node}`, "", ...table].join("\n");
}

const ok = await main().catch((error) => {
  terminal.line(`${terminal.red("✗")} ${error.message}`);
  return false;
});
process.exitCode = ok ? 0 : 1;
