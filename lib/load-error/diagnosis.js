"use strict";
// From what was found to what is wrong and what to do about it, in a sentence each.

const { existsSync } = require("node:fs");
const { join } = require("node:path");
const { version, engines } = require("../../package.json");
const { inspectAddonFile } = require("./addon-file.js");
const { SUPPORTED, packageName } = require("./packages.js");

const INSTALL_AGAIN =
  "Delete node_modules and install again on the machine, or in the image, that runs it; do not copy it there.";
const OLDEST_NODE = Number(/\d+/.exec(engines.node)[0]);

/**
 * @typedef {object} Findings
 * @property {import("./machine.js").Machine} machine
 * @property {string} home the directory of `index.js`
 * @property {string} [override] what the environment names in place of the addon
 * @property {string[]} said the error messages of the loader, a line each
 * @property {import("./failure.js").Candidate[]} candidates
 * @property {string[]} installed targets whose packages are installed
 */

/**
 * @param {Findings} findings
 * @returns {{ problem: string, remedy: string }}
 */
function diagnose(findings) {
  for (const rule of [wrongRuntime, switchedOff, overridden, unsupported, bundled, missing, wrongFile, refused]) {
    const diagnosis = rule(findings);
    if (diagnosis !== undefined) return diagnosis;
  }
  return {
    problem: "The addon is there, but the system refuses to load it.",
    remedy: `${INSTALL_AGAIN} If that does not help, what the loader says below tells more.`,
  };
}

/**
 * @param {string[]} said the error messages of the loader, and what failed in finding out more
 * @returns {{ problem: string, remedy: string }}
 */
function diagnoseUnseen(said) {
  return (
    switchedOff({ said }) ?? { problem: `Why cannot be found out: ${said[said.length - 1]}.`, remedy: INSTALL_AGAIN }
  );
}

function wrongRuntime({ machine }) {
  if (process.versions.webcontainer) {
    return {
      problem: "Node.js in a browser tab (WebContainers) cannot load native addons.",
      remedy: "Run it on a machine of its own.",
    };
  }
  if (!(machine.node < OLDEST_NODE)) return undefined;
  return {
    problem: `This Node.js is too old: ${OLDEST_NODE} or later is needed.`,
    remedy: "Install a newer Node.js.",
  };
}

function switchedOff({ said }) {
  if (said.some((line) => /loading addons is disabled/.test(line))) {
    return {
      problem: "Native addons are switched off in this process.",
      remedy: "Start Node.js without --no-addons; with the permission model, add --allow-addons.",
    };
  }
  if (!said.some((line) => /requires \w+ access/i.test(line))) return undefined;
  return {
    problem: "This process may not load native addons.",
    remedy: "Start Deno with --allow-ffi --allow-read --allow-env, or with -A.",
  };
}

function overridden({ override, candidates }) {
  if (!override) return undefined;
  const state = candidates[0].file === undefined ? "is not there" : "cannot be loaded";
  return {
    problem: `NAPI_RS_NATIVE_LIBRARY_PATH names ${override}, which ${state}.`,
    remedy: "Unset NAPI_RS_NATIVE_LIBRARY_PATH, or let it name an addon that was built for this machine.",
  };
}

function unsupported({ machine }) {
  if (SUPPORTED.includes(machine.target)) return undefined;
  return {
    problem: `There is no addon for ${machine.target}; there is one for ${SUPPORTED.join(", ")}.`,
    remedy: "Use one of those, or build the addon from source on this machine with `npm run build`.",
  };
}

function bundled({ home, candidates }) {
  if (candidates.some(({ file }) => file !== undefined) || existsSync(join(home, "index.d.ts"))) return undefined;
  return {
    problem: `This is a copy of the package's code in ${home}, without the addon: a bundler has taken it in.`,
    remedy:
      'Keep "@idioteque/redis" out of the bundle: serverExternalPackages in Next.js, external in esbuild and Rollup, ' +
      "externals in webpack, ssr.external in Vite; and ship node_modules with it.",
  };
}

function missing({ machine, candidates, installed }) {
  if (candidates.some(({ file }) => file !== undefined)) return undefined;
  const name = packageName(machine.target);
  const others = installed.map(packageName).join(", ");
  const reinstall = "delete node_modules and package-lock.json and run `npm install` here, which lists every platform";
  if (process.versions.pnp || others === "") {
    return {
      problem:
        `The package ${name}, which holds it, is not installed: optional dependencies were left out ` +
        "(--omit=optional, --no-optional, or a setting), or the lock file was written on another kind of machine " +
        "and lists only that one's.",
      remedy:
        "Install with optional dependencies (npm install --include=optional). If the lock file lacks it, " +
        `${reinstall}; or add it: npm install --save-optional ${name}@${version}`,
    };
  }
  const libcs = installed.some((target) => target.startsWith(`linux-${machine.arch}-`));
  const where = libcs
    ? `the other C library of Linux (this one has ${machine.libc}${machine.libc === "musl" ? ", as Alpine does" : ""})`
    : "another kind of machine";
  return {
    problem: `The package ${name}, which holds it, is not installed, but ${others} is: node_modules is for ${where}.`,
    remedy:
      `${INSTALL_AGAIN} If that does not help, the lock file is to blame: ${reinstall}. ` +
      `To install for this machine elsewhere: npm install ${installFlags(machine)}`,
  };
}

function installFlags({ platform, arch, libc }) {
  return [`--os=${platform}`, `--cpu=${arch}`, ...(libc === undefined ? [] : [`--libc=${libc}`])].join(" ");
}

function wrongFile({ machine, candidates }) {
  const { file } = candidates.find((candidate) => candidate.file !== undefined);
  const { format, arch, systems } = inspectAddonFile(file);
  if (format === undefined) {
    return {
      problem: `${file} is damaged: it is not a compiled file at all.`,
      remedy: `${INSTALL_AGAIN} If it happens again, clean the package manager's cache (npm cache clean --force).`,
    };
  }
  if (arch === machine.arch && systems.includes(machine.platform)) return undefined;
  const target = systems.includes(machine.platform) ? machine.platform : systems.join(" or ");
  return {
    problem: `${file} is for ${target}-${arch ?? "another processor"}, this is ${machine.platform}-${machine.arch}.`,
    remedy: `${INSTALL_AGAIN} On a Mac, check that Node.js is not the one for the other kind of processor.`,
  };
}

function refused({ machine, said }) {
  const needed = said.flatMap((line) => /version [`']GLIBC_([\d.]+)' not found/.exec(line)?.[1] ?? []);
  if (needed.length > 0) {
    return {
      problem: `glibc is too old: the addon needs ${needed[0]}, this is ${machine.libcVersion ?? "an older one"}.`,
      remedy:
        "The published addon needs 2.17. One that was built from source needs what the machine that built it has, or " +
        "newer: build it on the oldest system that runs it, or use a newer system image.",
    };
  }
  if (said.some((line) => /failed to map segment/.test(line))) {
    return {
      problem: "The system does not let it be executed.",
      remedy: "Check that the file system it is on is not mounted with noexec, and that the file can be read.",
    };
  }
  if (said.some((line) => /file too short|past end of file|cannot read file data|invalid ELF header/.test(line))) {
    return {
      problem: "The addon is damaged: the file is not complete.",
      remedy: `${INSTALL_AGAIN} If it happens again, clean the package manager's cache (npm cache clean --force).`,
    };
  }
  return undefined;
}

module.exports = { diagnose, diagnoseUnseen };
