// The contract suite as `npm run test:platforms` runs it on other processors and systems: without vitest's own program.
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, it } from "vitest";
import { sharedRedis } from "../support/redis.mjs";

const HERE = fileURLToPath(new URL("../../scripts/compat/platforms/contract/here.mjs", import.meta.url));
const { url } = sharedRedis();

it("the contract suite runs as it does on other platforms", { timeout: 120_000 }, async () => {
  const env = { ...process.env, REDIS_URL: url };
  const { stdout } = await promisify(execFile)(process.execPath, [HERE], { env });
  const [, passed, tests] = /^contract: (\d+) of (\d+) tests, installed package: true$/m.exec(stdout);
  expect(Number(tests)).toBeGreaterThan(300);
  expect(passed).toBe(tests);
});
