/**
 * A project with both releases in it, each under its own name, installed by npm from a registry that has what was packed: as in a
 * project that upgrades step by step.
 */
import { createRequire } from "node:module";
import { join } from "node:path";
import { temporary } from "../../../tooling/workspace.mjs";
import { install } from "../frameworks/project.mjs";
import { startRegistry } from "../packages/registry.mjs";

/**
 * @typedef {object} Side one of the two releases, as it is installed
 * @property {"earlier" | "current"} name
 * @property {string} version
 * @property {string} home its directory
 * @property {typeof import("../../../index.js")} lib what `require` gives
 * @property {object} manifest
 * @property {string[]} files in its package
 */

/**
 * @param {import("./earlier.mjs").Earlier} earlier
 * @param {Awaited<ReturnType<import("../../release/stage.mjs").stageRelease>>} release the current one
 * @returns {Promise<{ home: string, earlier: Side, current: Side }>}
 */
export async function installBoth(earlier, release) {
  const current = [release.main, release.platform, ...release.others];
  const [{ manifest: before }] = earlier.packages;
  const { manifest: now } = release.main;
  if (before.version === now.version)
    throw new Error(`The earlier release has the version of this one, ${now.version}`);
  const registry = await startRegistry([...earlier.packages, ...current]);
  const home = temporary("upgrade");
  try {
    const dependencies = { [now.name]: now.version, earlier: `npm:${before.name}@${before.version}` };
    await install(home, { name: "upgrade", dependencies }, registry.url);
  } finally {
    registry.stop();
  }
  const require = createRequire(join(home, "package.json"));
  const side = (name, dependency, { manifest, files }) => ({
    name,
    version: manifest.version,
    home: join(home, "node_modules", dependency),
    lib: require(dependency),
    manifest,
    files,
  });
  return {
    home,
    earlier: side("earlier", "earlier", earlier.packages[0]),
    current: side("current", now.name, current[0]),
  };
}
