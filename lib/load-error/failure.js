"use strict";
// The error where the addon cannot be loaded: on which machine, why, and what to do. Loaded only then, so that it
// costs a start nothing.

const { existsSync } = require("node:fs");
const { createRequire } = require("node:module");
const { join } = require("node:path");
const { diagnose, diagnoseUnseen } = require("./diagnosis.js");
const { describeMachine, thisMachine } = require("./machine.js");
const { SUPPORTED, addonName, installedPackages, packageName } = require("./packages.js");

/**
 * The error that says why the addon cannot be loaded and what to do.
 *
 * @param {object} failed
 * @param {Error} [failed.cause] what the generated loader threw; its own causes are those of each file it tried
 * @param {unknown} [failed.loaded] what was loaded in place of the addon, or an addon of another version
 * @param {object} entry
 * @param {string} entry.home the directory of `index.js`
 * @param {Function} entry.RedisStoreError
 * @returns {Error} with `code` `ERR_REDIS_LOAD`
 */
function loadFailure({ cause, loaded }, { home, RedisStoreError }) {
  const machine = thisMachine();
  const said = messagesOf(cause);
  const { problem, remedy, candidates } = investigate(machine, home, said, loaded);
  const message = [
    `@idioteque/redis could not load its native addon on ${describeMachine(machine)}.`,
    problem,
    remedy,
    ...section("Tried:", candidates.map(describeCandidate)),
    ...section("The loader says:", said),
  ].join("\n");
  return new RedisStoreError(message, { code: "ERR_REDIS_LOAD", cause });
}

/** A process without permissions may not read files: then its error about that is all there is. */
function investigate(machine, home, said, loaded) {
  try {
    const override = process.env.NAPI_RS_NATIVE_LIBRARY_PATH;
    const candidates = candidatesFor(machine, home, override);
    const installed = installedPackages(home);
    return { candidates, ...diagnose({ machine, home, said, loaded, override, candidates, installed }) };
  } catch (error) {
    return { candidates: [], ...diagnoseUnseen([...said, error.message]) };
  }
}

/**
 * @typedef {object} Candidate a place where the addon may be
 * @property {string} name a path or a package, for people
 * @property {string} [file] the path of what is there
 */

/** @returns {Candidate[]} in the order in which the loader tries them */
function candidatesFor(machine, home, override) {
  if (override) return [{ name: override, file: existsSync(override) ? override : undefined }];
  if (!SUPPORTED.includes(machine.target)) return [];
  const built = join(home, "lib", addonName(machine.target));
  const name = packageName(machine.target);
  return [
    { name: built, file: existsSync(built) ? built : undefined },
    { name, file: resolve(name, home) },
  ];
}

function resolve(name, home) {
  try {
    return createRequire(join(home, "index.js")).resolve(name);
  } catch {
    return undefined;
  }
}

function describeCandidate({ name, file }) {
  if (file === undefined) return `${name}: not there`;
  return file === name ? `${name}: cannot be used` : `${name}: ${file} cannot be used`;
}

/**
 * The first line of each cause, deepest first. Left out: the loader's own message, which is npm's advice whatever
 * happened, and its search for WebAssembly, which this package does not have.
 */
function messagesOf(error) {
  const messages = [];
  let cause = error?.cause ?? error;
  for (let depth = 0; cause != null && depth < 20; depth += 1) {
    messages.unshift(String(cause.message ?? cause).split("\n", 1)[0]);
    cause = cause.cause;
  }
  return [...new Set(messages)].filter((line) => !/cannot find module .*wasi/i.test(line));
}

function section(title, lines) {
  return lines.length === 0 ? [] : [title, ...lines.map((line) => `- ${line}`)];
}

module.exports = { loadFailure };
