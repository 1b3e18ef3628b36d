/**
 * Calls that go on while something is done to the server, and what became of them.
 */

/**
 * Calls a function again and again, `width` calls at a time, until it is told to stop, or its store is closed.
 *
 * @param {number} width
 * @param {(index: number) => Promise<unknown>} call
 */
export function keepCalling(width, call) {
  const load = {
    /** Calls made so far. */
    made: 0,
    /** What was answered: the index of each call, and when. */
    answered: [],
    /** What failed. */
    errors: [],
    /** The longest that any of them took to settle, in milliseconds. */
    slowest: 0,
    /** When the last answer came, on the clock of `performance.now()`. */
    lastAnswer: 0,
    stop,
  };
  let stopped = false;
  const lanes = Array.from({ length: width }, async () => {
    while (!stopped) {
      const index = load.made++;
      const started = performance.now();
      try {
        await call(index);
        load.answered.push(index);
        load.lastAnswer = performance.now();
      } catch (error) {
        load.errors.push(error);
        // A test that fails closes its store; nothing can succeed then, and what fails at once would take all the time.
        stopped ||= error.code === "ERR_REDIS_CLOSED";
      }
      load.slowest = Math.max(load.slowest, performance.now() - started);
    }
  });

  /** Makes no more calls and resolves when all have settled. */
  async function stop() {
    stopped = true;
    await Promise.all(lanes);
  }

  return load;
}
