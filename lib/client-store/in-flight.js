"use strict";
// The calls of one store that have not settled yet, oldest first, and the one timer that ends those whose time is up.

const { CALLS } = require("../error-texts.js");

/** The longest delay setTimeout takes; a longer one would fire at once. */
const LONGEST_DELAY = 2 ** 31 - 1;

/** Characters of ids and results that the calls of a store may have in flight; one call alone may have more. */
const MAX_CHARACTERS = 2 ** 28;

/** Calls ended per turn of the event loop, so that a hundred thousand deadlines do not stall it. */
const EXPIRED_PER_TURN = 500;

/** A queue of calls that all have the same time limit, which is why the oldest is always the next one due. */
class InFlight {
  /**
   * @param {number} timeout milliseconds until a call is ended
   * @param {{ setTimeout: typeof setTimeout, now: () => number }} clock the runtime's own clock
   */
  constructor(timeout, clock) {
    this.timeout = timeout;
    this.clock = clock;
    this.size = 0;
    this.characters = 0;
    this.oldest = undefined;
    this.newest = undefined;
    this.timer = undefined;
    this.onIdle = undefined;
    this.expire = () => this.endOverdue();
  }

  /**
   * Why there is no room for another call, as a row of the error texts and what to fill in, or `undefined`.
   *
   * @param {number} characters of its ids and its result
   * @param {number} maxPending calls that there is room for
   */
  refusal(characters, maxPending) {
    if (this.size >= maxPending) return { row: CALLS.tooManyCalls, values: { limit: maxPending } };
    if (this.size === 0 || this.characters + characters <= MAX_CHARACTERS) return undefined;
    const values = { present: `${this.characters} characters`, limit: `${MAX_CHARACTERS} characters` };
    return { row: CALLS.tooMuchData, values };
  }

  /** Starts the clock of a call. Calls carry their own links, so that leaving the queue costs no search. */
  add(call) {
    call.deadline = this.clock.now() + this.timeout;
    call.older = this.newest;
    if (this.newest === undefined) this.oldest = call;
    else this.newest.newer = call;
    this.newest = call;
    this.size += 1;
    this.characters += call.size;
    if (this.timer === undefined) this.arm(this.timeout);
  }

  /** Takes out a call that has settled. */
  remove(call) {
    if (call.older === undefined) this.oldest = call.newer;
    else call.older.newer = call.newer;
    if (call.newer === undefined) this.newest = call.older;
    else call.newer.older = call.older;
    call.older = undefined;
    call.newer = undefined;
    this.size -= 1;
    this.characters -= call.size;
    if (this.size === 0 && this.onIdle !== undefined) this.onIdle();
  }

  /** Resolves when nothing is in flight any more; the deadlines bound the wait. */
  idle() {
    if (this.size === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.onIdle = resolve;
    });
  }

  arm(delay) {
    this.timer = this.clock.setTimeout(this.expire, Math.min(Math.max(1, Math.ceil(delay)), LONGEST_DELAY));
    // The client's own socket decides whether the process lives on, not our deadline.
    this.timer.unref();
  }

  endOverdue() {
    const now = this.clock.now();
    for (let ended = 0; ended < EXPIRED_PER_TURN && this.oldest !== undefined && this.oldest.deadline <= now; ended++) {
      this.oldest.timeOut();
    }
    if (this.oldest === undefined) this.timer = undefined;
    else this.arm(this.oldest.deadline - now);
  }
}

module.exports = { InFlight };
