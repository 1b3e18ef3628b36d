"use strict";
// From what was found to what is wrong and what to do about it, in a sentence each.

const { existsSync } = require("node:fs");
const { join } = require("node:path");
const { version, engines, optionalDependencies } = require("../../package.json");
const { LOADING, diagnosisOf, fill } = require("../error-texts.js");
const { inspectAddonFile } = require("./addon-file.js");
const { packageManagerOf } = require("./package-manager.js");
const { SUPPORTED, addonName, packageName, unpluggedFolder } = require("./packages.js");

const OLDEST_NODE = Number(/\d+/.exec(engines.node)[0]);

/**
 * @typedef {object} Findings
 * @property {import("./machine.js").Machine} machine
 * @property {string} home the directory of `index.js`
 * @property {string} [override] what the environment names in place of the addon
 * @property {string[]} said the error messages of the loader, a line each
 * @property {unknown} [loaded] what was loaded, where it cannot be used
 * @property {import("./failure.js").Candidate[]} candidates
 * @property {string[]} installed targets whose packages are installed
 */

/**
 * @param {Findings} findings
 * @returns {{ problem: string, remedy: string }}
 */
function diagnose(findings) {
  for (const rule of [
    wrongRuntime,
    switchedOff,
    replaced,
    ofOtherVersion,
    overridden,
    unsupported,
    bundled,
    notBuilt,
    packedFromSources,
    missing,
    wrongFile,
    refused,
  ]) {
    const diagnosis = rule(findings);
    if (diagnosis !== undefined) return diagnosis;
  }
  return diagnosisOf(LOADING.refused);
}

/**
 * @param {string[]} said the error messages of the loader, and what failed in finding out more
 * @returns {{ problem: string, remedy: string }}
 */
function diagnoseUnseen(said) {
  return switchedOff({ said }) ?? diagnosisOf(LOADING.unknown, { reason: said[said.length - 1] });
}

function wrongRuntime({ machine }) {
  if (process.versions.webcontainer) return diagnosisOf(LOADING.webContainer);
  return machine.node < OLDEST_NODE ? diagnosisOf(LOADING.nodeTooOld, { oldest: OLDEST_NODE }) : undefined;
}

function switchedOff({ said }) {
  if (said.some((line) => /loading addons is disabled/.test(line))) return diagnosisOf(LOADING.addonsSwitchedOff);
  return said.some((line) => /requires \w+ access/i.test(line)) ? diagnosisOf(LOADING.notPermitted) : undefined;
}

/** Loaders of bundlers make of a `.node` file its path, its content, a URL, or nothing at all. */
function replaced({ loaded }) {
  if (loaded === undefined || typeof loaded?.createRedisStore === "function") return undefined;
  return diagnosisOf(LOADING.replaced, { what: whatIs(loaded) });
}

function whatIs(value) {
  if (typeof value === "string") return `the string ${JSON.stringify(value.slice(0, 80))}`;
  if (typeof value !== "object" || value === null) return `a value of type ${typeof value}`;
  return Object.keys(value).length === 0 ? "an empty object" : "another object";
}

function ofOtherVersion({ loaded, home, override, candidates }) {
  if (loaded === undefined) return undefined;
  const { name, file } = candidates.find((candidate) => candidate.file !== undefined) ?? { name: home, file: home };
  // Those before 0.3.0 do not say it.
  const values = { name, file, home, version, found: loaded.VERSION ?? "an older one", ...packageManagerOf(home) };
  if (override) return diagnosisOf(LOADING.overrideOtherVersion, values);
  return diagnosisOf(file === name ? LOADING.builtOtherVersion : LOADING.otherVersion, values);
}

function overridden({ override, candidates }) {
  if (!override) return undefined;
  const row = candidates[0].file === undefined ? LOADING.overrideMissing : LOADING.overrideUnusable;
  return diagnosisOf(row, { file: override });
}

function unsupported({ machine }) {
  if (SUPPORTED.includes(machine.target)) return undefined;
  return diagnosisOf(LOADING.noAddonForTarget, { target: machine.target, supported: SUPPORTED.join(", ") });
}

function bundled({ home, candidates }) {
  if (candidates.some(({ file }) => file !== undefined) || existsSync(join(home, "index.d.ts"))) return undefined;
  return diagnosisOf(LOADING.bundled, { home });
}

/** A published package has neither the sources nor Cargo's manifest. */
function notBuilt({ home, candidates }) {
  if (candidates.some(({ file }) => file !== undefined)) return undefined;
  const isClone = ["core", "Cargo.toml"].every((name) => existsSync(join(home, name)));
  return isClone ? diagnosisOf(LOADING.notBuilt, { home }) : undefined;
}

/** The release writes the packages with the addon into package.json. */
function packedFromSources({ home, machine, candidates, installed }) {
  if (candidates.some(({ file }) => file !== undefined) || optionalDependencies !== undefined) return undefined;
  if (installed.length > 0) return undefined;
  const values = { home, version, addon: addonName(machine.target), ...packageManagerOf(home) };
  return diagnosisOf(LOADING.packedFromSources, values);
}

function missing({ machine, home, candidates, installed }) {
  if (candidates.some(({ file }) => file !== undefined)) return undefined;
  const name = packageName(machine.target);
  const manager = packageManagerOf(home);
  const values = { name, version, addon: addonName(machine.target), ...manager };
  if (unpluggedFolder(name, home) !== undefined) return diagnosisOf(LOADING.notUnplugged, values);
  if (installed.includes(machine.target)) return diagnosisOf(LOADING.fileMissing, values);
  const others = installed.map(packageName).join(", ");
  if (process.versions.pnp || others === "") return diagnosisOf(LOADING.notInstalled, values);
  Object.assign(values, { others, forMachine: fill(manager.forMachine, { flags: installFlags(machine) }) });
  const libcs = installed.some((target) => target.startsWith(`linux-${machine.arch}-`));
  if (!libcs) return diagnosisOf(LOADING.installedForOtherMachine, values);
  const libc = machine.libc === "musl" ? "musl, as Alpine does" : machine.libc;
  return diagnosisOf(LOADING.installedForOtherLibc, { ...values, libc });
}

function installFlags({ platform, arch, libc }) {
  return [`--os=${platform}`, `--cpu=${arch}`, ...(libc === undefined ? [] : [`--libc=${libc}`])].join(" ");
}

function wrongFile({ machine, home, candidates }) {
  const { file } = candidates.find((candidate) => candidate.file !== undefined);
  const { format, arch, systems } = inspectAddonFile(file);
  if (format === undefined) return diagnosisOf(LOADING.notCompiled, { file, ...packageManagerOf(home) });
  if (arch === machine.arch && systems.includes(machine.platform)) return undefined;
  const system = systems.includes(machine.platform) ? machine.platform : systems.join(" or ");
  const target = `${system}-${arch ?? "another processor"}`;
  return diagnosisOf(LOADING.forOtherMachine, { file, target, machine: `${machine.platform}-${machine.arch}` });
}

function refused({ machine, home, said }) {
  const needed = said.flatMap((line) => /version [`']GLIBC_([\d.]+)' not found/.exec(line)?.[1] ?? []);
  if (needed.length > 0) {
    const present = machine.libcVersion ?? "an older one";
    return diagnosisOf(LOADING.glibcTooOld, { needed: needed[0], present });
  }
  if (said.some((line) => /failed to map segment/.test(line))) return diagnosisOf(LOADING.notExecutable);
  if (said.some((line) => /file too short|past end of file|cannot read file data|invalid ELF header/.test(line))) {
    return diagnosisOf(LOADING.incomplete, packageManagerOf(home));
  }
  return undefined;
}

module.exports = { diagnose, diagnoseUnseen };
