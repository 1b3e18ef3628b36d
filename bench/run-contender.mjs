/**
 * Starts a contender's process, waits for its figures, and ends it when it takes too long.
 */
import { fork } from "node:child_process";
import { fileURLToPath } from "node:url";

const CONTENDER_PROCESS = fileURLToPath(new URL("./contender-process.mjs", import.meta.url));

/** Milliseconds that a process may take before it is ended. */
const DEADLINE = 90_000;

/** How much of what a process wrote to stderr is kept for the error message. */
const MAX_STDERR = 8_192;

/**
 * What a contender's process is asked to do.
 *
 * @typedef {object} Job
 * @property {string} [contender] key in `contenders`; none for a workload that needs no store
 * @property {string | object} url of the server; for our own store it may be a configuration
 * @property {{ ttl?: number, readAhead?: boolean }} [options] of the store
 * @property {string} workload key in the table of `contender-process.mjs`
 * @property {object} [params] of the workload
 */

/**
 * Runs one job in a process of its own.
 *
 * @param {Job} job
 * @param {(phase: string) => unknown} [onPhase] called when the workload reaches a phase; it goes on when this is done, with what
 *   it returns
 * @returns {Promise<Record<string, number>>} the figures of the workload
 */
export function runContender(job, onPhase = () => undefined) {
  return new Promise((resolve, reject) => {
    const child = fork(CONTENDER_PROCESS, { stdio: ["ignore", "ignore", "pipe", "ipc"] });
    const who = `${job.contender ?? "bare socket"} in ${job.workload}`;
    let stderr = "";
    let figures;
    let failure;
    const fail = (error) => {
      failure ??= error;
      child.kill("SIGKILL");
    };
    const deadline = setTimeout(() => fail(new Error(`${who}: no figures after ${DEADLINE / 1000} s`)), DEADLINE);

    child.stderr.on("data", (chunk) => {
      stderr = (stderr + chunk).slice(-MAX_STDERR);
    });
    child.on("error", fail);
    child.on("message", async (message) => {
      if (message.figures) {
        figures = message.figures;
        return;
      }
      try {
        child.send({ proceed: true, ...(await onPhase(message.phase)) });
      } catch (error) {
        fail(error);
      }
    });
    child.on("close", (code, signal) => {
      clearTimeout(deadline);
      if (failure) reject(failure);
      else if (code === 0 && figures) resolve(figures);
      else reject(new Error(`${who}: ended with ${signal ?? `exit status ${code}`}\n${stderr}`));
    });
    child.send(job);
  });
}
