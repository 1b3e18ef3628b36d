"use strict";
// The servers that have the keys, and commands to them: each to the server of its key, many in one pipeline.

const { setTimeout: delay } = require("node:timers/promises");
const { slotOf, SLOTS } = require("./slots.js");
const { TEXTS, messageOf } = require("./texts.js");

/** How often a command is sent again that another server has the key of. */
const MAX_REDIRECTS = 5;
const REDIRECT_PAUSE_MS = 100;
/** The sentences for refusals of which more is known than what the server says. */
const REFUSALS = Object.assign(Object.create(null), {
  NOAUTH: TEXTS.noPassword,
  NOPERM: TEXTS.forbidden,
  MOVED: TEXTS.notOfThisServer,
});

/**
 * @typedef {object} Node
 * @property {string} name its address
 * @property {[number, number][]} slots the ranges of slots it has; none where there is one server
 *
 * @typedef {{ refusal: string }} Refusal a server's error in place of a reply
 */

class Servers {
  /**
   * @param {object} native what `src/console.rs` makes
   * @param {Function} RedisStoreError
   */
  constructor(native, RedisStoreError) {
    this.native = native;
    this.RedisStoreError = RedisStoreError;
    this.nodes = [];
    this.owners = undefined;
    this.closed = false;
    /** How long answers were waited for, altogether, and how many times. */
    this.waited = { ms: 0, times: 0 };
  }

  /** Finds the servers: anew for each question, because they may have changed since the last one. */
  async find(signal) {
    this.nodes = await this.#waitFor(this.native.nodes(), signal);
    const isCluster = this.nodes.some(({ slots }) => slots.length > 0);
    this.owners = isCluster ? new Array(SLOTS) : undefined;
    if (!isCluster) return this.nodes;
    for (const node of this.nodes) {
      for (const [first, last] of node.slots) this.owners.fill(node, first, last + 1);
    }
    return this.nodes;
  }

  get isCluster() {
    return this.owners !== undefined;
  }

  /** The server of a key. */
  nodeOf(key) {
    if (!this.owners) return this.nodes[0];
    const slot = slotOf(key);
    const node = this.owners[slot];
    if (!node) throw this.error(TEXTS.noNode, { slot });
    return node;
  }

  /** Whether keys can be in one command. */
  areTogether(keys) {
    return !this.owners || new Set(keys.map(slotOf)).size === 1;
  }

  /**
   * Sends commands to one server, in one pipeline.
   *
   * @param {Node} node
   * @param {string[][]} commands
   * @param {AbortSignal} [signal]
   * @returns {Promise<unknown[]>} a reply or {@link Refusal} for each
   */
  async on(node, commands, signal) {
    if (commands.length === 0) return [];
    return this.#timed(() => this.#send(node, commands, signal));
  }

  #send(node, commands, signal) {
    return this.#waitFor(this.native.send(node.name, commands), signal);
  }

  async #timed(ask) {
    const started = performance.now();
    const answer = await ask();
    this.waited.ms += performance.now() - started;
    this.waited.times += 1;
    return answer;
  }

  /**
   * Sends commands, each to the server that has its key: the argument behind its name, or where it says.
   *
   * @param {{ key: string, command: string[] }[]} asked
   * @param {AbortSignal} [signal]
   * @returns {Promise<unknown[]>} a reply or {@link Refusal} for each, in the same order
   */
  async all(asked, signal) {
    const replies = new Array(asked.length);
    let left = asked.map((_, index) => index);
    for (let attempt = 0; left.length > 0; attempt += 1) {
      const again = await this.#round(asked, left, replies, signal);
      if (again.length === 0 || attempt === MAX_REDIRECTS) break;
      await delay(REDIRECT_PAUSE_MS, undefined, { signal });
      await this.find(signal);
      left = again;
    }
    return replies;
  }

  /** Sends some of the commands, and returns those that another server has the keys of. */
  async #round(asked, left, replies, signal) {
    const groups = new Map();
    for (const index of left) {
      const node = this.nodeOf(asked[index].key);
      const group = groups.get(node);
      if (group) group.push(index);
      else groups.set(node, [index]);
    }
    const again = [];
    const pipelines = [...groups].map(([node, indexes]) => [node, indexes.map((index) => asked[index].command)]);
    const send = ([node, commands]) => this.#send(node, commands, signal);
    const answered = await this.#timed(() => Promise.all(pipelines.map(send)));
    for (const [group, indexes] of [...groups.values()].entries()) {
      const answers = answered[group];
      for (const [at, index] of indexes.entries()) {
        replies[index] = answers[at];
        if (!this.owners || !isRefusal(answers[at])) continue;
        const [code, , target] = answers[at].refusal.split(" ");
        if (code === "ASK")
          replies[index] = (await this.#askOther(target, asked[index].command, signal)) ?? replies[index];
        else if (code === "MOVED" || code === "TRYAGAIN" || code === "CLUSTERDOWN") again.push(index);
      }
    }
    return again;
  }

  /** Asks the server that a slot is being moved to. */
  async #askOther(name, command, signal) {
    const node = this.nodes.find((known) => known.name === name);
    if (!node) return undefined;
    const [, reply] = await this.on(node, [["ASKING"], command], signal);
    return reply;
  }

  /** What became of a promise, or the signal's reason. */
  async #waitFor(promise, signal) {
    if (this.closed) throw this.error(TEXTS.closed);
    if (!signal) return promise;
    let abort;
    const aborted = new Promise((_, reject) => {
      abort = () => reject(signal.reason);
      if (signal.aborted) abort();
      else signal.addEventListener("abort", abort, { once: true });
    });
    promise.catch(() => {});
    try {
      return await Promise.race([promise, aborted]);
    } finally {
      signal.removeEventListener("abort", abort);
    }
  }

  /** A reply, or the error that the server refused the command with. */
  expect(reply, command) {
    if (!isRefusal(reply)) return reply;
    // Advice goes on behind it.
    const refusal = reply.refusal.replace(/\.$/, "");
    const code = refusal.split(" ", 1)[0];
    throw this.error(REFUSALS[code] ?? TEXTS.refused, { command, refusal }, { reply: code });
  }

  error(row, values, details) {
    return new this.RedisStoreError(messageOf(row, values), { code: row.code, ...details });
  }

  close() {
    this.closed = true;
    this.native.close();
  }
}

/** Whether a reply is a server's error. */
function isRefusal(reply) {
  return typeof reply === "object" && reply !== null && "refusal" in reply;
}

module.exports = { Servers, isRefusal };
