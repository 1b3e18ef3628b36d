"use strict";
// The packages that hold the addon, one for each kind of machine, and which of them are installed.

const { existsSync, readdirSync } = require("node:fs");
const { createRequire, findPnpApi } = require("node:module");
const { join } = require("node:path");

/** The kinds of machine that there is an addon for; as `napi.targets` of package.json has them. */
const SUPPORTED = [
  "linux-x64-gnu",
  "linux-x64-musl",
  "linux-arm64-gnu",
  "linux-arm64-musl",
  "linux-arm-gnueabihf",
  "darwin-x64",
  "darwin-arm64",
  "win32-x64-msvc",
  "win32-arm64-msvc",
  "freebsd-x64",
  "android-arm64",
];

const SCOPE = "@idioteque";
const PREFIX = "redis-";

/** @param {string} target such as `linux-x64-gnu` */
function packageName(target) {
  return `${SCOPE}/${PREFIX}${target}`;
}

/** The name of a target's addon. */
function addonName(target) {
  return `idioteque-redis.${target}.node`;
}

/**
 * The targets whose packages can be found from a directory, whichever machine they are for.
 *
 * @param {string} home
 * @returns {string[]}
 */
function installedPackages(home) {
  const folders = createRequire(join(home, "index.js")).resolve.paths(SCOPE) ?? [];
  const names = folders.flatMap((folder) => namesIn(join(folder, SCOPE)));
  return SUPPORTED.filter((target) => names.includes(PREFIX + target));
}

function namesIn(folder) {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

/**
 * Where Yarn's Plug'n'Play expects a package that it unpacks, if there is nothing.
 *
 * @param {string} name
 * @param {string} home
 * @returns {string | undefined} also where Plug'n'Play does not know the package
 */
function unpluggedFolder(name, home) {
  if (!process.versions.pnp) return undefined;
  try {
    const folder = findPnpApi(home).resolveToUnqualified(name, join(home, "index.js"));
    return existsSync(folder) ? undefined : folder;
  } catch {
    return undefined;
  }
}

module.exports = { SUPPORTED, addonName, installedPackages, packageName, unpluggedFolder };
