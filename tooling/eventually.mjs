/**
 * Waiting for a condition instead of for a time.
 */
import { setTimeout as delay } from "node:timers/promises";

/**
 * Waits until a condition holds.
 *
 * @template T
 * @param {() => T | Promise<T>} condition asked again until it returns something truthy; what it throws counts as "no"
 * @param {object} [options]
 * @param {number} [options.deadline] milliseconds until it gives up
 * @param {string} [options.message] what was waited for
 * @returns {Promise<T>} what the condition returned
 */
export async function eventually(condition, { deadline = 10_000, message = "the condition" } = {}) {
  const end = Date.now() + deadline;
  for (;;) {
    let cause;
    try {
      const answer = await condition();
      if (answer) return answer;
    } catch (error) {
      cause = error;
    }
    if (Date.now() > end) throw new Error(`${message} did not come true within ${deadline} ms`, { cause });
    await delay(10);
  }
}
