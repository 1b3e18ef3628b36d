/**
 * The oldest glibc that an addon can be loaded with: the newest version among the symbols that it asks for.
 * `node scripts/release/glibc-floor.mjs FILE…` fails when one needs more than 2.17.
 */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

/** What the published addons for glibc ask for: the glibc of RHEL 7, the oldest that Node.js 16 runs with. */
export const GLIBC_FLOOR = "2.17";

/**
 * @param {string} file
 * @returns {string} a version such as `2.17`; `0` when it asks for none
 */
export function neededGlibc(file) {
  const { status, stdout, stderr, error } = spawnSync("objdump", ["-T", file], { encoding: "utf8", timeout: 60_000 });
  if (status !== 0) throw new Error(`objdump -T ${file} failed: ${error?.message ?? stderr}`);
  const versions = [...stdout.matchAll(/GLIBC_(\d+(?:\.\d+)+)/g)].map((match) => match[1]);
  return versions.reduce((newest, version) => (isNewer(version, newest) ? version : newest), "0");
}

/**
 * @param {string} file
 * @returns {string} what it needs
 * @throws {Error} when that is more than the floor
 */
export function assertGlibcFloor(file) {
  const needed = neededGlibc(file);
  if (isNewer(needed, GLIBC_FLOOR)) throw new Error(`${file} needs glibc ${needed}; the floor is ${GLIBC_FLOOR}`);
  return needed;
}

function isNewer(version, other) {
  const [parts, others] = [version, other].map((text) => text.split(".").map(Number));
  const at = parts.findIndex((part, index) => part !== (others[index] ?? 0));
  return at >= 0 && parts[at] > (others[at] ?? 0);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const file of process.argv.slice(2)) console.log(`${file}: glibc ${assertGlibcFloor(file)}`);
}
