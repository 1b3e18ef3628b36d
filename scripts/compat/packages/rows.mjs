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

/**
 * What needs a machine of its own, and how the release workflow tests it there. What `npm run test:platforms` finds of it here is in
 * the page's other table.
 */
export const ELSEWHERE = [
  ["Linux with musl, x64 and arm64", "built in Alpine, all tests there"],
  ["Linux arm64, macOS x64 and arm64", "all tests on such a machine"],
  [
    "Windows x64 and arm64",
    "the Rust tests, and that the addon is loaded, also by worker threads alone, and makes stores; Redis does not run there",
  ],
  ["Linux armv7", "the checks of the runtimes above, in an emulator"],
  ["FreeBSD x64", "the Rust tests and the checks of the runtimes above, in a virtual machine"],
  ["Android arm64", "built, and tried by nobody"],
];
