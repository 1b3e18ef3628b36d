/**
 * Programs with a deadline. At that, all that a program has started is killed with it, and of what it prints the end is kept;
 * packages such as tinyexec kill the program alone and keep everything. Programs that are to stay (servers, scripts under
 * test) are started with `node:child_process` where they are used, as each needs the process itself: its signals, its output
 * as it comes.
 */
import { spawn } from "node:child_process";

const OUTPUT_LIMIT = 1024 * 1024;
const SHOWN_LINES = 25;

/** Milliseconds: what a program, an installation and a build may take. */
export const DEADLINES = { program: 120_000, install: 300_000, build: 1_800_000 };

const running = new Set();
process.on("exit", () => {
  for (const child of running) killGroup(child);
});
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => process.exit(1));

/**
 * Runs a program to its end and resolves with what it printed. At its deadline it is killed, with all that it started.
 *
 * @param {string} command
 * @param {string[]} args
 * @param {object} options
 * @param {string} options.cwd
 * @param {NodeJS.ProcessEnv} [options.env]
 * @param {number} [options.deadline] milliseconds
 * @returns {Promise<string>}
 * @throws {Error & { output: string }} with the end of its output in the message when it fails
 */
export function execute(command, args, { cwd, env = process.env, deadline = DEADLINES.program }) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd, env, detached: true, stdio: ["ignore", "pipe", "pipe"] });
    running.add(child);
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      killGroup(child);
    }, deadline);
    let output = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (text) => {
        output = (output + text).slice(-OUTPUT_LIMIT);
      });
    }
    child.once("error", (error) => {
      clearTimeout(timer);
      running.delete(child);
      reject(new Error(`${command} could not be started: ${error.message}`));
    });
    child.once("close", (code, signal) => {
      clearTimeout(timer);
      running.delete(child);
      if (code === 0) return resolve(output);
      const how = late ? `did not end within ${deadline / 1000} s` : `failed (${signal ?? `status ${code}`})`;
      const shown = output.trimEnd().split("\n").slice(-SHOWN_LINES).join("\n");
      reject(Object.assign(new Error(`${[command, ...args].join(" ")} ${how}:\n${shown}`), { output }));
    });
  });
}

function killGroup(child) {
  try {
    process.kill(-child.pid, "SIGKILL");
  } catch {
    // It has ended already.
  }
}
