/**
 * Writes the figures of a run into the README, between the two lines that mark their place, so that none of them is
 * written by hand.
 *
 * node bench/report.mjs results.json [README.md]
 */
import { readFile, writeFile } from "node:fs/promises";
import { describeRun, formatFigure, formatRatio, verdict } from "./figures.mjs";
import { contenders } from "./rivals.mjs";

const BEGIN = "<!-- bench:begin -->";
const END = "<!-- bench:end -->";

/**
 * @param {object} report what `run.mjs --json` wrote
 * @returns {string} a table in Markdown and on what it was measured
 */
function renderReport(report) {
  const rivals = [...new Set(report.cases.flatMap((one) => Object.keys(one.rivals)))];
  const header = ["", "ours", "baseline", "ours ÷ baseline", ...rivals.map((rival) => `÷ ${contenders[rival].title}`)];
  const rows = report.cases.map((one) => [
    `${one.title} ${one.better === "higher" ? "↑" : "↓"}<br><sub>${one.name}</sub>`,
    `${formatFigure(one.ours)} ${one.unit}`,
    `${formatFigure(one.baseline)} ${one.unit}`,
    emphasised(one.ratio, one.better),
    ...rivals.map((rival) => (one.rivals[rival] ? formatRatio(one.rivals[rival].ratio) : "")),
  ]);
  const line = (cells) => `| ${cells.join(" | ")} |`;
  return [
    line(header),
    line(header.map((_, column) => (column === 0 ? "---" : "---:"))),
    ...rows.map(line),
    "",
    "↑ more is better, ↓ less is better. The baseline is the reference store on ioredis, except where a row names another.",
    `${describeRun(report).join(" ")}`,
  ].join("\n");
}

/**
 * @param {string} readme
 * @param {string} block
 * @returns {string} the README with the block in its place
 * @throws {Error} when the place is not marked
 */
function fillBlock(readme, block) {
  const begin = readme.indexOf(BEGIN);
  const end = readme.indexOf(END);
  if (begin === -1 || end < begin) throw new Error(`the file needs the lines ${BEGIN} and ${END}, in this order`);
  return `${readme.slice(0, begin + BEGIN.length)}\n\n${block}\n\n${readme.slice(end)}`;
}

function emphasised(ratio, better) {
  return verdict(ratio, better) === "better" ? `**${formatRatio(ratio)}**` : formatRatio(ratio);
}

const [results, readme = new URL("../README.md", import.meta.url)] = process.argv.slice(2);
if (!results) throw new Error("usage: node bench/report.mjs results.json [README.md]");
const report = JSON.parse(await readFile(results, "utf8"));
await writeFile(readme, fillBlock(await readFile(readme, "utf8"), renderReport(report)));
