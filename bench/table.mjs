/**
 * The table of ratios on the terminal.
 */
import { formatFigure, formatRatio, verdict } from "./figures.mjs";
import { contenders } from "./rivals.mjs";

/**
 * @param {import("./rounds.mjs").CaseResult[]} cases
 * @param {ReturnType<typeof import("../tooling/terminal.mjs").createTerminal>} terminal its colours are used
 * @returns {string}
 */
export function renderTable(cases, { green, red, dim }) {
  const plain = (text) => text;
  const colours = { better: green, even: plain, worse: red };
  const judged = (ratio, better) => [formatRatio(ratio), colours[verdict(ratio, better)]];

  const rivals = [...new Set(cases.flatMap((one) => Object.keys(one.rivals)))];
  const header = ["case", "ours", "baseline", "ours ÷ baseline", "spread", ...rivals.map((rival) => `÷ ${rival}`)];
  const rows = cases.map(({ name, unit, better, ours, baseline, ratio, spread, rivals: measured }) => [
    [`${name} ${better === "higher" ? "↑" : "↓"}`, plain],
    [`${formatFigure(ours)} ${unit}`, plain],
    [`${formatFigure(baseline)} ${unit}`, plain],
    judged(ratio, better),
    [`${formatRatio(spread.ratio.min)} … ${formatRatio(spread.ratio.max)}`, dim],
    ...rivals.map((rival) => (measured[rival] ? judged(measured[rival].ratio, better) : ["", plain])),
  ]);

  const widths = header.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column][0].length)));
  const align = (text, column) => (column === 0 ? text.padEnd(widths[column]) : text.padStart(widths[column]));
  const lines = rows.map((row) => row.map(([text, colour], column) => colour(align(text, column))).join("  "));
  return [
    dim(header.map(align).join("  ")),
    ...lines,
    "",
    dim("↑ more is better, ↓ less is better. Medians over the rounds; the spread is that of the ratio between rounds."),
    dim("The baseline is the reference store on ioredis."),
    ...otherBaselines(cases).map(dim),
  ].join("\n");
}

/** What stands in for the baseline in the cases that are not compared with the reference store. */
function otherBaselines(cases) {
  return cases
    .filter(({ baselineName }) => !contenders[baselineName])
    .map(({ name, baselineName }) => `For ${name} it is: ${baselineName}.`);
}
