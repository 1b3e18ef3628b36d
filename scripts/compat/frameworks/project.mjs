/**
 * Projects as users have them: in a temporary folder, with the package from a registry that has what was packed here,
 * because links into this checkout would hide what the packages lack.
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DEADLINES, execute } from "../../../tooling/execute.mjs";
import { cached } from "../../../tooling/workspace.mjs";

/**
 * Installs a project's dependencies.
 *
 * @param {string} home the project's directory
 * @param {object} manifest its `package.json`
 * @param {string} registry the URL of the registry that has our packages
 */
export async function install(home, manifest, registry) {
  mkdirSync(home, { recursive: true });
  writeFileSync(join(home, "package.json"), `${JSON.stringify({ private: true, ...manifest }, null, 2)}\n`);
  writeFileSync(join(home, ".npmrc"), `@idioteque:registry=${registry}\nignore-scripts=true\n`);
  const args = ["install", "--no-audit", "--no-fund", "--prefer-offline", "--cache", cached("npm-cache")];
  await execute("npm", args, { cwd: home, deadline: DEADLINES.install });
}

/** @param {string} path */
export function readJson(path) {
  return JSON.parse(readFileSync(path, "utf8"));
}
