/**
 * `npm test`: prepares the checkout, then runs the Rust tests, the type tests and vitest against a real Redis server. The
 * last line says how many tests passed and failed. With `--compose` the shared server is the one of
 * `docker-compose.yml` (`npm run test:redis`), with `--lint` formatters and linters run first, each counted as a test.
 */
import { spawn } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { COMPOSE_REDIS_URL, composeProblem, startComposeRedis } from "../../tooling/servers/compose.mjs";
import { ensureRedisServer } from "../../tooling/servers/redis-server.mjs";
import { ROOT, requireCargo, setup } from "../../tooling/setup.mjs";
import { createTerminal } from "../../tooling/terminal.mjs";

const TYPE_TESTS = "__test__/types";
const CONTRACT_COUNT = "./__test__/support/contract-count.mjs";

const terminal = createTerminal();
const total = { passed: 0, failed: 0 };
const { values: flags } = parseArgs({ options: { compose: { type: "boolean" }, lint: { type: "boolean" } } });

async function main() {
  heading("Setup");
  await setup(terminal);
  const env = requireCargo();
  // Also with a server given: tests that restart, pause or kill one start their own.
  const binary = ensureRedisServer({ log: (text) => terminal.line(`  … ${text}`) });
  terminal.line(`  ${terminal.green("✓")} ${binary}`);
  const service = flags.compose ? openCompose() : undefined;

  try {
    if (flags.lint) await lint(env);
    await testRust(env);
    await testTypes();
    await testJavaScript(service ? { ...env, REDIS_URL: COMPOSE_REDIS_URL } : env);
  } finally {
    service?.stop();
  }
}

function openCompose() {
  const problem = composeProblem();
  if (problem) throw new Error(`These tests need Docker Compose. ${problem}`);
  terminal.line("  … docker compose up -d --wait redis");
  return startComposeRedis();
}

async function lint(env) {
  heading("Format and lint");
  const checks = [
    ["cargo", ["fmt", "--all", "--check"]],
    ["cargo", ["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]],
    [process.execPath, [binOf("@biomejs/biome", "biome"), "ci", `--colors=${terminal.coloured ? "force" : "off"}`]],
  ];
  for (const [command, args] of checks) {
    const { ok } = await stream(command, args, { env });
    add(ok ? { passed: 1 } : { failed: 1 });
  }
}

async function testRust(env) {
  heading("cargo test");
  const { ok, output } = await stream("cargo", ["test"], { env, capture: true });
  const results = [...output.matchAll(/^test result: \w+\. (\d+) passed; (\d+) failed/gm)];
  const counted = { passed: sum(results, 1), failed: sum(results, 2) };
  add(ok ? counted : atLeastOneFailed(counted));
}

/** Every file of a TypeScript project counts as one test, which fails when the compiler complains about it. */
async function testTypes() {
  heading("Type tests");
  const projects = readdirSync(join(ROOT, TYPE_TESTS), { withFileTypes: true }).filter((entry) => entry.isDirectory());
  for (const project of [TYPE_TESTS, ...projects.map(({ name }) => `${TYPE_TESTS}/${name}`)]) {
    const files = readdirSync(join(ROOT, project)).filter((name) => /\.[cm]?ts$/.test(name));
    const { ok, output } = await stream(process.execPath, [binOf("typescript", "tsc"), "-p", project], {
      capture: true,
    });
    const wrong = files.filter((name) => output.includes(`${project}/${name}(`));
    for (const name of files) {
      terminal.line(`  ${wrong.includes(name) ? terminal.red("✗") : terminal.green("✓")} ${project}/${name}`);
    }
    const counted = { passed: files.length - wrong.length, failed: wrong.length };
    add(ok ? counted : atLeastOneFailed(counted));
  }
}

async function testJavaScript(env) {
  heading("vitest");
  const dir = mkdtempSync(join(tmpdir(), "idioteque-vitest-"));
  const report = join(dir, "report.json");
  try {
    const reporters = ["default", "json", CONTRACT_COUNT].map((name) => `--reporter=${name}`);
    const { ok } = await stream(
      process.execPath,
      [binOf("vitest", "vitest"), "run", ...reporters, `--outputFile.json=${report}`],
      { env },
    );
    const counted = readReport(report);
    add(ok ? counted : atLeastOneFailed(counted));
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

function readReport(path) {
  try {
    const { numPassedTests, numFailedTests } = JSON.parse(readFileSync(path, "utf8"));
    return { passed: numPassedTests, failed: numFailedTests };
  } catch {
    return { passed: 0, failed: 0 };
  }
}

/** A run can fail without a failed test: it did not compile, a file could not be loaded, something was left open. */
function atLeastOneFailed({ passed, failed }) {
  return { passed, failed: Math.max(failed, 1) };
}

/**
 * Runs a program, passes on what it prints, and keeps it where it is to be counted.
 *
 * @returns {Promise<{ ok: boolean, output: string }>}
 */
function stream(command, args, { env = process.env, capture = false } = {}) {
  return new Promise((resolve) => {
    const child = spawn(command, args, { cwd: ROOT, env, stdio: ["ignore", capture ? "pipe" : "inherit", "inherit"] });
    let output = "";
    child.stdout?.setEncoding("utf8").on("data", (text) => {
      output += text;
      process.stdout.write(text);
    });
    child.once("error", (error) => {
      terminal.line(terminal.red(`${command} could not be started: ${error.message}`));
      resolve({ ok: false, output });
    });
    child.once("close", (code) => resolve({ ok: code === 0, output }));
  });
}

/** The script behind a command of an installed package. */
function binOf(name, command) {
  const home = join(ROOT, "node_modules", name);
  const { bin } = JSON.parse(readFileSync(join(home, "package.json"), "utf8"));
  return join(home, typeof bin === "string" ? bin : bin[command]);
}

function add({ passed = 0, failed = 0 }) {
  total.passed += passed;
  total.failed += failed;
}

function sum(matches, group) {
  return matches.reduce((count, match) => count + Number(match[group]), 0);
}

function heading(title) {
  terminal.line();
  terminal.line(terminal.bold(title));
}

await main().catch((error) => {
  terminal.line(`${terminal.red("✗")} ${error.message}`);
  add({ failed: 1 });
});
terminal.line();
terminal.line(`${total.passed} passed, ${total.failed} failed`);
process.exitCode = total.failed > 0 ? 1 : 0;
