/**
 * The table of what was tried, for the terminal and for docs/platforms.md.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { release } from "node:os";
import { join } from "node:path";
import { ROOT } from "../../../tooling/setup.mjs";
import { ELSEWHERE } from "./rows.mjs";

const PAGE = join(ROOT, "docs", "platforms.md");
const BEGIN = "<!-- tried:begin -->";
const END = "<!-- tried:end -->";

/**
 * @typedef {object} Result
 * @property {string} group
 * @property {string} title
 * @property {boolean} ok
 * @property {string} detail a version or a figure; why, when it has failed
 */

/**
 * @param {Result[]} results
 * @returns {string} Markdown
 */
export function markdownTable(results) {
  const rows = results.map(({ group, title, ok, detail }) => {
    const [line] = detail.split("\n");
    return `| ${group} | ${title.replaceAll("|", "\\|")} | ${ok ? "✓" : "✗"} | ${line.replaceAll("|", "\\|")} |`;
  });
  const elsewhere = ELSEWHERE.map(
    ([what, how]) => `| Other machines | ${what} | not here | release workflow: ${how} |`,
  );
  return ["| | what | | version, figure |", "| --- | --- | --- | --- |", ...rows, ...elsewhere].join("\n");
}

/**
 * Puts the table into the page, with the date and the machine.
 *
 * @param {Result[]} results
 */
export function writePage(results) {
  const { version } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
  const { glibcVersionRuntime } = process.report.getReport().header;
  const date = new Date().toISOString().slice(0, 10);
  const [kernel] = release().split("-");
  const machine = `${process.platform}-${process.arch}, glibc ${glibcVersionRuntime}, kernel ${kernel}`;
  const caption = `${date}, @idioteque/redis ${version} on ${machine}.`;
  const page = readFileSync(PAGE, "utf8");
  const [before, after] = [page.slice(0, page.indexOf(BEGIN)), page.slice(page.indexOf(END))];
  writeFileSync(PAGE, `${before}${BEGIN}\n\n${markdownTable(results)}\n\n${caption}\n\n${after}`);
}
