/**
 * The table of what was run for each target, and what was only checked, for the terminal and for docs/platforms.md.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "../../../tooling/setup.mjs";

const PAGE = join(ROOT, "docs", "platforms.md");
const BEGIN = "<!-- platforms:begin -->";
const END = "<!-- platforms:end -->";
/** What is said of a target that was never tried. */
const UNTRIED = "neither built nor checked";
const HEADER = [
  ["system", "built as", "Node.js", "how"],
  ["require, import", "worker threads", "contract suite"],
  ["package", "Rust", "date"],
].flat();

/**
 * One line of the table. It says of what it was found, because a run of some targets leaves the lines of the others as they are.
 *
 * @param {{ title: string, triple: string, built?: string }} target
 * @param {{ node?: string, how: string, loading?: string, workers?: string, contract?: string }} outcome
 * @param {string} [rust] the version; none where nothing was compiled
 */
export function row({ title, triple, built = triple }, { node, how, loading, workers, contract }, rust) {
  const { version } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
  const date = new Date().toISOString().slice(0, 10);
  const found = [node, how, loading, workers, contract, rust && version, rust];
  return [title, `\`${built}\``, ...found.map((cell) => cell ?? "–"), date];
}

/** @param {string[][]} rows */
export function markdown(rows) {
  return [HEADER, HEADER.map(() => "---"), ...rows].map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}

/**
 * Puts rows into the page. Those of targets that were left out this time stay as they are; of those that were always left out
 * the table says so.
 *
 * @param {string[][]} rows
 * @param {Parameters<typeof row>[0][]} targets all of them, in the order of the table
 */
export function writePage(rows, targets) {
  const page = readFileSync(PAGE, "utf8");
  const [begin, end] = [page.indexOf(BEGIN), page.indexOf(END)];
  if (begin < 0 || end < begin) throw new Error(`${PAGE} has no ${BEGIN} before its ${END}`);
  const earlier = page
    .slice(begin, end)
    .split("\n")
    .filter((line) => line.startsWith("| "))
    .map((line) => line.slice(2, -2).split(" | "));
  const lines = targets.map((target) => {
    const found = [...rows, ...earlier].find(([first]) => first === target.title);
    return found ?? row(target, { how: UNTRIED });
  });
  const caption = "Compiled by the Rust of Debian sid, without LTO and with `opt-level=1`.";
  writeFileSync(PAGE, `${page.slice(0, begin)}${BEGIN}\n\n${markdown(lines)}\n\n${caption}\n\n${page.slice(end)}`);
}
