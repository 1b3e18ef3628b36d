"use strict";
// The requests of one store over a client over HTTP: calls of one turn of the event loop share one.

/** Calls in one request. */
const MAX_CALLS = 512;

/** What the calls of this turn have to send. */
class Requests {
  /**
   * @param {object} store what all calls of a store share
   * @param {((callback: () => void) => void) | undefined} afterTurn calls a function when the turn is over; absent where the
   *   runtime cannot, and every call is sent by itself
   */
  constructor({ client, adapter }, afterTurn) {
    this.client = client;
    this.adapter = adapter;
    this.afterTurn = afterTurn;
    this.calls = [];
    this.flush = () => {
      const calls = this.calls.splice(0);
      for (let from = 0; from < calls.length; from += MAX_CALLS) this.send(calls.slice(from, from + MAX_CALLS));
    };
  }

  /** Sends a call when the turn is over. */
  add(call) {
    this.calls.push(call);
    if (this.calls.length > 1) return;
    if (this.afterTurn === undefined) this.flush();
    else this.afterTurn(this.flush);
  }

  async send(calls) {
    const commands = calls.flatMap((call) => call.commands);
    // The commands of one call stay in one request; calls beside it are not affected.
    const atomic = calls.some((call) => call.commands.length > 1);
    let answers;
    try {
      answers = await this.adapter.request(this.client, commands, atomic);
    } catch (error) {
      // Which of them the server refused is not known: each is sent again by itself.
      if (calls.length > 1 && calls[0].isRefusal(error)) for (const call of calls) this.send([call]);
      else for (const call of calls) call.refused(error, call.key);
      return;
    }
    let from = 0;
    for (const call of calls) {
      call.allAnswered(answers.slice(from, from + call.commands.length));
      from += call.commands.length;
    }
  }
}

module.exports = { Requests };
