/**
 * A script in a Node.js process of its own, for what only a process can show: that it ends, how it ends, and what it
 * prints before. Started with `node:child_process` as it is, because the process itself is looked at.
 */
import { execFileSync, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { afterEach } from "vitest";
import { ROOT } from "../../tooling/setup.mjs";
import { eventually } from "./redis.mjs";

const PACKAGE = new URL("../../index.js", import.meta.url).href;
const DEADLINE_MS = 30_000;

// None outlives its test, whatever becomes of the test.
const running = new Set();
afterEach(() => {
  for (const child of running) child.kill("SIGKILL");
});

/**
 * @typedef {object} Child
 * @property {number} pid
 * @property {(line: string) => Promise<void>} printed resolves when it has printed this line, rejects when it ends without
 * @property {Promise<Outcome>} ended
 *
 * @typedef {object} Outcome
 * @property {number | null} code its exit status; `null` when a signal ended it
 * @property {string | null} signal what ended it; `SIGKILL` also when it ran into its deadline
 * @property {string[]} lines what it printed
 * @property {string} errors what it printed on the error stream
 */

/**
 * Runs a script, an ES module that finds `createRedisStore` and its arguments, `args`, in scope.
 *
 * @param {string} source
 * @param {object} [options]
 * @param {unknown} [options.args] what the script is given, through JSON
 * @param {boolean} [options.imports] whether it imports the package; otherwise only `args` is in scope
 * @param {string[]} [options.nodeOptions] such as `["--expose-gc"]`
 * @param {string} [options.node] the runtime; default: the one that runs the tests
 * @param {string[]} [options.within] a command that runs it in surroundings of its own, such as `["unshare", "--net"]`
 * @param {number} [options.deadline] milliseconds until it is killed
 * @returns {Child}
 */
export function startScript(source, options = {}) {
  const {
    args,
    imports = true,
    nodeOptions = [],
    node = process.execPath,
    within = [],
    deadline = DEADLINE_MS,
  } = options;
  const imported = imports ? `import { createRedisStore } from ${JSON.stringify(PACKAGE)};\n` : "";
  const prelude = `${imported}const args = ${JSON.stringify(args)};\n`;
  const [command, ...words] = [...within, node, ...nodeOptions, "--input-type=module", "--eval", prelude + source];
  const child = spawn(command, words, { stdio: ["ignore", "pipe", "pipe"] });
  running.add(child);
  const timer = setTimeout(() => child.kill("SIGKILL"), deadline);
  const lines = [];
  const waiting = new Map();
  let errors = "";
  createInterface({ input: child.stdout }).on("line", (line) => {
    lines.push(line);
    waiting.get(line)?.();
  });
  child.stderr.setEncoding("utf8").on("data", (text) => {
    errors += text;
  });
  const ended = new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code, signal) => {
      clearTimeout(timer);
      running.delete(child);
      resolve({ code, signal, lines, errors });
    });
  });
  return {
    pid: child.pid,
    ended,
    async printed(line) {
      const comes = lines.includes(line) || new Promise((resolve) => waiting.set(line, resolve));
      await Promise.race([comes, ended]);
      if (!lines.includes(line)) throw new Error(`The script ended without printing "${line}".\n${errors}`);
    },
  };
}

/**
 * Runs a script to its end.
 *
 * @param {Parameters<typeof startScript>} script
 * @returns {Promise<Outcome>}
 */
export function runScript(...script) {
  return startScript(...script).ended;
}

/**
 * What a process prints until its end that runs code where the package can be found by its name, and has loaded nothing else.
 *
 * @param {"commonjs" | "module"} type
 * @param {string} code
 */
export function printedBy(type, code) {
  const options = { cwd: ROOT, encoding: "utf8", timeout: DEADLINE_MS };
  return execFileSync(process.execPath, [`--input-type=${type}`, "--eval", code], options).trim();
}

/**
 * Stops a process (SIGSTOP) and resolves when none of its threads runs any more. `SIGCONT` lets it go on.
 *
 * @param {number} pid
 */
export async function suspend(pid) {
  process.kill(pid, "SIGSTOP");
  await eventually(() => stateOf(pid).startsWith("T"), { message: "the process being stopped" });
}

function stateOf(pid) {
  if (process.platform !== "linux") return execFileSync("ps", ["-o", "stat=", "-p", String(pid)], { encoding: "utf8" });
  // The state follows the name, which stands in parentheses and may contain anything.
  return readFileSync(`/proc/${pid}/stat`, "latin1").replace(/^.*\) /s, "");
}
