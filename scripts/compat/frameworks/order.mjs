/**
 * What proves that the store works inside an app: an order that went through all its steps, and left nothing in Redis.
 */
import { STEPS } from "../../../tooling/workflow/order-workflow.mjs";

/**
 * Checks what an app printed about its order.
 *
 * @param {string} output with the journal's entries, a line of JSON each, among other lines
 * @throws {Error} when a step did not run, ran twice, or ran in another place
 */
export function checkJournal(output) {
  const entries = output.split("\n").filter((line) => line.startsWith('{"event":"'));
  const ran = entries.map((line) => JSON.parse(line)).filter(({ event }) => event === "start" || event === "done");
  const seen = ran.map(({ event, step }) => `${event} ${step}`).join(", ");
  const expected = STEPS.flatMap((step) => [`start ${step}`, `done ${step}`]).join(", ");
  if (seen !== expected) throw new Error(`The steps should have been\n${expected}\nand were\n${seen}\n${output}`);
}

/** Whether the journal has the end of the last step. */
export function isLastStepDone(output) {
  return output.includes(JSON.stringify({ event: "done", step: STEPS.at(-1) }));
}

/**
 * Checks that the order's state is disposed of.
 *
 * @param {import("ioredis").Redis} redis a server that nothing else uses
 */
export async function checkNothingLeft(redis) {
  const keys = await redis.keys("*");
  if (keys.length > 0) throw new Error(`These keys are left in Redis: ${keys.join(", ")}`);
}
