/**
 * A file in which several processes write down what they do, one JSON line each: what the demo's checks are made from.
 */
import { appendFileSync, readFileSync } from "node:fs";

/**
 * @param {string} path of a file; made when missing
 */
export function openJournal(path) {
  appendFileSync(path, "");
  return {
    /** @param {Omit<import("../../tooling/workflow/verify.mjs").Entry, "at" | "pid">} entry */
    write(entry) {
      appendFileSync(path, `${JSON.stringify({ at: Date.now(), pid: process.pid, ...entry })}\n`);
    },

    /** @returns {import("../../tooling/workflow/verify.mjs").Entry[]} everything that has been written so far */
    read() {
      const text = readFileSync(path, "utf8");
      // Another process may be in the middle of a line.
      const complete = text.slice(0, text.lastIndexOf("\n") + 1);
      return complete.split("\n").filter(Boolean).map(JSON.parse);
    },
  };
}
