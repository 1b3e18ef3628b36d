/**
 * What the contract suite imports from vitest, made of vitest's own runner and matchers. Vitest itself starts through native
 * packages (Rolldown) and child processes, which emulators run slowly or not at all; these parts are plain JavaScript.
 */
import { chai, JestAsymmetricMatchers, JestChaiExpect, JestExtend } from "@vitest/expect";
import { fn, spyOn } from "@vitest/spy";

export { afterAll, afterEach, beforeAll, beforeEach, describe, it, onTestFinished, test } from "@vitest/runner";

for (const plugin of [JestExtend, JestChaiExpect, JestAsymmetricMatchers]) chai.use(plugin);

export const { expect } = chai;
export const vi = { fn, spyOn };

/** Vitest's number of the place in which a file runs: here there is one file and one server. */
process.env.VITEST_POOL_ID = "1";

/** The one value that the suite asks the run for. */
export function inject(name) {
  if (name !== "redisUrls") throw new RangeError(`this run has no ${name}`);
  return [process.env.REDIS_URL];
}
