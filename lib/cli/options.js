"use strict";
// The arguments of each command, read and checked, and what they say about the servers.

const { readFileSync } = require("node:fs");
const { parseArgs } = require("node:util");
const { readDuration } = require("./units.js");

const LEAST_INTERVAL_MS = 1;
const MOST_INTERVAL_MS = 24 * 86_400_000;

/** What is wrong with how the command was called. */
class UsageError extends Error {}

const COMMON = {
  url: { type: "string" },
  config: { type: "string" },
  cluster: { type: "boolean" },
  prefix: { type: "string" },
  "hash-tags": { type: "boolean" },
  ttl: { type: "string" },
  timeout: { type: "string" },
  json: { type: "boolean" },
  debug: { type: "boolean" },
  help: { type: "boolean", short: "h" },
};
const WATCHED = { watch: { type: "boolean", short: "w" }, interval: { type: "string" } };
const CHANGING = { yes: { type: "boolean", short: "y" } };
const FILTER = { match: { type: "string" }, all: { type: "boolean" }, limit: { type: "string" } };

/** The options of each command besides the common ones, and how many other arguments it takes. */
const COMMANDS = {
  doctor: { options: WATCHED, least: 0, most: 0 },
  list: {
    options: {
      ...WATCHED,
      ...FILTER,
      stuck: { type: "boolean" },
      orphans: { type: "boolean" },
      "older-than": { type: "string" },
    },
    least: 0,
    most: 0,
  },
  show: {
    options: { ...WATCHED, values: { type: "boolean" }, limit: { type: "string" }, offset: { type: "string" } },
    least: 1,
    most: 1,
  },
  count: { options: { ...WATCHED, match: FILTER.match, all: FILTER.all }, least: 0, most: 0 },
  release: { options: CHANGING, least: 2, most: 2 },
  dispose: { options: CHANGING, least: 1, most: Number.POSITIVE_INFINITY },
  sweep: {
    options: {
      ...CHANGING,
      ...FILTER,
      stuck: { type: "boolean" },
      "any-age": { type: "boolean" },
      "older-than": { type: "string" },
    },
    least: 0,
    most: 0,
  },
};

/**
 * @param {string} command
 * @param {string[]} args
 * @returns {{ values: Record<string, string | boolean | undefined>, ids: string[] }}
 */
function readArguments(command, args) {
  const { options, least, most } = COMMANDS[command];
  let parsed;
  try {
    parsed = parseArgs({ args, options: { ...COMMON, ...options }, allowPositionals: true, strict: true });
  } catch (error) {
    throw new UsageError(error.message.split(/\. To specify|\n/)[0]);
  }
  const { values, positionals: ids } = parsed;
  if (values.help) return { values, ids };
  if (ids.length < least)
    throw new UsageError(`${command} needs ${least === 2 ? "an execution and a task" : "an execution"}`);
  if (ids.length > most) throw new UsageError(`${command} takes no argument "${ids[most]}"`);
  return { values, ids };
}

/** A duration such as `7d`. */
function durationOf(values, name) {
  if (values[name] === undefined) return undefined;
  const ms = readDuration(values[name]);
  if (ms === undefined) throw new UsageError(`--${name} must be a duration such as 90s, 10m, 12h or 7d`);
  return ms;
}

/** The pause of `--watch`: there has to be one, and a timer takes no longer one. */
function intervalOf(values) {
  const ms = durationOf(values, "interval");
  if (ms !== undefined && (ms < LEAST_INTERVAL_MS || ms > MOST_INTERVAL_MS))
    throw new UsageError("--interval must be between 1ms and 24d");
  return ms;
}

/** A number that is not negative. */
function numberOf(values, name) {
  if (values[name] === undefined) return undefined;
  if (!/^\d{1,15}$/.test(values[name])) throw new UsageError(`--${name} must be a number`);
  return Number(values[name]);
}

/**
 * Where to connect and how. Without `redis`, the environment says where.
 *
 * @returns {{ redis?: unknown, options: object }}
 */
function connectionOf(values) {
  const options = {};
  if (values.prefix !== undefined) options.keyPrefix = values.prefix;
  if (values["hash-tags"]) options.hashTags = true;
  if (values.ttl !== undefined) options.ttl = durationOf(values, "ttl");
  if (values.timeout !== undefined) options.commandTimeout = durationOf(values, "timeout");
  if (values.url !== undefined && values.config !== undefined)
    throw new UsageError("--url and --config exclude each other");
  if (values.config !== undefined) return { redis: readConfig(values.config), options };
  const url = values.url === "-" ? readInput("--url -") : values.url;
  if (!values.cluster) return { redis: url, options };
  const first = url ?? process.env.REDIS_URL;
  if (!first) throw new UsageError("--cluster needs the URL of a node, in --url or REDIS_URL");
  return { redis: [first], options };
}

/** The configuration in a file, as `createRedisStore` takes it; `-` is standard input. */
function readConfig(file) {
  const text = file === "-" ? readInput("--config -") : readFile(file);
  try {
    return JSON.parse(text);
  } catch {
    // What the parser says quotes the text, which may have a password in it.
    throw new UsageError(`${file === "-" ? "standard input" : file} is not JSON`);
  }
}

function readFile(file) {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    throw new UsageError(`--config: ${error.message}`);
  }
}

function readInput(option) {
  const text = readFileSync(0, "utf8").trim();
  if (text === "") throw new UsageError(`${option}: standard input is empty`);
  return text;
}

module.exports = { COMMANDS, UsageError, connectionOf, durationOf, intervalOf, numberOf, readArguments };
