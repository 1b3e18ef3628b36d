/**
 * Builds the addon for the oldest glibc, as a release does.
 */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "../setup.mjs";
import { DEADLINES, execute } from "./execute.mjs";
import { GLIBC_FLOOR } from "./glibc-floor.mjs";
import { zigbuildEnvironment } from "./tools.mjs";
import { cached } from "./workspace.mjs";

const TRIPLES = { x64: "x86_64-unknown-linux-gnu", arm64: "aarch64-unknown-linux-gnu" };

/** @returns {Promise<string>} the path of the addon */
export async function buildForOldestGlibc() {
  const env = await zigbuildEnvironment();
  const output = cached("addon");
  const napi = join(ROOT, "node_modules", "@napi-rs", "cli", "dist", "cli.js");
  const args = ["build", "--platform", "--release", "--cross-compile", "--no-js", "--dts", "binding.d.ts"];
  args.push("--target", `${TRIPLES[process.arch]}.${GLIBC_FLOOR}`, "--target-dir", cached("target"));
  args.push("--output-dir", output);
  await execute(process.execPath, [napi, ...args], { cwd: ROOT, env, deadline: DEADLINES.build });
  return join(
    output,
    readdirSync(output).find((name) => name.endsWith(`.linux-${process.arch}-gnu.node`)),
  );
}
