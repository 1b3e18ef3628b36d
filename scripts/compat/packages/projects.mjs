/**
 * Empty projects that a user could have, with the checks of `project/` in them.
 */
import { cpSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { DEADLINES, execute } from "../../../tooling/execute.mjs";
import { temporary } from "../../../tooling/workspace.mjs";

const CHECKS = fileURLToPath(new URL("project", import.meta.url));

/**
 * @typedef {object} Context what every row of the table is given
 * @property {string} addon the path of the addon
 * @property {Awaited<ReturnType<import("../../release/stage.mjs").stageRelease>>} release
 * @property {string} registry the URL of the registry that has our packages
 * @property {string} redisUrl
 * @property {() => Promise<string>} npmProject a project in which npm has installed the package
 */

/**
 * Makes a project.
 *
 * @param {string} name
 * @param {object} [manifest] more for its `package.json`
 * @returns {string} its directory
 */
export function emptyProject(name, manifest = {}) {
  const home = temporary(name);
  cpSync(CHECKS, home, { recursive: true });
  writeFileSync(join(home, "package.json"), JSON.stringify({ name, private: true, ...manifest }, undefined, 2));
  return home;
}

/**
 * Installs the package with npm, without install scripts. In its cache there is nothing of an earlier run.
 *
 * @param {string} name of the project
 * @param {Context} context
 * @param {string[]} [flags]
 * @returns {Promise<string>} the project's directory
 */
export async function installWithNpm(name, { registry, release }, flags = []) {
  const home = emptyProject(name);
  writeFileSync(join(home, ".npmrc"), `@idioteque:registry=${registry}\nignore-scripts=true\n`);
  const args = ["install", "--no-audit", "--no-fund", "--cache", temporary(`${name}-cache`), ...flags];
  await execute("npm", [...args, `${release.main.manifest.name}@${release.main.manifest.version}`], {
    cwd: home,
    deadline: DEADLINES.install,
  });
  return home;
}

/**
 * Runs one of the checks and fails unless it prints that it has checked, and ends.
 *
 * @param {string} home of the project
 * @param {string[]} command a program and its arguments
 * @param {Context} context
 */
export async function check(home, [command, ...args], { redisUrl }) {
  const output = await execute(command, args, { cwd: home, env: { ...process.env, REDIS_URL: redisUrl } });
  if (!/^checked$/m.test(output)) throw new Error(`${command} ${args.join(" ")} has checked nothing:\n${output}`);
}
