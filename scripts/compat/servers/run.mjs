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

/**
 * Beginnings of the full names of tests that need more than Redis 6.0 has. They run there too: one that does not fail, or that no test
 * has any more, does not belong here.
 */
const SINCE_6_2 = [
  // CLIENT LIST has the local address.
  "instances with TLS of ioredis 6 give their settings to a native connection",
  "instances with TLS of ioredis 5 give their settings to a native connection",
  "instances with TLS of node-redis 6 give their settings to a native connection",
  "instances with TLS of node-redis 5 give their settings to a native connection",
  "instances with TLS of node-redis 4 give their settings to a native connection",
  // What is sent is counted, and the first SET … GET of a connection is sent again without GET.
  "one round trip answers everything about an execution, after beginExecution",
  "without read-ahead each call sends its own command and nothing else",
  "prefetching a caller that only ever calls beginExecution",
  // Sentinels have users.
  "behind sentinels the lists are enough",
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
    const { columns, unneeded } = await runTests({ ...env, REDIS_SERVER: launcher, REDIS_URL: "" }, server);
    rows.push({ ...server, version: versionOf(launcher), results: columns, unneeded });
  }
  terminal.line(`\n${renderTable(rows)}`);
  // A column without any test has lost its files: they have other names by now.
  return rows.every(
    ({ results, unneeded }) => unneeded.size === 0 && results.every(({ passed, failed }) => passed > 0 && failed === 0),
  );
}

/** Runs vitest and counts what passed, failed, had to fail and was left out, in the order of `COLUMNS`. */
async function runTests(env, { suite }) {
  const tooNew = suite === "bullseye" ? SINCE_6_2 : [];
  const dir = mkdtempSync(join(tmpdir(), "idioteque-servers-"));
  const report = join(dir, "report.json");
  const files = Object.values(COLUMNS).flatMap((names) => names.map((name) => `__test__/${name}`));
  const args = ["run", ...files, "--reporter=dot", "--reporter=json", `--outputFile.json=${report}`];
  try {
    await vitest(args, env);
    return count(JSON.parse(readFileSync(report, "utf8")).testResults, tooNew);
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

/** @param {string[]} tooNew beginnings of the names of tests that cannot but fail */
function count(files, tooNew) {
  const shown = [];
  const unneeded = new Set(tooNew);
  const columns = Object.values(COLUMNS).map((names) => {
    const counts = { passed: 0, failed: 0, later: 0, left: 0 };
    for (const { name, status, message, assertionResults } of files) {
      const file = relative(TESTS, name).split(sep).join("/");
      if (!names.some((beginning) => file.startsWith(beginning))) continue;
      for (const { status, fullName, failureMessages } of assertionResults) {
        const beginning = status === "failed" && tooNew.find((beginning) => fullName.startsWith(beginning));
        if (status === "passed") counts.passed += 1;
        else if (beginning) {
          counts.later += 1;
          unneeded.delete(beginning);
        } else if (status === "failed") {
          counts.failed += 1;
          shown.push(`${fullName}: ${failureMessages[0]?.split("\n")[0]}`);
        } else counts.left += 1;
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
  for (const beginning of unneeded) {
    terminal.line(`    ${terminal.red("✗")} no test fails whose name begins with "${beginning}": it needs no entry`);
  }
  return { columns, unneeded };
}

function renderTable(rows) {
  const cell = ({ passed, failed, later, left }) =>
    [`${passed} ✓`, failed > 0 && `${failed} ✗`, later > 0 && `${later} need 6.2`, left > 0 && `${left} left out`]
      .filter(Boolean)
      .join(", ");
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
