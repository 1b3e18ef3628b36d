/**
 * Everything that is measured. An experiment is one thing that contenders do; what its runs yield becomes one or more
 * of the cases that are reported.
 */
import { besideLargeExperiments } from "./experiments/beside-large.mjs";
import { ceilingExperiments } from "./experiments/ceiling.mjs";
import { clusterExperiments } from "./experiments/cluster.mjs";
import { coldStartExperiments } from "./experiments/cold-start.mjs";
import { doubleHandOutExperiments } from "./experiments/double-hand-out.mjs";
import { killsExperiments } from "./experiments/kills.mjs";
import { memoryExperiments } from "./experiments/memory.mjs";
import { resultsExperiments } from "./experiments/results.mjs";
import { scaleExperiments } from "./experiments/scale.mjs";
import { throughputExperiments } from "./experiments/throughput.mjs";
import { tlsExperiments } from "./experiments/tls.mjs";
import { upstashExperiments } from "./experiments/upstash.mjs";
import { workflowExperiments } from "./experiments/workflow.mjs";

/**
 * @typedef {object} Settings how long everything takes
 * @property {boolean} quick for a first impression only: shorter, fewer rivals, less data
 * @property {number} warmUp milliseconds of each run that do not count
 * @property {number} duration milliseconds of each run that count
 *
 * @typedef {object} Bench what experiments run on
 * @property {{ url: string, host: string, port: number }} redis the private server
 *
 * @typedef {object} Case a figure that is reported
 * @property {string} name
 * @property {string} title its name, for people
 * @property {string} figure key in what `run` yields
 * @property {string} unit
 * @property {"higher" | "lower"} better
 * @property {boolean} [optional] not every system yields the figure: without it there is no such case
 *
 * @typedef {object} Experiment
 * @property {string[]} contenders who takes part, in the order of the first round
 * @property {string} [ours] which of them stands for us, if not `ours`
 * @property {string} [baseline] which of them the others are compared with, if not the reference store on ioredis
 * @property {Case[]} cases
 * @property {(bench: Bench) => Promise<void>} [setUp] before the first round
 * @property {(contender: string, bench: Bench) => Promise<Record<string, number>>} run one contender in one round
 * @property {() => Promise<void>} [tearDown] after the last round, also when something failed
 */

/**
 * @param {Settings} settings
 * @returns {Experiment[]} all of them, in the order in which they are reported
 */
export function allExperiments(settings) {
  return [
    ...throughputExperiments(settings),
    ...workflowExperiments(settings),
    ...doubleHandOutExperiments(settings),
    ...resultsExperiments(settings),
    ...coldStartExperiments(),
    ...ceilingExperiments(settings),
    ...tlsExperiments(settings),
    ...clusterExperiments(settings),
    ...upstashExperiments(settings),
    ...scaleExperiments(settings),
    ...memoryExperiments(settings),
    ...besideLargeExperiments(settings),
    ...killsExperiments(settings),
  ];
}
