/**
 * Makes a checkout ready to run: installs the npm packages and builds the addon, each only when something has changed.
 * Plain Node.js, because it runs on a fresh clone. `node tooling/setup.mjs` does just this.
 */
import { spawn, spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, statSync, utimesSync } from "node:fs";
import { homedir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { createTerminal } from "./terminal.mjs";

/** The directory of the checkout. */
export const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));

const SOURCES = ["src", "core", "Cargo.toml", "Cargo.lock", "build.rs"];
/** Of a program that fails: npm gives the reason at the beginning, Cargo at the end. */
const FIRST_LINES = 15;
const LAST_LINES = 40;

/**
 * Installs and builds what is missing or out of date.
 *
 * @param {ReturnType<typeof createTerminal>} terminal
 * @throws {Error} with what to install, or what failed
 */
export async function setup(terminal) {
  await installPackages(terminal);
  await buildAddon(terminal);
}

/**
 * Runs `npm ci` unless `node_modules` is newer than the lock file.
 *
 * @param {ReturnType<typeof createTerminal>} terminal
 */
export async function installPackages(terminal) {
  const installed = modified(join(ROOT, "node_modules", ".package-lock.json"));
  if (installed >= modified(join(ROOT, "package-lock.json"))) {
    terminal.line(`  ${terminal.green("✓")} npm packages are up to date`);
    return;
  }
  const progress = terminal.progress("npm ci");
  try {
    await run("npm", ["ci", "--include=dev", "--no-audit", "--no-fund"]);
  } finally {
    progress.end();
  }
  terminal.line(`  ${terminal.green("✓")} npm packages are installed`);
}

/**
 * Builds the addon unless it is newer than its sources.
 *
 * @param {ReturnType<typeof createTerminal>} terminal
 */
export async function buildAddon(terminal) {
  if (existsSync(join(ROOT, "lib", "binding.js")) && addonModified() >= sourcesModified()) {
    terminal.line(`  ${terminal.green("✓")} the addon is up to date`);
    return;
  }
  const env = requireCargo();
  requireLinker();

  const start = new Date();
  const progress = terminal.progress("building the addon");
  let crates = 0;
  let seconds = 0;
  try {
    await run("npm", ["run", "build"], {
      env,
      onLine(line) {
        const [, verb, crate] = /^\s*(Compiling|Downloading|Blocking)\s+(.+?)(?:\s+\(.*)?$/.exec(line) ?? [];
        if (verb === "Compiling") crates += 1;
        if (verb) progress.update(verb === "Compiling" ? `compiling ${crate} (crate ${crates})` : line.trim());
      },
    });
  } finally {
    seconds = progress.end();
  }
  // The state it was built from: Cargo may have found nothing to do, or a source may have changed meanwhile.
  for (const path of addonFiles()) utimesSync(path, start, start);
  terminal.line(`  ${terminal.green("✓")} the addon is built (${seconds} s)`);
}

/**
 * Finds Cargo, also where rustup has just put it and it is not in PATH yet.
 *
 * @returns {NodeJS.ProcessEnv} the environment in which `cargo` can be called
 * @throws {Error} with how to install Rust
 */
export function requireCargo() {
  const home = join(process.env.CARGO_HOME ?? join(homedir(), ".cargo"), "bin");
  const env = { ...process.env, PATH: `${process.env.PATH ?? ""}${delimiter}${home}` };
  const { status, stdout } = spawnSync("cargo", ["--version"], { env, cwd: ROOT, encoding: "utf8" });
  const [, minimum] = /^rust-version = "([\d.]+)"/m.exec(readFileSync(join(ROOT, "Cargo.toml"), "utf8")) ?? [];
  if (status !== 0) {
    throw new Error(
      `Rust ${minimum} or later is needed to build the addon. Install it from https://rustup.rs and run this again.`,
    );
  }
  const [, version] = /(\d+\.\d+)/.exec(stdout) ?? [];
  if (minor(version) < minor(minimum)) {
    throw new Error(
      `Rust ${minimum} or later is needed to build the addon, this is ${version}. Run: rustup update stable`,
    );
  }
  return env;
}

function requireLinker() {
  if (process.platform === "win32" || spawnSync("cc", ["--version"]).status === 0) return;
  const how =
    process.platform === "darwin" ? "xcode-select --install" : "sudo apt-get install build-essential (or gcc)";
  throw new Error(`A C compiler is needed to link the addon, and there is no "cc". Install one: ${how}`);
}

/**
 * Runs a program in the checkout and resolves when it has succeeded.
 *
 * @param {string} command
 * @param {string[]} args
 * @param {object} [options]
 * @param {NodeJS.ProcessEnv} [options.env]
 * @param {(line: string) => void} [options.onLine] gets every line it prints
 * @throws {Error} with the beginning and the end of its output when it fails
 */
export function run(command, args, { env = process.env, onLine = () => {} } = {}) {
  return new Promise((resolve, reject) => {
    const shell = process.platform === "win32";
    const child = spawn(command, args, { cwd: ROOT, env, shell, stdio: ["ignore", "pipe", "pipe"] });
    const lines = [];
    for (const stream of [child.stdout, child.stderr]) {
      let rest = "";
      stream.setEncoding("utf8").on("data", (text) => {
        const parts = (rest + text).split(/\r?\n/);
        rest = parts.pop();
        for (const line of parts) {
          lines.push(line);
          if (lines.length > FIRST_LINES + LAST_LINES) lines.splice(FIRST_LINES, 1);
          onLine(line);
        }
      });
    }
    child.once("error", (error) => reject(new Error(`${command} could not be started: ${error.message}`)));
    child.once("close", (code, signal) => {
      if (code === 0) resolve();
      else
        reject(
          new Error(`${[command, ...args].join(" ")} failed (${signal ?? `status ${code}`}):\n${lines.join("\n")}`),
        );
    });
  });
}

/** When what the addon is built from was modified last. In milliseconds. */
export function sourcesModified() {
  return Math.max(...SOURCES.map((path) => modified(join(ROOT, path))));
}

/** When a file, or the newest file in a directory, was modified; 0 when there is none. In milliseconds. */
export function modified(path) {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (!stat?.isDirectory()) return stat?.mtimeMs ?? 0;
  return Math.max(0, ...readdirSync(path).map((name) => modified(join(path, name))));
}

/** The paths of the addons that were built for this machine. */
export function addonFiles() {
  const { napi } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
  const prefix = `${napi.binaryName}.${process.platform}-${process.arch}`;
  return readdirSync(join(ROOT, "lib"))
    .filter((name) => name.startsWith(prefix) && name.endsWith(".node"))
    .map((name) => join(ROOT, "lib", name));
}

function addonModified() {
  return Math.max(0, ...addonFiles().map(modified));
}

function minor(version) {
  return Number(version?.split(".")[1] ?? 0);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const terminal = createTerminal();
  await setup(terminal).catch((error) => {
    terminal.line(`${terminal.red("✗")} ${error.message}`);
    process.exitCode = 1;
  });
}
