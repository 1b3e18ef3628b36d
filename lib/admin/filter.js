"use strict";
// What the methods of the admin API are asked for, checked.

const { matcher } = require("./keys.js");
const { TEXTS, argumentError } = require("./texts.js");

/** The age above which an execution without progress is called stuck, unless the caller says. */
const STUCK_AFTER_MS = 10 * 60 * 1_000;

const isFunction = (value) => typeof value === "function";
const isFlag = (value) => typeof value === "boolean";
const isAge = (value) => typeof value === "number" && value >= 0;
const isCount = (value) => Number.isSafeInteger(value) && value >= 0;
const isPattern = (value) => typeof value === "string" && value !== "";
const isSignal = (value) => isFunction(value?.addEventListener) && typeof value.aborted === "boolean";

const RULES = {
  stuck: [isFlag, "a boolean"],
  orphans: [isFlag, "a boolean"],
  all: [isFlag, "a boolean"],
  anyAge: [isFlag, "a boolean"],
  dryRun: [isFlag, "a boolean"],
  values: [isFlag, "a boolean"],
  olderThan: [isAge, "a number of milliseconds"],
  match: [isPattern, "a pattern that is not empty"],
  limit: [isCount, "a number of executions or tasks"],
  offset: [isCount, "a number of tasks"],
  signal: [isSignal, "an AbortSignal"],
  onProgress: [isFunction, "a function"],
  onSwept: [isFunction, "a function"],
};

const LISTED = ["stuck", "orphans", "all", "olderThan", "match", "limit", "signal", "onProgress"];
const SHOWN = ["offset", "limit", "values", "signal"];
const SWEPT = ["stuck", "all", "anyAge", "dryRun", "olderThan", "match", "limit", "signal", "onProgress", "onSwept"];

/** A filter with known names and values of the right kind; undefined ones are as if they were not there. */
function check(filter, known) {
  const checked = {};
  if (filter !== undefined && (typeof filter !== "object" || filter === null)) {
    throw argumentError(TEXTS.wrongFilter, { name: "filter", wanted: "an object", received: show(filter) });
  }
  for (const [name, value] of Object.entries(filter ?? {})) {
    if (!known.includes(name)) throw argumentError(TEXTS.unknownFilter, { name, known: known.join(", ") });
    if (value === undefined) continue;
    const [isRight, wanted] = RULES[name];
    if (!isRight(value)) throw argumentError(TEXTS.wrongFilter, { name, wanted, received: show(value) });
    checked[name] = value;
  }
  return checked;
}

/** What `executions` is asked for. */
function listed(filter) {
  const { stuck = false, orphans = false, all = false, match, ...rest } = check(filter, LISTED);
  const olderThan = rest.olderThan ?? (stuck ? STUCK_AFTER_MS : undefined);
  return { ...rest, stuck, orphans, all, olderThan, match, matches: match === undefined ? () => true : matcher(match) };
}

/** What `execution` is asked for. */
function shown(filter) {
  return { offset: 0, limit: 1_000, values: false, ...check(filter, SHOWN) };
}

/** What `sweep` is asked for. */
function swept(filter) {
  const checked = { stuck: false, all: false, anyAge: false, dryRun: false, ...check(filter, SWEPT) };
  if (checked.olderThan === undefined) throw argumentError(TEXTS.ageNeeded);
  return checked;
}

/** What `releaseTask` is asked for. */
function released(options) {
  return check(options, ["dryRun", "signal"]);
}

/** What only has a signal. */
function withSignal(options) {
  return check(options, ["signal"]);
}

/** An id, or the error for what is none. */
function checkId(name, value) {
  if (typeof value === "string" && value !== "") return value;
  throw argumentError(TEXTS.wrongId, { name, received: show(value) });
}

function show(value) {
  if (typeof value === "string") return value === "" ? "an empty string" : "a string";
  if (value === null || typeof value === "number" || typeof value === "boolean") return String(value);
  return typeof value === "undefined" ? "undefined" : `a value of type ${typeof value}`;
}

module.exports = { checkId, listed, released, shown, swept, withSignal };
