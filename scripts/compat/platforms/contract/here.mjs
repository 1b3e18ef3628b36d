/**
 * Runs the contract suite on this machine as the test of platforms does on others, on a copy of the checkout's package: with
 * vitest's runner and without vitest. `REDIS_URL` in the environment names the server. That test takes an hour, and is run
 * seldom; `npm test` runs this, so that the suite cannot come to need what is missing there unnoticed.
 */
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, symlinkSync } from "node:fs";
import { dirname, join } from "node:path";
import { ROOT } from "../../../../tooling/setup.mjs";
import { temporary } from "../../../../tooling/workspace.mjs";
import { layOutSuite, RUN_SUITE, SUITE_NEEDS } from "./lay-out.mjs";

const home = temporary("contract");
const installed = join(home, "node_modules", "@idioteque", "redis");
mkdirSync(installed, { recursive: true });
for (const part of ["package.json", "index.js", "lib"]) {
  cpSync(join(ROOT, part), join(installed, part), { recursive: true });
}
for (const name of SUITE_NEEDS) {
  const link = join(home, "node_modules", name);
  mkdirSync(dirname(link), { recursive: true });
  symlinkSync(join(ROOT, "node_modules", name), link);
}
layOutSuite(home);
process.exitCode = spawnSync(process.execPath, [RUN_SUITE], { cwd: home, stdio: "inherit" }).status ?? 1;
