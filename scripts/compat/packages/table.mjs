/**
 * The table of what was tried, for the terminal and for the pages of the documentation.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { release } from "node:os";
import { join } from "node:path";
import { ROOT } from "../../../tooling/setup.mjs";
import { ELSEWHERE } from "./rows.mjs";

const PAGE = join(ROOT, "docs", "platforms.md");

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
    ([what, how]) => `| Other machines | ${what} | next table | release workflow: ${how} |`,
  );
  return ["| | what | | version, figure |", "| --- | --- | --- | --- |", ...rows, ...elsewhere].join("\n");
}

/**
 * Puts the table into docs/platforms.md.
 *
 * @param {Result[]} results
 */
export function writePage(results) {
  writeTable(PAGE, "tried", markdownTable(results));
}

/**
 * Puts a table into a page, between the comments that say where it begins and ends, with the date and the machine.
 *
 * @param {string} page its path
 * @param {string} name of the comments
 * @param {string} table
 */
export function writeTable(page, name, table) {
  const { version } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
  const { glibcVersionRuntime } = process.report.getReport().header;
  const date = new Date().toISOString().slice(0, 10);
  const [kernel] = release().split("-");
  const machine = `${process.platform}-${process.arch}, glibc ${glibcVersionRuntime}, kernel ${kernel}`;
  const caption = `${date}, @idioteque/redis ${version} on ${machine}.`;
  const [begin, end] = [`<!-- ${name}:begin -->`, `<!-- ${name}:end -->`];
  const text = readFileSync(page, "utf8");
  const [from, to] = [text.indexOf(begin), text.indexOf(end)];
  if (from < 0 || to < from) throw new Error(`${page} has no place for the table ${name}`);
  writeFileSync(page, `${text.slice(0, from)}${begin}\n\n${table}\n\n${caption}\n\n${text.slice(to)}`);
}
