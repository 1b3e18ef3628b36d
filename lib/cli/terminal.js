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

/** Characters that a terminal shows on two columns: those of East Asian scripts, and pictures. */
const WIDE =
  /^(?:[\u{1100}-\u{115f}\u{2e80}-\u{303e}\u{3041}-\u{a4cf}\u{a960}-\u{a97f}\u{ac00}-\u{d7a3}\u{f900}-\u{faff}\u{fe30}-\u{fe6f}\u{ff01}-\u{ff60}\u{ffe0}-\u{ffe6}\u{20000}-\u{3fffd}]|\p{Emoji_Presentation})/u;
/** And those that it shows above the one before. */
const COMBINING = /^[\p{Mn}\p{Me}]/u;

function columnsOf(char) {
  if (char < "\u0300") return 1;
  return COMBINING.test(char) ? 0 : WIDE.test(char) ? 2 : 1;
}

/** The columns that a text with colours takes. */
function widthOf(text) {
  let width = 0;
  for (const char of stripVTControlCharacters(text)) width += columnsOf(char);
  return width;
}

/** A text with spaces behind it, so that it takes so many columns. */
function padEnd(text, width) {
  return text + " ".repeat(Math.max(0, width - widthOf(text)));
}

/** Cuts a text with colours to so many columns. */
function cutTo(text, width) {
  if (widthOf(text) <= width) return text;
  let shown = "";
  let left = width - 1;
  for (const [token] of text.matchAll(/\p{Cc}\[[0-9;]*m|[\s\S]/gu)) {
    const isColour = token.startsWith("\u001b");
    if (isColour) {
      shown += token;
    } else if (left >= 0) {
      const columns = columnsOf(token);
      shown += columns <= left ? token : "…";
      left -= columns <= left ? columns : left + 1;
    }
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

module.exports = { Output, Progress, confirm, cutTo, padEnd, widthOf };
