"use strict";
// Runs a command: from its arguments to its exit status.

const { helpOf, overview } = require("./help.js");
const { COMMANDS, UsageError, connectionOf, intervalOf, readArguments } = require("./options.js");
const { Output, Progress } = require("./terminal.js");
const { setTimeout: delay } = require("node:timers/promises");
const { inspect } = require("node:util");

const DONE = 0;
const USAGE = 2;
const NO_CONNECTION = 3;
/** What shells give for an end by Ctrl-C. */
const INTERRUPTED = 130;
const INTERVAL_MS = 2_000;

/** @param {string[]} args */
async function run(args) {
  const out = new Output(process.stdout);
  const err = new Output(process.stderr);
  // Whoever reads may have enough, as `head` does.
  process.stdout.on("error", (error) => {
    if (error.code === "EPIPE") process.exit(DONE);
    process.stderr.write(`idioteque-redis: ${error.message}\n`, () => process.exit(NO_CONNECTION));
  });
  process.stderr.on("error", () => {});
  const status = await start(args, out, err);
  // Not at once, so that what is written arrives; and then whatever is still asked of a server.
  process.exitCode = status;
  process.stdout.write("", () => process.stderr.write("", () => process.exit(status)));
}

async function start(args, out, err) {
  const [command, ...rest] = args;
  if (command === undefined || command === "help" || command === "--help" || command === "-h") {
    const isAsked = command !== undefined && (rest.length === 0 || isCommand(rest[0]));
    await (isAsked ? out : err).line(isCommand(rest[0]) ? helpOf(rest[0]) : overview());
    return isAsked ? DONE : USAGE;
  }
  if (command === "--version" || command === "version") {
    await out.line(require("../../package.json").version);
    return DONE;
  }
  const progress = new Progress(err);
  const abort = new AbortController();
  let isDebugged = args.includes("--debug");
  try {
    if (!isCommand(command)) throw new UsageError(`there is no command "${command}"`);
    const { values, ids } = readArguments(command, rest);
    isDebugged = values.debug === true;
    if (values.help) {
      await out.line(helpOf(command));
      return DONE;
    }
    process.once("SIGINT", () => {
      abort.abort();
      // A second one ends the process, whatever it is about.
      process.once("SIGINT", () => process.exit(INTERRUPTED));
    });
    return await carryOut(command, { values, ids, out, err, progress, signal: abort.signal });
  } catch (error) {
    progress.end();
    if (abort.signal.aborted) return INTERRUPTED;
    await err.line(`${err.style("red", "idioteque-redis:")} ${error.message}`);
    if (isDebugged) await err.line(inspect(error));
    if (error instanceof UsageError)
      await err.line(`Try: idioteque-redis ${isCommand(command) ? `${command} ` : ""}--help`);
    return error instanceof UsageError || error.code === "ERR_REDIS_CONFIG" ? USAGE : NO_CONNECTION;
  }
}

function isCommand(word) {
  return word !== undefined && Object.hasOwn(COMMANDS, word);
}

async function carryOut(command, session) {
  const { values, out, signal, progress } = session;
  const { createRedisAdmin, createRedisAdminFromEnv } = require("../admin.js");
  const { redis, options } = connectionOf(values);
  const admin = redis === undefined ? createRedisAdminFromEnv(options) : createRedisAdmin(redis, options);
  const { [command]: perform } = require("./commands.js");
  const interval = intervalOf(values) ?? INTERVAL_MS;
  try {
    if (!values.watch) return await perform({ ...session, admin });
    for (;;) {
      out.clear();
      await perform({ ...session, admin });
      progress.end();
      await delay(interval, undefined, { signal });
    }
  } catch (error) {
    // Ctrl-C is how watching ends.
    if (values.watch && signal.aborted) return DONE;
    throw error;
  } finally {
    await admin.close();
  }
}

module.exports = { run };
