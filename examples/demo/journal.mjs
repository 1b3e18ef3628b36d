/**
 * A file in which several processes write down what they do, one JSON line each: the demo's evidence.
 */
import { appendFileSync, readFileSync } from "node:fs";

/**
 * @typedef {object} Entry
 * @property {number} at milliseconds since the epoch
 * @property {number} pid who wrote it
 * @property {"start" | "done" | "commit" | "dispose"} event
 * @property {string} [step] of `start` and `done`
 * @property {string} [taskId] of `commit`
 * @property {unknown} [value] of `commit`
 */

/**
 * @param {string} path of a file; made when missing
 */
export function openJournal(path) {
  appendFileSync(path, "");
  return {
    /** @param {Omit<Entry, "at" | "pid">} entry */
    write(entry) {
      appendFileSync(path, `${JSON.stringify({ at: Date.now(), pid: process.pid, ...entry })}\n`);
    },

    /** @returns {Entry[]} everything that has been written so far */
    read() {
      const text = readFileSync(path, "utf8");
      // Another process may be in the middle of a line.
      const complete = text.slice(0, text.lastIndexOf("\n") + 1);
      return complete.split("\n").filter(Boolean).map(JSON.parse);
    },
  };
}
