/**
 * What was read ahead is asked for again when its caller takes longer than asking would, or is held up for so long. On a busy
 * machine that happens by chance, so what is expected of a caller who takes no time is expected of one try in several.
 */

/** How often something is tried at least, and for how long: a machine may be busy for seconds on end. */
const TRIES = 25;
const DEADLINE_MS = 15_000;

/**
 * @template T
 * @param {() => Promise<T>} attempt something from its beginning, with executions and stores of its own; rejects if it did not go
 *   as expected
 * @returns {Promise<T>} of the first attempt that did
 * @throws what the last one threw
 */
export async function unhurried(attempt) {
  const end = performance.now() + DEADLINE_MS;
  for (let tries = 1; ; tries += 1) {
    try {
      return await attempt();
    } catch (error) {
      if (tries >= TRIES && performance.now() > end) throw error;
    }
  }
}
