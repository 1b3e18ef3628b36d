"use strict";
// What is written to the terminal or the pipe: lines, colours, progress, questions.

const { once } = require("node:events");
const { createInterface } = require("node:readline/promises");
const { stripVTControlCharacters, styleText } = require("node:util");

/** The time between two lines of progress. */
const PROGRESS_MS = 200;
const CLEAR_LINE = "\r\u001b[2K";
const CLEAR_SCREEN = "\u001b[2J\u001b[3J\u001b[H";

/** One stream, and what it can show. */
class Output {
  constructor(stream) {
    this.stream = stream;
    this.isTerminal = stream.isTTY === true;
    // `hasColors` knows NO_COLOR, FORCE_COLOR and TERM.
    this.hasColours = this.isTerminal && stream.hasColors?.() === true;
  }

  /** The columns of a terminal; a pipe takes lines of any length. */
  get width() {
    return this.isTerminal ? this.stream.columns || 80 : Number.POSITIVE_INFINITY;
  }

  style(format, text) {
    return this.hasColours ? styleText(format, text, { validateStream: false }) : text;
  }

  /** Writes a line, and waits for as long as the other end is slower. */
  async line(text = "") {
    if (!this.stream.write(`${text}\n`)) await once(this.stream, "drain");
  }

  /** A line that is not longer than the terminal is wide. */
  async cut(text) {
    await this.line(cutTo(text, this.width));
  }

  clear() {
    if (this.isTerminal) this.stream.write(CLEAR_SCREEN);
  }
}

/** Cuts a text with colours to so many characters. */
function cutTo(text, width) {
  if (stripVTControlCharacters(text).length <= width) return text;
  let shown = "";
  let length = 0;
  for (const [token] of text.matchAll(/\p{Cc}\[[0-9;]*m|[\s\S]/gu)) {
    const isColour = token.startsWith("\u001b");
    if (!isColour && length === width - 1) {
      shown += "…";
      length += 1;
    }
    if (isColour || length < width - 1) shown += token;
    if (!isColour && length < width) length += 1;
  }
  return shown;
}

/** Says on a terminal how far a long question has come. */
class Progress {
  constructor(output) {
    this.output = output;
    this.shownAt = 0;
    this.isShown = false;
  }

  show(text) {
    const now = performance.now();
    if (!this.output.isTerminal || now - this.shownAt < PROGRESS_MS) return;
    this.shownAt = now;
    this.isShown = true;
    this.output.stream.write(`${CLEAR_LINE}${cutTo(text, this.output.width - 1)}`);
  }

  /** Takes it away, before something else is written. */
  end() {
    if (this.isShown) this.output.stream.write(CLEAR_LINE);
    this.isShown = false;
  }
}

/** Asks a yes-or-no question; undefined where there is no terminal to ask on. The end of the input is a no. */
async function confirm(question, signal) {
  if (process.stdin.isTTY !== true || process.stderr.isTTY !== true) return undefined;
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  // Ctrl-C comes as a character while a line is read.
  lines.on("SIGINT", () => process.emit("SIGINT"));
  try {
    return /^y(es)?$/i.test((await lines.question(`${question} [y/N] `, { signal })).trim());
  } catch (error) {
    signal?.throwIfAborted();
    // Ctrl-D.
    if (error.code === "ABORT_ERR") return false;
    throw error;
  } finally {
    lines.close();
  }
}

module.exports = { Output, Progress, confirm, cutTo };
