/**
 * Servers that are started for a check, and waiting for what they do; neither without a deadline.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { setTimeout as delay } from "node:timers/promises";

const STOP_DEADLINE_MS = 5_000;
const POLL_MS = 50;

const running = new Set();
process.on("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

/**
 * Starts a Node.js program that serves HTTP, and resolves when it answers.
 *
 * @param {string[]} args
 * @param {object} options
 * @param {string} options.cwd
 * @param {NodeJS.ProcessEnv} options.env
 * @param {string} options.url is asked until it answers
 * @param {number} options.deadline milliseconds until then
 * @returns {Promise<{ output: () => string, stop: () => Promise<void> }>}
 * @throws {Error} with what it printed, when it ended or did not answer in time
 */
export async function startServer(args, { cwd, env, url, deadline }) {
  const child = spawn(process.execPath, args, { cwd, env, stdio: ["ignore", "pipe", "pipe"] });
  running.add(child);
  let over = false;
  const ended = once(child, "exit").then(() => {
    over = true;
    running.delete(child);
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text) => {
      output += text;
    });
  }
  const stop = async () => {
    child.kill("SIGTERM");
    await Promise.race([ended, delay(STOP_DEADLINE_MS)]);
    child.kill("SIGKILL");
    await ended;
  };
  const answers = () => fetch(url).then(Boolean, () => over);
  try {
    await waitFor(`an answer of ${url}`, answers, deadline);
    if (over) throw new Error(`${args.join(" ")} has ended`);
  } catch (error) {
    await stop();
    throw new Error(`${error.message}:\n${output}`);
  }
  return { output: () => output, stop };
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
    if (Date.now() > end) throw new Error(`${what} did not come within ${deadline / 1000} s`);
  }
}
