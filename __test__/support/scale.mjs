/**
 * How much of the fault suite is run, and what it found: the same test files give a quick answer within `npm test` and
 * figures in `npm run test:faults`, which sets `FAULTS_REPORT` to the file that collects them.
 */
import { appendFileSync } from "node:fs";

const report = process.env.FAULTS_REPORT;

/** Whether this is the full suite: on a machine that does nothing else, where times may be judged. */
export const full = report !== undefined;

/**
 * How often something is done.
 *
 * @param {number} bounded within `npm test`
 * @param {number} often in the full suite
 */
export const times = (bounded, often) => (full ? often : bounded);

/**
 * Notes a line of the table that the full suite prints. Call it last, when everything it says has been checked.
 *
 * @param {object} row
 * @param {string} row.scenario what happened to the store
 * @param {string} row.done how often, and to how many calls
 * @param {string} row.found the figures
 * @param {string} row.promise what they had to be
 */
export function note(row) {
  if (full) appendFileSync(report, `${JSON.stringify(row)}\n`);
}
