"use strict";
// Which package manager installed the package, and what it calls the things that may have to be done.

const { existsSync } = require("node:fs");
const { dirname, join } = require("node:path");

/**
 * @typedef {object} PackageManager
 * @property {string} install installs what the lock file has
 * @property {string} withOptional the same, with optional dependencies
 * @property {string} lockFile
 * @property {string} add adds an optional dependency, which follows it
 * @property {string} cleanCache
 * @property {string} forMachine how to install for another machine, with `{flags}` for its system, processor and C library
 */

/** @type {Record<string, PackageManager>} */
const MANAGERS = {
  npm: {
    install: "npm install",
    withOptional: "npm install --include=optional",
    lockFile: "package-lock.json",
    add: "npm install --save-optional",
    cleanCache: "npm cache clean --force",
    forMachine: "npm install {flags}",
  },
  pnpm: {
    install: "pnpm install",
    withOptional: "pnpm install --config.optional=true",
    lockFile: "pnpm-lock.yaml",
    add: "pnpm add --save-optional",
    cleanCache: "pnpm store prune",
    forMachine: "supportedArchitectures in pnpm-workspace.yaml, then pnpm install",
  },
  yarn: {
    install: "yarn install",
    withOptional: "yarn install",
    lockFile: "yarn.lock",
    add: "yarn add --optional",
    cleanCache: "yarn cache clean",
    forMachine: "supportedArchitectures in .yarnrc.yml, then yarn install",
  },
  bun: {
    install: "bun install",
    withOptional: "bun install",
    lockFile: "bun.lock",
    add: "bun add --optional",
    cleanCache: "bun pm cache rm",
    forMachine: "bun install {flags}",
  },
  deno: {
    install: "deno install",
    withOptional: "deno install",
    lockFile: "deno.lock",
    add: "deno add",
    cleanCache: "deno clean",
    forMachine: "deno install, on that machine",
  },
};

/** What each leaves in a `node_modules` that it has written; npm's comes last, because others write it too. */
const TRACES = [
  [".pnpm", "pnpm"],
  [".modules.yaml", "pnpm"],
  [".yarn-state.yml", "yarn"],
  [".yarn-integrity", "yarn"],
  [".bun", "bun"],
  [".deno", "deno"],
  [".package-lock.json", "npm"],
];

const LOCK_FILES = [
  ["pnpm-lock.yaml", "pnpm"],
  ["yarn.lock", "yarn"],
  ["bun.lock", "bun"],
  ["bun.lockb", "bun"],
  ["deno.lock", "deno"],
  ["package-lock.json", "npm"],
  ["npm-shrinkwrap.json", "npm"],
];

/** Directories above the package that are looked at. */
const MAX_DEPTH = 32;

/**
 * @param {string} home the directory of the package
 * @returns {PackageManager} npm where nothing tells
 */
function packageManagerOf(home) {
  const name = process.versions.pnp ? "yarn" : (tracedIn(home) ?? runBy());
  return MANAGERS[name] ?? MANAGERS.npm;
}

function tracedIn(home) {
  for (let directory = home, depth = 0; depth < MAX_DEPTH; directory = dirname(directory), depth += 1) {
    const modules = join(directory, "node_modules");
    const found =
      TRACES.find(([trace]) => existsSync(join(modules, trace))) ??
      LOCK_FILES.find(([file]) => existsSync(join(directory, file)));
    if (found !== undefined) return found[1];
    if (dirname(directory) === directory) break;
  }
  return undefined;
}

/** The one that runs this process, such as `pnpm/10.1.0 npm/? node/v22.1.0`. */
function runBy() {
  return /^\w+/.exec(process.env.npm_config_user_agent ?? "")?.[0];
}

module.exports = { packageManagerOf };
