/**
 * Writes the figures of a run into the documentation, between the two lines that mark their place, so that none of them is
 * written by hand: the headlines into the README, all of them into docs/performance.md.
 *
 * node bench/report.mjs results.json
 */
import { readFile, writeFile } from "node:fs/promises";
import { describeRun, formatFigure, formatRatio, HEADLINES, verdict } from "./figures.mjs";
import { contenders } from "./rivals.mjs";

const BEGIN = "<!-- bench:begin -->";
const END = "<!-- bench:end -->";
const ARROWS = "↑ more is better, ↓ less is better.";

/**
 * @param {object} report what `run.mjs --json` wrote
 * @returns {string} its headline cases against the baseline, in Markdown
 * @throws {Error} when one of them was not measured
 */
function renderHeadlines(report) {
  const cases = HEADLINES.map((name) => {
    const found = report.cases.find((one) => one.name === name);
    if (!found) throw new Error(`the README shows the case ${name}, which was not measured`);
    return found;
  });
  const rows = cases.map((one) => [`${one.title} ${arrow(one)}`, ...comparison(one)]);
  return [...table(["", "ours", "baseline", "ours ÷ baseline"], rows), "", ARROWS, describeRun(report).join(" ")].join(
    "\n",
  );
}

/**
 * @param {object} report what `run.mjs --json` wrote
 * @returns {string} all its cases, against everybody, in Markdown
 */
function renderAll(report) {
  const rivals = [...new Set(report.cases.flatMap((one) => Object.keys(one.rivals)))];
  const header = ["", "ours", "baseline", "ours ÷ baseline", ...rivals.map((rival) => `÷ ${contenders[rival].title}`)];
  const rows = report.cases.map((one) => [
    `${one.title} ${arrow(one)}<br><sub>${one.name}</sub>`,
    ...comparison(one),
    ...rivals.map((rival) => (one.rivals[rival] ? formatRatio(one.rivals[rival].ratio) : "")),
  ]);
  const note = `${ARROWS} The baseline is the reference store on ioredis, except where a row names another.`;
  return [...table(header, rows), "", note, describeRun(report).join(" ")].join("\n");
}

function comparison({ ours, baseline, unit, ratio, better }) {
  const shown = formatRatio(ratio);
  const figures = [ours, baseline].map((figure) => `${formatFigure(figure)} ${unit}`);
  return [...figures, verdict(ratio, better) === "better" ? `**${shown}**` : shown];
}

function arrow({ better }) {
  return better === "higher" ? "↑" : "↓";
}

function table(header, rows) {
  const line = (cells) => `| ${cells.join(" | ")} |`;
  return [line(header), line(header.map((_, column) => (column === 0 ? "---" : "---:"))), ...rows.map(line)];
}

/**
 * @param {string} page
 * @param {string} block
 * @returns {string} the page with the block in its place
 * @throws {Error} when the place is not marked
 */
function fillBlock(page, block) {
  const begin = page.indexOf(BEGIN);
  const end = page.indexOf(END);
  if (begin === -1 || end < begin) throw new Error(`the file needs the lines ${BEGIN} and ${END}, in this order`);
  return `${page.slice(0, begin + BEGIN.length)}\n\n${block}\n\n${page.slice(end)}`;
}

const [results] = process.argv.slice(2);
if (!results) throw new Error("usage: node bench/report.mjs results.json");
const report = JSON.parse(await readFile(results, "utf8"));
for (const [name, block] of Object.entries({
  "README.md": renderHeadlines(report),
  "docs/performance.md": renderAll(report),
})) {
  const page = new URL(`../${name}`, import.meta.url);
  await writeFile(page, fillBlock(await readFile(page, "utf8"), block));
}
