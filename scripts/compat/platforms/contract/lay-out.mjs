/**
 * Puts the contract suite, and what it needs of the checkout, into a project that has `@idioteque/redis` and the packages below.
 */
import { cpSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { ROOT } from "../../../../tooling/setup.mjs";

const HERE = fileURLToPath(new URL(".", import.meta.url));

/** What the suite and its runner import; in the versions of the checkout. */
export const SUITE_NEEDS = ["ioredis", "ioredis-5", "@vitest/expect", "@vitest/runner", "@vitest/spy"];

/** What runs the suite there, in the project's directory. */
export const RUN_SUITE = "contract-run.mjs";

/** @param {string} home the project's directory */
export function layOutSuite(home) {
  cpSync(join(ROOT, "__test__", "support"), join(home, "__test__", "support"), { recursive: true });
  cpSync(join(ROOT, "tooling"), join(home, "tooling"), { recursive: true });
  // What `../../index.js` is for the suite.
  writeFileSync(join(home, "index.js"), 'module.exports = require("@idioteque/redis");\n');
  const vitest = join(home, "node_modules", "vitest");
  mkdirSync(vitest);
  cpSync(join(HERE, "vitest.mjs"), join(vitest, "vitest.mjs"));
  writeFileSync(join(vitest, "package.json"), '{ "name": "vitest", "exports": "./vitest.mjs" }\n');
  for (const file of ["run.mjs", "suite.mjs"]) cpSync(join(HERE, file), join(home, `contract-${file}`));
}
