/**
 * `npm run test:fuzz [-- --seconds 60] [--json FILE] [target …]`: replays the corpora in `fuzz/corpus` under
 * AddressSanitizer, then lets each fuzz target look for new input, all of them together for about so many seconds. What fails
 * is kept in `fuzz/artifacts`, and how to run it again is printed by cargo-fuzz. With `--json`, what was run goes into a file.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { ROOT, requireCargo } from "../../tooling/setup.mjs";
import { createTerminal } from "../../tooling/terminal.mjs";

const terminal = createTerminal();
const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: { seconds: { type: "string", default: "60" }, json: { type: "string" } },
});

const CORPORA = join(ROOT, "fuzz", "corpus");
const targets = positionals.length > 0 ? positionals : readdirSync(CORPORA).sort();
const secondsEach = Math.max(1, Math.round(Number(flags.seconds) / targets.length));
// Sanitizers and coverage are switches that only a nightly compiler takes, unless `RUSTC_BOOTSTRAP` is set.
const env = { ...requireCargo(), RUSTC_BOOTSTRAP: "1" };
/** Longest input, limit for one input in seconds, and memory in MB. */
const LIMITS = ["-max_len=4096", "-timeout=20", "-rss_limit_mb=2048", "-print_final_stats=1"];

function run(args, options) {
  return spawnSync("cargo", args, { cwd: ROOT, env, encoding: "utf8", ...options });
}

function ensureCargoFuzz() {
  if (run(["fuzz", "--version"]).status === 0) return;
  terminal.line("  … cargo install cargo-fuzz: it is not installed, this takes some minutes");
  if (run(["install", "cargo-fuzz", "--locked"], { stdio: "inherit" }).status !== 0) {
    throw new Error("cargo-fuzz could not be installed: see above, or install it as docs/security.md says");
  }
}

/** Replays a target's corpus and looks for more: how many inputs that were, or that one failed. */
function fuzz(target) {
  const corpus = join(CORPORA, target);
  const counts = [];
  // What it finds interesting stays out of the checkout.
  const found = mkdtempSync(join(tmpdir(), "idioteque-fuzz-"));
  try {
    for (const [args, what] of [
      [[corpus, "--", ...LIMITS, "-runs=0"], "corpus replayed"],
      [[found, corpus, "--", ...LIMITS, `-max_total_time=${secondsEach}`], `${secondsEach} s of new input`],
    ]) {
      const { status, stdout, stderr } = run(["fuzz", "run", target, ...args], { maxBuffer: 1 << 28 });
      if (status !== 0) {
        terminal.line(stdout + stderr);
        terminal.line(`  ${terminal.red("✗")} ${target}`);
        return { target, passed: false };
      }
      const inputs = Number(/number_of_executed_units:\s*(\d+)/.exec(stderr)?.[1]);
      counts.push(inputs);
      terminal.line(`  ${terminal.green("✓")} ${target}: ${what}, ${inputs} runs`);
    }
    const [replayed, tried] = counts;
    return { target, passed: true, replayed, tried };
  } finally {
    rmSync(found, { recursive: true, force: true });
  }
}

ensureCargoFuzz();
terminal.line("  … building the targets with AddressSanitizer");
if (run(["fuzz", "build"], { stdio: ["ignore", "inherit", "inherit"] }).status !== 0) process.exit(1);
const results = targets.map(fuzz);
if (flags.json) writeFileSync(flags.json, JSON.stringify({ seconds: secondsEach * targets.length, results }));
const passed = results.filter((result) => result.passed).length;
terminal.line(`${passed} passed, ${targets.length - passed} failed`);
process.exitCode = passed === targets.length ? 0 : 1;
