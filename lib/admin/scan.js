"use strict";
// Walks through the keys of a server, with pauses, so that it has nine tenths of its time for others.

const { setTimeout: delay } = require("node:timers/promises");
const { isRefusal } = require("./servers.js");

/** The part of a server's time that a scan may take. */
const SHARE = 0.18;
/** Scans after which the server is asked how long they took it. */
const CALIBRATED_AFTER = 16;
/** It is not believed that they took it less than this part of the time that we waited for them. */
const MIN_FACTOR = 0.2;
/** How long one answer may take the server, in milliseconds; fewer keys are asked for when it takes longer. */
const TARGET_MS = 2;
const MIN_COUNT = 100;
const MAX_COUNT = 10_000;
/** A pause is not longer than this: an answer that took long may have waited for something else. */
const MAX_PAUSE_MS = 2_000;
const PINGS = 3;

/** Sees to the pauses between questions to one server. */
class Pace {
  /** @param {import("./servers.js").Servers} servers */
  constructor(servers) {
    this.servers = servers;
    this.baseline = Number.POSITIVE_INFINITY;
    this.count = 1_000;
    /** The part of the time we waited that was the server's work. */
    this.factor = 1;
    this.scans = 0;
    this.waitedForScans = 0;
    this.spentOnScans = undefined;
  }

  /** Measures the way to the server, which is not its work. */
  async begin(node, signal) {
    for (let ping = 0; ping < PINGS; ping += 1) {
      const started = performance.now();
      await this.servers.on(node, [["PING"]], signal);
      this.baseline = Math.min(this.baseline, performance.now() - started);
    }
  }

  /**
   * Asks, and pauses for as long as that took times so much that the server is busy with us for {@link SHARE} of its time.
   *
   * @template T
   * @param {() => Promise<T>} ask
   * @param {AbortSignal} [signal]
   * @returns {Promise<T>}
   */
  async spend(ask, signal) {
    const before = { ...this.servers.waited };
    const answer = await ask();
    const { ms, times } = this.servers.waited;
    this.last = Math.max(ms - before.ms - (times - before.times) * this.baseline, 0.05) * this.factor;
    await delay(Math.min((this.last * (1 - SHARE)) / SHARE, MAX_PAUSE_MS), undefined, { signal });
    return answer;
  }

  /** A scan is over: asks for more or fewer keys the next time. */
  async scanned(node, signal) {
    this.waitedForScans += this.last / this.factor;
    if (this.last > 2 * TARGET_MS) this.count = Math.max(MIN_COUNT, Math.floor(this.count / 2));
    else if (this.last < TARGET_MS) this.count = Math.min(MAX_COUNT, Math.ceil(this.count * 1.5));
    if (this.scans % CALIBRATED_AFTER === 0) await this.#calibrate(node, signal);
    this.scans += 1;
  }

  /** Learns from the server how much of the time that we wait is its work. Where it does not tell, all of it is. */
  async #calibrate(node, signal) {
    const [reply] = await this.servers.on(node, [["INFO", "commandstats"]], signal);
    const [, usec] = /^cmdstat_scan:calls=\d+,usec=(\d+)/m.exec(isRefusal(reply) ? "" : String(reply)) ?? [];
    const spent = usec === undefined ? undefined : Number(usec) / 1_000;
    if (spent !== undefined && this.spentOnScans !== undefined) {
      this.factor = Math.min(1, Math.max(MIN_FACTOR, (spent - this.spentOnScans) / this.waitedForScans));
    }
    this.spentOnScans = spent;
    this.waitedForScans = 0;
  }
}

/**
 * The keys of one server that match, as they come: some may come twice.
 *
 * @param {import("./servers.js").Servers} servers
 * @param {import("./servers.js").Node} node
 * @param {object} options
 * @param {string} options.pattern
 * @param {Pace} options.pace
 * @param {AbortSignal} [options.signal]
 * @param {(keys: number) => void} [options.onProgress] told how many keys were looked at, about
 * @returns {AsyncGenerator<string[]>}
 */
async function* scan(servers, node, { pattern, pace, signal, onProgress }) {
  let cursor = "0";
  do {
    signal?.throwIfAborted();
    const count = pace.count;
    const command = ["SCAN", cursor, "MATCH", pattern, "COUNT", String(count)];
    const [reply] = await pace.spend(() => servers.on(node, [command], signal), signal);
    if (isRefusal(reply)) servers.expect(reply, "SCAN");
    const [next, keys] = reply;
    cursor = String(next);
    await pace.scanned(node, signal);
    onProgress?.(count);
    yield keys;
  } while (cursor !== "0");
}

module.exports = { Pace, scan };
