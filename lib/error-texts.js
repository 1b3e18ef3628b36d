"use strict";
// Every sentence that the JavaScript side shows a user, in tables: the code of the error, the sentence, and the advice. What
// the addon says too is the same in core/src/error_texts, which a test compares by the names. `lib/unsupported.js` has its one
// sentence itself, because bundlers take that file alone.

/** Errors of store calls over a caller's own client. */
const CALLS = {
  closed: { code: "ERR_REDIS_CLOSED", sentence: "the store is closed", advice: "" },
  tooManyCalls: {
    code: "ERR_REDIS_OVERLOADED",
    sentence: "{limit} calls are in flight already (maxPending)",
    advice: "await some of them first",
  },
  tooMuchData: {
    code: "ERR_REDIS_OVERLOADED",
    sentence: "ids and results of {present} are in flight already, and {limit} are the limit",
    advice: "await some of them first",
  },
  notJson: {
    code: "ERR_REDIS_SERIALIZE",
    sentence: 'The result of task "{task}" cannot be stored as JSON: {reason}. Nothing was written',
    advice: "Return a value that has a JSON form",
  },
  unparsable: {
    code: "ERR_REDIS_PARSE",
    sentence: 'Failed to parse JSON for Redis key "{key}" field "{field}": {reason}. Raw value: "{raw}"',
    advice: "",
  },
  givenUp: {
    code: "ERR_REDIS_TIMEOUT",
    sentence: "{method} was given up after {timeout} ms (commandTimeout): {reason}",
    advice: "",
  },
  pingGivenUp: {
    code: "ERR_REDIS_TIMEOUT",
    sentence: "ping was given up after {timeout} ms: {reason}",
    advice: "",
  },
};

/** Parts of those sentences, and sentences without a code of ours. */
const PHRASES = {
  wrongId: 'The "{name}" argument must be a non-empty string. Received {received}',
  claimMadeNoError: "The function of the option `claim` must return an Error. Received {received}",
  wrongTimeout: 'The "timeout" option must be a positive number of milliseconds. Received {received}',
  noJsonForm: "undefined, functions and symbols have no JSON form",
  notAnError: "something was thrown that is not an Error",
  clientDidNotAnswer: "the client did not answer",
  passedToClient: "The command had been passed to the client, so it may have been applied.",
  requestAborted: "the request was aborted by the client's signal",
  incompleteResponse: "the response does not answer the request",
  databaseNotNamed: "the server does not name the database",
  unknownOption: "`{name}` is not an option of `register`. Those that count are: {known}",
};

/** What to do where an installation is not that of this machine. */
const INSTALL_AGAIN =
  "Delete node_modules and install again on the machine, or in the image, that runs it; do not copy it there.";
const CLEAN_CACHE = "If it happens again, clean the package manager's cache ({cleanCache}).";
/** Where the lock file may be the cause. */
const LOCK_AGAIN =
  "If that does not help, the lock file is the cause: delete node_modules and {lockFile} and run `{install}` here, which " +
  "lists every platform. To install for this machine elsewhere: {forMachine}";
/** Where a bundler was at work. */
const KEEP_OUT_OF_BUNDLE =
  'Keep "@idioteque/redis" out of the bundle: serverExternalPackages in Next.js, external in esbuild and Rollup, ' +
  "externals in webpack, ssr.external in Vite; and ship node_modules with it.";

/** Why the addon cannot be loaded, and what to do; in an error with the code `ERR_REDIS_LOAD`. */
const LOADING = {
  webContainer: {
    sentence: "Node.js in a browser tab (WebContainers) cannot load native addons.",
    advice: "Run it on a machine of its own.",
  },
  nodeTooOld: {
    sentence: "This Node.js is too old: {oldest} or later is needed.",
    advice: "Install a newer Node.js.",
  },
  addonsSwitchedOff: {
    sentence: "Native addons are switched off in this process.",
    advice: "Start Node.js without --no-addons; with the permission model, add --allow-addons.",
  },
  notPermitted: {
    sentence: "This process may not load native addons.",
    advice: "Start Deno with --allow-ffi --allow-read --allow-env, or with -A.",
  },
  overrideMissing: {
    sentence: "NAPI_RS_NATIVE_LIBRARY_PATH names {file}, which is not there.",
    advice: "Unset NAPI_RS_NATIVE_LIBRARY_PATH, or let it name an addon that was built for this machine.",
  },
  overrideOtherVersion: {
    sentence: "NAPI_RS_NATIVE_LIBRARY_PATH names {file}, which is of version {found}; this package is of {version}.",
    advice: "Unset NAPI_RS_NATIVE_LIBRARY_PATH, or let it name an addon of version {version}.",
  },
  overrideUnusable: {
    sentence: "NAPI_RS_NATIVE_LIBRARY_PATH names {file}, which cannot be loaded.",
    advice: "Unset NAPI_RS_NATIVE_LIBRARY_PATH, or let it name an addon that was built for this machine.",
  },
  noAddonForTarget: {
    sentence: "There is no addon for {target}; there is one for {supported}.",
    advice: "Use one of those, or build the addon from source on this machine with `npm run build`.",
  },
  bundled: {
    sentence: "This is a copy of the package's code in {home}, without the addon: a bundler has included it.",
    advice: KEEP_OUT_OF_BUNDLE,
  },
  replaced: {
    sentence: "In place of the addon there is {what}: a bundler has replaced it, or a test that mocks modules.",
    advice: KEEP_OUT_OF_BUNDLE,
  },
  otherVersion: {
    sentence:
      "The addon is of another version: {file} is of {found}, and the package in {home} is of {version}. They belong " +
      "together.",
    advice:
      "Install both anew: delete node_modules, let package.json (overrides, resolutions) and {lockFile} name {version} of " +
      "{name} or not name it at all, and run `{install}`.",
  },
  builtOtherVersion: {
    sentence: "The addon is of another version: {file} is of {found}, and the sources in {home} are of {version}.",
    advice: "Build it again: `npm run build`.",
  },
  notBuilt: {
    sentence: "This is a clone of the repository ({home}), and the addon has not been built.",
    advice: "Build it there: `npm run build`, or `node tooling/setup.mjs`, which installs the npm packages first.",
  },
  notInstalled: {
    sentence:
      "The package {name}, which holds it, is not installed: optional dependencies were left out " +
      "(--omit=optional, --no-optional, or a setting), or the lock file was written on another kind of machine " +
      "and lists only that one's.",
    advice:
      "Install with optional dependencies ({withOptional}). If the lock file lacks it, delete " +
      "node_modules and {lockFile} and run `{install}` here, which lists every platform; or add it: " +
      "{add} {name}@{version}",
  },
  packedFromSources: {
    sentence:
      "The package was packed from its sources (npm pack), without the addon: it names no package that holds one, as the " +
      "published one does.",
    advice:
      "Install the published package ({add} @idioteque/redis@{version}), or put an addon that was built for this machine " +
      "into {home} as lib/{addon}.",
  },
  fileMissing: {
    sentence: "The package {name}, which holds it, is installed, but its file {addon} is missing.",
    advice:
      "Look for what leaves out or removes *.node files: .dockerignore, a tool that makes node_modules smaller, a bundler " +
      "or file tracer that copies node_modules, antivirus software. Then install again: `{install}`.",
  },
  notUnplugged: {
    sentence:
      "The package {name}, which holds it, is not unpacked: Yarn keeps the addon in .yarn/unplugged, which is not there.",
    advice: "Run `yarn install` on this machine, also where .yarn/cache is checked in.",
  },
  installedForOtherLibc: {
    sentence:
      "The package {name}, which holds it, is not installed, but {others} is: node_modules is for the other C library " +
      "of Linux (this one has {libc}).",
    advice: `${INSTALL_AGAIN} ${LOCK_AGAIN}`,
  },
  installedForOtherMachine: {
    sentence:
      "The package {name}, which holds it, is not installed, but {others} is: node_modules is for another kind of machine.",
    advice: `${INSTALL_AGAIN} ${LOCK_AGAIN}`,
  },
  notCompiled: {
    sentence: "{file} is damaged: it is not a compiled file at all.",
    advice: `${INSTALL_AGAIN} ${CLEAN_CACHE}`,
  },
  forOtherMachine: {
    sentence: "{file} is for {target}, this is {machine}.",
    advice: `${INSTALL_AGAIN} On a Mac, check that Node.js is not the one for the other kind of processor.`,
  },
  glibcTooOld: {
    sentence: "glibc is too old: the addon needs {needed}, this is {present}.",
    advice:
      "The published addon needs 2.17. One that was built from source needs what the machine that built it has, or " +
      "newer: build it on the oldest system that runs it, or use a newer system image.",
  },
  notExecutable: {
    sentence: "The system does not let it be executed.",
    advice: "Check that the file system it is on is not mounted with noexec, and that the file can be read.",
  },
  incomplete: {
    sentence: "The addon is damaged: the file is not complete.",
    advice: `${INSTALL_AGAIN} ${CLEAN_CACHE}`,
  },
  refused: {
    sentence: "The addon is there, but the system refuses to load it.",
    advice: `${INSTALL_AGAIN} If that does not help, what the loader says below tells more.`,
  },
  unknown: { sentence: "Why cannot be found out: {reason}.", advice: INSTALL_AGAIN },
};

/**
 * A text with its placeholders filled in. What is filled in is not read again.
 *
 * @param {string} text with placeholders such as `{limit}`
 * @param {Record<string, unknown>} [values] what they stand for
 * @returns {string}
 */
function fill(text, values = {}) {
  return text.replace(/\{(\w+)\}/g, (_, name) => String(values[name]));
}

/**
 * Sentence and advice of a row of `CALLS`: advice that begins with a small letter goes on behind a colon.
 *
 * @param {{ sentence: string, advice: string }} row
 * @param {Record<string, unknown>} [values] what its placeholders stand for
 * @returns {string}
 */
function messageOf({ sentence, advice }, values) {
  if (advice === "") return fill(sentence, values);
  return fill(`${sentence}${/^[a-z]/.test(advice) ? ":" : "."} ${advice}`, values);
}

/**
 * A row of `LOADING`, with its placeholders filled in.
 *
 * @param {{ sentence: string, advice: string }} row
 * @param {Record<string, unknown>} [values]
 * @returns {{ problem: string, remedy: string }}
 */
function diagnosisOf({ sentence, advice }, values) {
  return { problem: fill(sentence, values), remedy: fill(advice, values) };
}

module.exports = { CALLS, LOADING, PHRASES, diagnosisOf, fill, messageOf };
