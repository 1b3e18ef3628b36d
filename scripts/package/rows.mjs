/**
 * The rows of the table of platforms: what is tried here, and what cannot be.
 */
import { INSTALLER_ROWS } from "./rows/installers.mjs";
import { PACKAGE_ROWS } from "./rows/packages.mjs";
import { RUNNER_ROWS } from "./rows/runners.mjs";
import { RUNTIME_ROWS } from "./rows/runtimes.mjs";

/**
 * @typedef {object} Row
 * @property {string} name for `--only`
 * @property {string} title
 * @property {(context: import("./projects.mjs").Context) => Promise<string>} run resolves with a version or a figure
 *   when it has worked
 */

/** @type {[title: string, rows: Row[]][]} */
export const GROUPS = [
  ["Packages", PACKAGE_ROWS],
  ["Runtimes", RUNTIME_ROWS],
  ["Package managers", INSTALLER_ROWS],
  ["Test runners", RUNNER_ROWS],
];
