/**
 * `npm run audit`: known vulnerabilities, licences and sources of everything the package is built from. What could not be
 * checked, because a database of advisories cannot be reached from here, is counted by itself and never as passed.
 */
import { spawnSync } from "node:child_process";
import { ROOT, requireCargo } from "../../tooling/setup.mjs";
import { createTerminal } from "../../tooling/terminal.mjs";

const terminal = createTerminal();
const env = requireCargo();
const counts = { passed: 0, failed: 0, "not done": 0 };

function run(command, args, options) {
  return spawnSync(command, args, { cwd: ROOT, env, encoding: "utf8", shell: command === "npm", ...options });
}

function ensureCargoDeny() {
  if (run("cargo", ["deny", "--version"]).status === 0) return;
  terminal.line("  … cargo install cargo-deny: it is not installed, this takes some minutes");
  if (run("cargo", ["install", "cargo-deny", "--locked"], { stdio: "inherit" }).status !== 0) {
    throw new Error("cargo-deny could not be installed: see above");
  }
}

/**
 * Runs one check.
 *
 * @param {string} what
 * @param {[string, string[]]} command
 * @param {RegExp} unreachable what it prints when it cannot get at what it needs
 */
function check(what, [command, args], unreachable) {
  const { status, stdout, stderr } = run(command, args);
  const output = `${stdout}${stderr}`.trim();
  if (status === 0) {
    counts.passed += 1;
    terminal.line(`  ${terminal.green("✓")} ${what}`);
    return;
  }
  terminal.line(output);
  const notDone = unreachable.test(output);
  counts[notDone ? "not done" : "failed"] += 1;
  terminal.line(
    notDone
      ? `  ${terminal.yellow("?")} ${what}: NOT DONE, its database could not be reached from here`
      : `  ${terminal.red("✗")} ${what}`,
  );
}

try {
  ensureCargoDeny();
  for (const name of ["licenses", "sources", "bans"])
    check(`cargo deny: ${name}`, ["cargo", ["deny", "check", name]], /^$/);
  const fetchFailed = /failed to fetch advisory database|failed to (clone|fetch|open|load) (the )?(advisory|index)/i;
  check("cargo deny: advisories", ["cargo", ["deny", "check", "advisories"]], fetchFailed);
  check(
    "npm audit",
    ["npm", ["audit", "--omit=dev"]],
    /ENOTFOUND|ECONNREFUSED|ETIMEDOUT|audit endpoint returned an error/,
  );
} catch (error) {
  terminal.line(`${terminal.red("✗")} ${error.message}`);
  counts.failed += 1;
}
terminal.line(`${counts.passed} passed, ${counts.failed} failed, ${counts["not done"]} not done`);
if (counts.failed > 0) process.exitCode = 1;
else if (counts["not done"] > 0) process.exitCode = 2;
