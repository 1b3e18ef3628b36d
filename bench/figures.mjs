/**
 * How figures are written for people, in the terminal, in the documentation and in the chart alike, and which of them come
 * first.
 */

/** The cases that the README and the chart show, in reading order. */
export const HEADLINES = [
  "throughput-256",
  "latency-1",
  "loop-time-256",
  "cpu-256",
  "workflow-isolated",
  "workflow-until-error",
  "results-20000",
  "cold-start",
];

/**
 * Three significant digits, thousands in steps of k and M.
 *
 * @param {number} value
 * @returns {string}
 */
export function formatFigure(value) {
  const size = Math.abs(value);
  if (size >= 1e6) return `${threeDigits(value / 1e6)} M`;
  if (size >= 1e4) return `${threeDigits(value / 1e3)} k`;
  return threeDigits(value);
}

/**
 * @param {number} ratio
 * @returns {string} such as `4.2 ×`
 */
export function formatRatio(ratio) {
  return `${threeDigits(ratio)} ×`;
}

/**
 * What a ratio means for the contender that is divided by the other.
 *
 * @param {number} ratio
 * @param {"higher" | "lower"} better
 * @returns {"better" | "even" | "worse"} even when they differ by less than a hundredth
 */
export function verdict(ratio, better) {
  if (Math.abs(ratio - 1) < 0.01) return "even";
  return ratio > 1 === (better === "higher") ? "better" : "worse";
}

function threeDigits(value) {
  // Rounded first: 0.9996 becomes 1, which has fewer decimals.
  const rounded = Number(value.toPrecision(3));
  if (rounded === 0) return "0";
  return rounded.toFixed(Math.min(3, Math.max(0, 2 - Math.floor(Math.log10(Math.abs(rounded))))));
}

/**
 * When and on what a run was made, in two sentences.
 *
 * @param {object} report what `run.mjs --json` wrote
 * @returns {string[]}
 */
export function describeRun({ date, quick, rounds, machine, versions }) {
  const named = Object.entries(versions).map((entry) => entry.join(" "));
  const kind = quick ? "a quick run of " : "";
  return [
    `${date.slice(0, 10)}, median of ${kind}${rounds} rounds on ${machine.cpu}, ${machine.cores} cores, ${machine.memory}, ${machine.system}.`,
    `${named.join(", ")}.`,
  ];
}
