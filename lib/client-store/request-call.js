"use strict";
// A store call over a client over HTTP: all its commands are in one request, perhaps with those of other calls.

const { Call } = require("./call.js");

/** A call that gathers its commands first and sends them together. */
class RequestCall extends Call {
  constructor(store, method, size, executionId, taskId) {
    super(store, method, size, executionId, taskId);
    this.commands = [];
    this.keys = [];
  }

  send(command, key, argument, value) {
    this.commands.push(command(key, argument, value));
    this.keys.push(key);
    return true;
  }

  /** Nothing can get between a write and its expiry. */
  expireWritten() {
    const { adapter, expiry } = this.store;
    return expiry === undefined || this.send(adapter.expire, this.key, expiry);
  }

  /** The execution's own key comes last: its answer is that of the call. */
  touch(suffixes) {
    const { adapter, expiry } = this.store;
    for (const suffix of suffixes) this.send(adapter.expire, this.keyWith(suffix), expiry);
    return this.send(adapter.expire, this.key, expiry);
  }

  delete(suffixes) {
    this.commands.push(this.store.adapter.del(...suffixes.map((suffix) => this.keyWith(suffix))));
    this.keys.push(this.key);
  }

  flush() {
    this.waiting = 1;
    this.store.counts.roundTrips += 1;
    this.store.requests.add(this);
  }

  allAnswered(answers) {
    const failed = answers.findIndex(({ error }) => typeof error === "string" && error !== "");
    if (failed === -1) this.answered(answers[answers.length - 1].result);
    else this.refused(Object.assign(new Error(answers[failed].error), { name: "ReplyError" }), this.keys[failed]);
  }
}

module.exports = { RequestCall };
