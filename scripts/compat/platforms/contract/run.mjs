// Runs the suite (suite.mjs, which is beside it as contract-suite.mjs) by vitest's runner in this process, prints how many tests have passed, and which have not.
import { createRequire } from "node:module";
import { fileURLToPath, pathToFileURL } from "node:url";
import { startTests } from "@vitest/runner";

const TEST_DEADLINE_MS = 120_000;
const MAX_FAILURES_SHOWN = 10;

const config = {
  root: fileURLToPath(new URL(".", import.meta.url)),
  name: undefined,
  setupFiles: [],
  passWithNoTests: false,
  testNamePattern: undefined,
  allowOnly: false,
  sequence: { seed: 1, hooks: "stack", setupFiles: "list" },
  chaiConfig: undefined,
  maxConcurrency: 1,
  testTimeout: TEST_DEADLINE_MS,
  hookTimeout: TEST_DEADLINE_MS,
  retry: 0,
  includeTaskLocation: false,
  tags: [],
  tagsFilter: undefined,
  strictTags: false,
};
const runner = { config, pool: "none", importFile: (file) => import(pathToFileURL(file).href) };

const files = await startTests([{ filepath: fileURLToPath(new URL("contract-suite.mjs", import.meta.url)) }], runner);
const tests = files.flatMap(testsIn);
const failed = tests.filter(({ result }) => result?.state !== "pass");
for (const { name, suite, result } of failed.slice(0, MAX_FAILURES_SHOWN)) {
  console.log(`${suite?.name}: ${name}: ${result?.errors?.[0]?.stack ?? result?.state}`);
}
// A suite that could not be prepared has tests that have not run; a file that could not be read has none.
for (const { result } of files) for (const error of result?.errors ?? []) console.log(error.stack);
const loaded = Object.keys(createRequire(import.meta.url).cache);
const installed = loaded.some((file) => /node_modules.@idioteque.redis.index\.js$/.test(file));
console.log(`contract: ${tests.length - failed.length} of ${tests.length} tests, installed package: ${installed}`);
if (failed.length === 0 && tests.length > 0 && installed) console.log("checked");
// Otherwise the process ends by itself, as it must; after a failure a store may still be open.
else process.exit(1);

function testsIn(task) {
  return task.type === "test" ? [task] : task.tasks.flatMap(testsIn);
}
