/**
 * Calls that go on while something is done to the server, and what became of them.
 */
import { eventually } from "../../tooling/eventually.mjs";

/**
 * Calls a function again and again, `width` calls at a time, until it is stopped, or its store is closed.
 *
 * @param {number} width
 * @param {(index: number, lane: number) => Promise<unknown>} call `lane` is below `width`, and those of one come one after the other
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
  const lanes = Array.from({ length: width }, async (_, lane) => {
    while (!stopped) {
      const index = load.made++;
      const started = performance.now();
      try {
        await call(index, lane);
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

/**
 * Commits to executions in turn, one task after the other, until it is stopped.
 *
 * @param {object} store
 * @param {string[]} ids as many calls at a time as there are of them
 */
export function keepCommitting(store, ids) {
  const idOf = (index) => ids[index % ids.length];
  const load = keepCalling(ids.length, (index) => store.commitExecutionTaskResult(idOf(index), `task-${index}`, index));
  /** Resolves when so many more have been acknowledged. */
  load.more = async (calls, deadline = 30_000) => {
    const { length } = load.answered;
    await eventually(() => load.answered.length >= length + calls, { deadline, message: "more answers" });
  };
  /** Which acknowledged ones are not there, when results are read in this way. */
  load.lost = async (readResults) => {
    const found = new Map();
    for (const id of ids) found.set(id, await readResults(id));
    return load.answered.filter((index) => found.get(idOf(index))[`task-${index}`] !== String(index));
  };
  return load;
}
