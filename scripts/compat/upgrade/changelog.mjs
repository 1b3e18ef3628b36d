/**
 * What the changelog says to those who upgrade from the earlier release.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "../../../tooling/setup.mjs";

/**
 * All that stands above a version, as one line.
 *
 * @param {string} version
 */
export function changesSince(version) {
  const [newer, older] = readFileSync(join(ROOT, "CHANGELOG.md"), "utf8").split(`\n## ${version}\n`);
  if (older === undefined) throw new Error(`CHANGELOG.md has nothing about ${version}`);
  return newer.replace(/\s+/g, " ");
}
