/**
 * Draws the headline cases as an SVG that is readable on light and on dark pages.
 *
 * node bench/chart.mjs results.json docs/bench.svg
 *
 * Bars and lines of text, written by hand: Observable Plot needs a DOM, which Node.js does not have, and Vega-Lite writes a
 * fixed colour into each shape, where this one file follows the page's scheme. Either is some eighty packages.
 */
import { readFile, writeFile } from "node:fs/promises";
import { describeRun, formatFigure, formatRatio, HEADLINES } from "./figures.mjs";
import { contenders } from "./rivals.mjs";

// All in pixels.
const MARGIN = 28;
const GAP = 40;
const PANEL_WIDTH = 420;
const NAME_WIDTH = 148;
const VALUE_WIDTH = 112;
const BAR_WIDTH = PANEL_WIDTH - NAME_WIDTH - VALUE_WIDTH;
const BAR_HEIGHT = 14;
const BAR_STEP = 22;
const PANEL_HEAD = 46;
const HEAD = 64;
const FOOT = 52;
const WIDTH = 2 * MARGIN + 2 * PANEL_WIDTH + GAP;

const STYLE = `
  svg { font-family: system-ui, -apple-system, "Segoe UI", "Noto Sans", Helvetica, Arial, sans-serif; font-size: 12px }
  .page { fill: #ffffff } .text { fill: #1f2328 } .faint { fill: #59636e }
  .bar { fill: #afb8c1 } .baseline { fill: #818b98 } .ours { fill: #0969da } .spread { stroke: #1f2328 }
  .head { font-size: 17px; font-weight: 600 } .title { font-size: 13px; font-weight: 600 } .strong { font-weight: 600 }
  @media (prefers-color-scheme: dark) {
    .page { fill: #0d1117 } .text { fill: #f0f6fc } .faint { fill: #9198a1 }
    .bar { fill: #3d444d } .baseline { fill: #656c76 } .ours { fill: #4493f8 } .spread { stroke: #f0f6fc }
  }`;

/**
 * @param {object} report what `run.mjs --json` wrote
 * @returns {string} the SVG
 * @throws {Error} when the report has none of the cases that are drawn
 */
function renderChart(report) {
  const cases = HEADLINES.map((name) => report.cases.find((one) => one.name === name)).filter(Boolean);
  if (cases.length === 0) throw new Error(`the report has none of these cases: ${HEADLINES.join(", ")}`);

  const rows = [];
  for (let i = 0; i < cases.length; i += 2) rows.push(cases.slice(i, i + 2));
  const panels = [];
  let top = HEAD;
  for (const row of rows) {
    panels.push(...row.map((one, column) => panel(one, MARGIN + column * (PANEL_WIDTH + GAP), top)));
    top += Math.max(...row.map((one) => PANEL_HEAD + barsOf(one).length * BAR_STEP)) + GAP / 2;
  }
  const height = top + FOOT;
  const notes = [
    "Medians; × compares with the reference store on ioredis, thin lines span the rounds.",
    ...describeRun(report),
  ];

  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img">`,
    `<title>${escapeXml(`Benchmark of ${contenders.ours.title}`)}</title>`,
    `<desc>${escapeXml(cases.map(inWords).join(" "))}</desc>`,
    `<style>${STYLE}\n</style>`,
    `<rect class="page" width="${WIDTH}" height="${height}" rx="8"/>`,
    text(MARGIN, 36, "head text", `${contenders.ours.title} against other clients`),
    ...panels,
    ...notes.map((note, line) => text(MARGIN, top + 10 + line * 16, "faint", note)),
    "</svg>",
    "",
  ].join("\n");
}

/** One case: a bar for each contender, ours first. */
function panel(one, left, top) {
  const bars = barsOf(one);
  const longest = Math.max(...bars.map(({ spread }) => spread.max));
  const lengthOf = (value) => Math.max(1, (value / longest) * BAR_WIDTH);
  const hint = `${one.unit}, ${one.better === "higher" ? "more" : "less"} is better`;

  const drawn = bars.map(({ name, kind, value, spread }, index) => {
    const y = top + PANEL_HEAD + index * BAR_STEP;
    const middle = y + BAR_HEIGHT / 2;
    const start = left + NAME_WIDTH;
    const weight = kind === "ours" ? "text strong" : "text";
    const ratio = kind === "baseline" ? "" : ` · ${formatRatio(value / one.baseline)}`;
    return [
      text(start - 8, middle + 4, weight, name, "end"),
      `<rect class="${kind}" x="${start}" y="${y}" width="${round(lengthOf(value))}" height="${BAR_HEIGHT}" rx="2"/>`,
      `<path class="spread" d="M${round(start + lengthOf(spread.min))} ${middle}H${round(start + lengthOf(spread.max))}"/>`,
      text(round(start + lengthOf(spread.max) + 8), middle + 4, weight, formatFigure(value) + ratio),
    ].join("\n");
  });
  return [text(left, top + 14, "title text", one.title), text(left, top + 32, "faint", hint), ...drawn].join("\n");
}

function barsOf(one) {
  return [
    { name: contenders.ours.title, kind: "ours", value: one.ours, spread: one.spread.ours },
    { name: contenders[one.baselineName].title, kind: "baseline", value: one.baseline, spread: one.spread.baseline },
    ...Object.entries(one.rivals).map(([rival, { value, spread }]) => ({
      name: contenders[rival].title,
      kind: "bar",
      value,
      spread,
    })),
  ];
}

function inWords({ title, ours, baseline, ratio, unit }) {
  const values = `${formatFigure(ours)} ${unit}, ioredis ${formatFigure(baseline)} ${unit}`;
  return `${title}: ${values}, ratio ${formatRatio(ratio)}.`;
}

function text(x, y, classes, content, anchor = "start") {
  return `<text class="${classes}" x="${x}" y="${y}" text-anchor="${anchor}">${escapeXml(content)}</text>`;
}

function round(pixels) {
  return Math.round(pixels * 10) / 10;
}

function escapeXml(content) {
  return content.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}

const [results, svg] = process.argv.slice(2);
if (!svg) throw new Error("usage: node bench/chart.mjs results.json chart.svg");
await writeFile(svg, renderChart(JSON.parse(await readFile(results, "utf8"))));
