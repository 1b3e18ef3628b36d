/**
 * Runs experiments in rounds: every round measures every contender of every experiment once, so that whatever changes
 * on the machine meanwhile hits all alike.
 */
import { BASELINE } from "./rivals.mjs";
import { median, spread } from "./statistics.mjs";

/**
 * A case with what was measured. `ratio` is `ours / baseline`; every spread is the smallest and the largest value of a
 * round, the one of the ratio being taken from rounds in which both were measured one after the other.
 *
 * @typedef {object} CaseResult
 * @property {string} name
 * @property {string} title
 * @property {string} unit
 * @property {"higher" | "lower"} better
 * @property {number} ours median over the rounds
 * @property {number} baseline median over the rounds
 * @property {number} ratio
 * @property {string} baselineName who the baseline is
 * @property {Record<"ours" | "baseline" | "ratio", { min: number, max: number }>} spread
 * @property {Record<string, { value: number, ratio: number, spread: { min: number, max: number } }>} rivals the
 *   others: their median, and `ours` divided by it
 */

/**
 * @param {import("./experiments.mjs").Experiment[]} experiments
 * @param {number} rounds
 * @param {import("./experiments.mjs").Bench} bench
 * @param {(step: { round: number, done: number, total: number, label: string }) => void} onStep called before each run
 * @returns {Promise<CaseResult[]>}
 */
export async function runRounds(experiments, rounds, bench, onStep) {
  /** @type {Map<import("./experiments.mjs").Experiment, Record<string, Record<string, number>[]>>} */
  const runs = new Map();
  const total = rounds * experiments.reduce((sum, { contenders }) => sum + contenders.length, 0);
  let done = 0;
  try {
    for (const experiment of experiments) {
      onStep({ round: 0, done, total, label: `preparing ${experiment.cases[0].name}` });
      runs.set(experiment, Object.fromEntries(experiment.contenders.map((contender) => [contender, []])));
      await experiment.setUp?.(bench);
    }
    for (let round = 1; round <= rounds; round += 1) {
      for (const experiment of experiments) {
        for (const contender of rotated(experiment.contenders, round - 1)) {
          onStep({ round, done, total, label: `${experiment.cases[0].name} · ${contender}` });
          runs.get(experiment)[contender].push(await experiment.run(contender, bench));
          done += 1;
        }
      }
    }
  } finally {
    for (const experiment of runs.keys()) await experiment.tearDown?.();
  }
  return experiments.flatMap((experiment) => {
    const measured = runs.get(experiment);
    const [anyRun] = measured[experiment.contenders[0]];
    const cases = experiment.cases.filter(({ figure, optional }) => !optional || anyRun[figure] !== undefined);
    return cases.map((one) => summary(experiment, one, measured));
  });
}

/** Another contender begins in every round, so that none always runs on a cool or a heated machine. */
function rotated(list, by) {
  const start = by % list.length;
  return [...list.slice(start), ...list.slice(0, start)];
}

/** @returns {CaseResult} */
function summary({ contenders, ours = "ours", baseline = BASELINE }, { name, title, figure, unit, better }, runs) {
  const figures = (contender) => runs[contender].map((run) => run[figure]);
  const [oursFigures, baselineFigures] = [figures(ours), figures(baseline)];
  const oursMedian = median(oursFigures);
  const baselineMedian = median(baselineFigures);
  const rivals = contenders.filter((contender) => contender !== ours && contender !== baseline);
  return {
    name,
    title,
    unit,
    better,
    ours: oursMedian,
    baseline: baselineMedian,
    ratio: oursMedian / baselineMedian,
    baselineName: baseline,
    spread: {
      ours: spread(oursFigures),
      baseline: spread(baselineFigures),
      ratio: spread(oursFigures.map((value, round) => value / baselineFigures[round])),
    },
    rivals: Object.fromEntries(
      rivals.map((rival) => {
        const value = median(figures(rival));
        return [rival, { value, ratio: oursMedian / value, spread: spread(figures(rival)) }];
      }),
    ),
  };
}
