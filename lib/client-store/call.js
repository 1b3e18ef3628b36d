"use strict";
// One store call over a caller's client: the promise it gave out, the answers it still waits for, and how it fails.

const { CALLS, PHRASES, messageOf } = require("../error-texts.js");
const { lookAt } = require("../thrown.js");

/** Names of the errors that clients give to error replies of the server. */
const REPLY_ERROR_NAMES = new Set(["ReplyError", "ErrorReply", "SimpleError", "BlobError"]);

/**
 * How a server's refusal begins: `WRONGTYPE Operation against …`, in valkey-glide `WRONGTYPE: …`. Other words that begin with E are
 * the operating system's.
 */
const REPLY_CODE = /^(ERR|EXECABORT|[A-DF-Z][A-Z0-9_]{2,}):? /;

/** A store call in flight. It settles when all its answers are in, or at its deadline. */
class Call {
  /**
   * @param {object} store what all calls of a store share: `client`, `adapter`, `inFlight`, `settings`, `keyOf`, `expiry`
   * @param {object} method its row in the table of methods
   * @param {number} size characters of its ids and its result
   * @param {string} executionId the execution the call is about
   * @param {string} [taskId] the task the call is about
   */
  constructor(store, method, size, executionId, taskId) {
    this.store = store;
    this.method = method;
    this.size = size;
    this.executionId = executionId;
    this.taskId = taskId;
    this.key = store.keyOf(executionId, method.suffix);
    this.waiting = 0;
    this.settled = false;
    this.failure = undefined;
    this.retry = undefined;
    this.touched = undefined;
    this.deadline = 0;
    this.older = undefined;
    this.newer = undefined;
    this.promise = new Promise((resolve) => {
      this.resolve = resolve;
    });
    store.inFlight.add(this);
  }

  /** Another key of the same execution. */
  keyWith(suffix) {
    return this.store.keyOf(this.executionId, suffix);
  }

  /**
   * Sends one command through the client.
   *
   * @param {Function} command a command of the adapter
   * @param {string} key its key
   * @param {unknown} [argument] field, value or expiry
   * @param {unknown} [value] the value of a field, or the expiry of a value
   * @returns {boolean} whether the client took it; when it threw, the call fails and nothing more should be sent
   */
  send(command, key, argument, value) {
    this.waiting += 1;
    this.store.counts.roundTrips += 1;
    let answer;
    try {
      answer = Promise.resolve(command(this.store.client, key, argument, value));
    } catch (error) {
      this.refused(error, key);
      return false;
    }
    answer.then(
      (reply) => this.answered(reply),
      (error) => this.refused(error, key),
    );
    return true;
  }

  /**
   * With a TTL: sends the expiry of the key right behind the write that makes it. In a pool of connections it can
   * overtake that write and find no key: then it is sent once more, after everything else has been answered.
   */
  expireWritten() {
    const { adapter, expiry } = this.store;
    if (expiry === undefined) return true;
    const expire = async (client, key) => {
      const reply = await adapter.expire(client, key, expiry);
      if (reply === 0 || reply === false) this.retry = adapter.expire;
    };
    return this.send(expire, this.key);
  }

  /** With a sliding TTL: lets the other keys of the execution live on with the one that was written. */
  slide(suffixes) {
    const { adapter, expiry, settings } = this.store;
    if (expiry === undefined || !settings.slidingTtl) return true;
    return suffixes.every(
      (suffix) => suffix === this.method.suffix || this.send(adapter.expire, this.keyWith(suffix), expiry),
    );
  }

  /** Renews the expiry of the execution's own key, then, if that is there, those of the others: they are not to outlive it. */
  touch(suffixes) {
    const { adapter, expiry } = this.store;
    const expire = async (client, key) => {
      this.touched = await adapter.expire(client, key, expiry);
      if (Number(this.touched) > 0 && !this.settled) {
        suffixes.every((suffix) => this.send(adapter.expire, this.keyWith(suffix), expiry));
      }
    };
    return this.send(expire, this.key);
  }

  /** Deletes keys of the execution, one by one: in a cluster they live apart. */
  delete(suffixes) {
    suffixes.every((suffix) => this.send(this.store.adapter.del, this.keyWith(suffix)));
  }

  /** Called when the method has sent all its commands. */
  flush() {}

  answered(reply) {
    this.waiting -= 1;
    if (this.waiting > 0 || this.settled) return;
    if (this.failure !== undefined) {
      this.fail(this.failure);
    } else if (this.retry !== undefined) {
      const expire = this.retry;
      this.retry = undefined;
      this.send(expire, this.key, this.store.expiry);
    } else {
      this.succeed(reply);
    }
  }

  refused(error, key) {
    this.waiting -= 1;
    if (this.settled) return;
    if (this.failure === undefined) this.failure = this.clientError(error, key);
    if (this.waiting === 0) this.fail(this.failure);
  }

  /** Ends the call at its deadline; what the client still answers is ignored. */
  timeOut() {
    const values = {
      method: this.method.name,
      timeout: this.store.settings.commandTimeout,
      reason: PHRASES.clientDidNotAnswer,
    };
    const outcome = this.method.writes ? `. ${PHRASES.passedToClient}` : "";
    this.fail(this.failure ?? this.error(CALLS.givenUp.code, messageOf(CALLS.givenUp, values) + outcome));
  }

  succeed(reply) {
    let result;
    try {
      if (this.method.read !== undefined) result = this.method.read(reply, this);
    } catch (error) {
      this.fail(error);
      return;
    }
    this.settle();
    this.store.counts.answered = true;
    this.store.counts.lastAnswerAt = Date.now();
    this.resolve(result);
  }

  fail(error) {
    this.settle();
    const { counts, clock } = this.store;
    counts.errors += 1;
    if (error.code === "ERR_REDIS_CONNECTION") {
      counts.lastError = { code: error.code, message: error.message, at: Date.now() };
    }
    this.resolve(clock.rejectLater(error));
  }

  settle() {
    this.settled = true;
    this.store.settings.forget(this.executionId);
    this.store.inFlight.remove(this);
  }

  /** What the client threw or rejected with, as an error of the store. */
  clientError(cause, key) {
    const { text } = lookAt(cause);
    const message = `${this.method.name}: ${text}`;
    const word = REPLY_CODE.exec(text);
    if (this.isRefusal(cause)) {
      return this.error("ERR_REDIS_REPLY", message, { cause, key, reply: word === null ? undefined : word[1] });
    }
    return this.error("ERR_REDIS_CONNECTION", message, { cause, key });
  }

  /**
   * Whether the server refused what was sent: known by the error's name or by its first word; errors of the operating
   * system carry a code.
   */
  isRefusal(error) {
    const { text, isError, name, code } = lookAt(error);
    return isError && (REPLY_ERROR_NAMES.has(name) || (code === undefined && REPLY_CODE.test(text)));
  }

  /** An error of the store that names the execution, the task and the key of this call, unless `details` has others. */
  error(code, message, details) {
    const { executionId, taskId, key } = this;
    return new this.store.settings.RedisStoreError(message, { code, executionId, taskId, key, ...details });
  }
}

module.exports = { Call };
