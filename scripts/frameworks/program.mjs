/**
 * Programs that are run and servers that are started, none for longer than its deadline.
 */
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";

const OUTPUT_LIMIT = 16 * 1024 * 1024;
const STOP_DEADLINE_MS = 5_000;
const POLL_MS = 50;

/** @typedef {{ cwd: string, env?: Record<string, string | undefined>, deadline: number }} Options `deadline` in milliseconds */

/**
 * Runs a program to its end.
 *
 * @param {string} command
 * @param {string[]} args
 * @param {Options} options
 * @returns {Promise<{ ok: boolean, output: string }>} both its streams, and whether it succeeded in time
 */
export async function run(command, args, { cwd, env = {}, deadline }) {
  const limits = { timeout: deadline, killSignal: "SIGKILL", maxBuffer: OUTPUT_LIMIT };
  try {
    const { stdout, stderr } = await promisify(execFile)(command, args, {
      cwd,
      env: { ...process.env, ...env },
      ...limits,
    });
    return { ok: true, output: stdout + stderr };
  } catch (error) {
    if (error.stdout === undefined) throw error;
    const killed = error.killed ? `\nkilled after ${deadline / 1000} s` : "";
    return { ok: false, output: `${error.stdout}${error.stderr}${killed}` };
  }
}

/**
 * Runs a Node.js program that has to succeed.
 *
 * @param {string[]} args
 * @param {Options} options
 * @returns {Promise<string>} what it printed
 * @throws {Error} with what it printed
 */
export async function runNode(args, options) {
  const { ok, output } = await run(process.execPath, args, options);
  if (!ok) throw new Error(`node ${args.join(" ")} failed:\n${output}`);
  return output;
}

/**
 * Starts a Node.js program that serves HTTP, and resolves when it answers.
 *
 * @param {string[]} args
 * @param {Options & { url: string }} options `url` is asked until it answers
 * @returns {Promise<{ output: () => string, stop: () => Promise<void> }>}
 * @throws {Error} with what it printed, when it ended or did not answer in time
 */
export async function startServer(args, { cwd, env, deadline, url }) {
  const child = spawn(process.execPath, args, {
    cwd,
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const ended = once(child, "exit");
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text) => {
      output += text;
    });
  }
  const isOver = () => child.exitCode !== null || child.signalCode !== null;
  const stop = async () => {
    if (isOver()) return;
    child.kill("SIGTERM");
    await Promise.race([ended, delay(STOP_DEADLINE_MS)]);
    child.kill("SIGKILL");
    await ended;
  };

  for (const end = Date.now() + deadline; ; await delay(POLL_MS)) {
    const answers = await fetch(url).then(
      () => true,
      () => false,
    );
    if (answers && !isOver()) return { output: () => output, stop };
    if (isOver() || Date.now() > end) {
      await stop();
      throw new Error(`node ${args.join(" ")} does not serve ${url}:\n${output}`);
    }
  }
}

/**
 * Waits until a condition holds.
 *
 * @param {string} what is waited for
 * @param {() => unknown} condition
 * @param {number} deadline milliseconds
 */
export async function waitFor(what, condition, deadline) {
  for (const end = Date.now() + deadline; !(await condition()); await delay(POLL_MS)) {
    if (Date.now() > end) throw new Error(`${what} did not happen within ${deadline / 1000} s`);
  }
}
