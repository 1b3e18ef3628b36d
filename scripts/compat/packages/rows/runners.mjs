/**
 * Test runners, which load the package into worker processes, worker threads and contexts of their own.
 */
import { copyFileSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { execute } from "../../../../tooling/execute.mjs";
import { ROOT } from "../../../../tooling/setup.mjs";
import { NPM_TOOLS, npmTool } from "../../../release/tools.mjs";

/** @type {import("../rows.mjs").Row[]} */
export const RUNNER_ROWS = [
  ...["forks", "threads", "vmThreads"].map((pool) => ({
    name: `vitest-${pool}`,
    title: `vitest, ${pool}`,
    async run(context) {
      const home = await twoFiles(context, "vitest", "mjs");
      const vitest = join(ROOT, "node_modules", "vitest");
      const args = ["run", "--globals", `--pool=${pool}`, "--root", home, "--dir", join(home, "vitest")];
      await passes([join(vitest, "vitest.mjs"), ...args], home, context, /Tests +2 passed/);
      return JSON.parse(readFileSync(join(vitest, "package.json"), "utf8")).version;
    },
  })),
  {
    name: "jest",
    title: "Jest",
    async run(context) {
      const [name, version] = NPM_TOOLS.jest;
      const jest = join(await npmTool(name, version), "jest", "bin", "jest.js");
      const home = await twoFiles(context, "jest", "cjs");
      const args = ["--rootDir", home, "--testMatch", "**/jest/*.test.cjs", "--maxWorkers=2", "--ci", "--no-watchman"];
      await passes([jest, ...args], home, context, /Tests: +2 passed/);
      return version;
    },
  },
];

async function twoFiles(context, runner, extension) {
  const home = await context.npmProject();
  const [first, second] = ["first", "second"].map((name) => join(home, runner, `${name}.test.${extension}`));
  copyFileSync(first, second);
  return home;
}

async function passes(args, home, { redisUrl }, wanted) {
  const env = { ...process.env, REDIS_URL: redisUrl, NO_COLOR: "1", NODE_ENV: "test" };
  const output = await execute(process.execPath, args, { cwd: home, env });
  if (!wanted.test(output)) throw new Error(`Not all tests have passed:\n${output}`);
}
