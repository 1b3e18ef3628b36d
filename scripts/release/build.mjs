/**
 * Builds the addon for the oldest glibc, as a release does. `node scripts/release/build.mjs [TRIPLE]` builds it for
 * this processor, or for a target such as `armv7-unknown-linux-gnueabihf`.
 */
import { utimesSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseTriple } from "@napi-rs/cli";
import { DEADLINES, execute } from "../../tooling/execute.mjs";
import { modified, ROOT, sourcesModified } from "../../tooling/setup.mjs";
import { cached } from "../../tooling/workspace.mjs";
import { GLIBC_FLOOR } from "./glibc-floor.mjs";
import { zigbuildEnvironment } from "./tools.mjs";

const TRIPLES = { x64: "x86_64-unknown-linux-gnu", arm64: "aarch64-unknown-linux-gnu" };

/**
 * Builds the addon unless it is newer than its sources.
 *
 * @param {string} [triple] a Linux target with glibc
 * @returns {Promise<string>} its path
 */
export async function buildForOldestGlibc(triple = TRIPLES[process.arch]) {
  const output = cached("addon");
  const addon = join(output, `idioteque-redis.${parseTriple(triple).platformArchABI}.node`);
  if (modified(addon) >= sourcesModified()) return addon;
  const start = new Date();
  const env = await zigbuildEnvironment();
  const napi = join(ROOT, "node_modules", "@napi-rs", "cli", "dist", "cli.js");
  const args = ["build", "--platform", "--release", "--cross-compile", "--no-js", "--dts", "binding.d.ts"];
  args.push("--target", `${triple}.${GLIBC_FLOOR}`, "--target-dir", cached("target"), "--output-dir", output);
  await execute(process.execPath, [napi, ...args], { cwd: ROOT, env, deadline: DEADLINES.build });
  // The state it was built from: a source may have changed meanwhile.
  utimesSync(addon, start, start);
  return addon;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) console.log(await buildForOldestGlibc(process.argv[2]));
