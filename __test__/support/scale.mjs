/**
 * How much of the fault suite is run, and what it found: the same test files give a quick answer within `npm test` and
 * figures in `npm run test:faults`, which sets `FAULTS_REPORT` to the file that collects them.
 */
import { appendFileSync } from "node:fs";
import { availableParallelism } from "node:os";

const report = process.env.FAULTS_REPORT;

/** Whether this is the full suite: on a machine that does nothing else, where times may be judged. */
export const full = report !== undefined;

/**
 * How many test files run at once. Most of them wait for deadlines and elections, so it is two on two cores as well; one
 * where times are judged, and where there is one server, which a file must have for itself.
 */
export const workers = full || process.env.REDIS_URL ? 1 : Math.max(2, availableParallelism() - 1);

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
