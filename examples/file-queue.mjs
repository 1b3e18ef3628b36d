/**
 * A durable queue in a directory, one file per message, with delivery at least once: a message that was taken stays on
 * disk under its taker's name until it is done, and goes back when the taker is known to be dead. It stands in for the
 * queue service of a real deployment.
 */
import { randomUUID } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/**
 * @typedef {object} Delivery
 * @property {import("../tooling/workflow/worker.mjs").Message} message
 * @property {(message: import("../tooling/workflow/worker.mjs").Message) => void} checkpoint what to deliver instead if the taker dies
 * @property {() => void} done deletes the message
 */

/**
 * @param {string} dir shared by everybody who uses the queue; made when missing
 */
export function openFileQueue(dir) {
  const waiting = join(dir, "waiting");
  const taken = join(dir, "taken");
  for (const path of [waiting, taken]) mkdirSync(path, { recursive: true });
  let written = 0;

  // A rename is atomic: a reader sees a whole message or none, and of two takers one succeeds.
  function write(path, message) {
    const draft = join(dir, `${randomUUID()}.draft`);
    writeFileSync(draft, JSON.stringify(message));
    renameSync(draft, path);
  }

  return {
    /** @param {import("../tooling/workflow/worker.mjs").Message} message */
    dispatch(message) {
      written += 1;
      const order = `${Date.now()}-${String(written).padStart(6, "0")}`;
      write(join(waiting, `${order}-${randomUUID()}.json`), message);
    },

    /**
     * Takes the oldest message, if there is one.
     *
     * @param {string | number} taker whose it is until it is done; a process id, say
     * @returns {Delivery | undefined}
     */
    take(taker) {
      for (const name of readdirSync(waiting).sort()) {
        const path = join(taken, `${taker}@${name}`);
        try {
          renameSync(join(waiting, name), path);
        } catch (error) {
          if (error.code === "ENOENT") continue;
          throw error;
        }
        return {
          message: JSON.parse(readFileSync(path, "utf8")),
          checkpoint: (message) => write(path, message),
          done: () => rmSync(path),
        };
      }
      return undefined;
    },

    /**
     * Puts back what a dead taker had not done, as a queue service does when a consumer's connection breaks.
     *
     * @param {string | number} taker
     * @returns {import("../tooling/workflow/worker.mjs").Message[]} what will be delivered again
     */
    giveBack(taker) {
      const names = readdirSync(taken).filter((name) => name.startsWith(`${taker}@`));
      return names.map((name) => {
        const message = JSON.parse(readFileSync(join(taken, name), "utf8"));
        renameSync(join(taken, name), join(waiting, name.slice(name.indexOf("@") + 1)));
        return message;
      });
    },

    /** @returns {number} messages that wait or are being handled */
    size() {
      return readdirSync(waiting).length + readdirSync(taken).length;
    },
  };
}
