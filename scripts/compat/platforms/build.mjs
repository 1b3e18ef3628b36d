/**
 * Builds the addon for a target, in the system of system.mjs: with little optimisation and without LTO, as this is about whether
 * it works and not about how fast.
 */
import { copyFileSync, utimesSync } from "node:fs";
import { join } from "node:path";
import { parseTriple } from "@napi-rs/cli";
import { DEADLINES } from "../../../tooling/execute.mjs";
import { modified, sourcesModified } from "../../../tooling/setup.mjs";
import { cached } from "./cache.mjs";
import { BUILDS, CHECKOUT } from "./system.mjs";

const CARGO = ["cargo", "--locked", "--release", "--lib", "--package", "idioteque-redis"];
/** Debian's Rust is a stable one, which has to be told to build std from its sources. */
const BUILD_STD = "-Zbuild-std=std,panic_unwind";
const ENVIRONMENT = {
  RUSTC_BOOTSTRAP: "1",
  CARGO_TARGET_DIR: BUILDS,
  CARGO_PROFILE_RELEASE_LTO: "off",
  CARGO_PROFILE_RELEASE_CODEGEN_UNITS: "16",
  CARGO_PROFILE_RELEASE_OPT_LEVEL: "1",
};

/**
 * Builds the addon unless it is newer than its sources.
 *
 * @param {import("./targets.mjs").Target} target
 * @param {import("./system.mjs").System} system
 * @returns {Promise<string>} its path, with the name that the published one has
 */
export async function buildFor(target, system) {
  const addon = join(cached("addons"), `idioteque-redis.${parseTriple(target.triple).platformArchABI}.node`);
  if (modified(addon) >= sourcesModified()) return addon;
  const start = new Date();
  if (target.prepare) await system.run(["sh", "-e", "-c", target.prepare]);
  await cargo("build", target, system);
  const triple = target.built ?? target.triple;
  copyFileSync(join(system.root, BUILDS, triple, "release", target.library), addon);
  // The state it was built from: a source may have changed meanwhile.
  utimesSync(addon, start, start);
  return addon;
}

/**
 * @param {"build" | "check"} command
 * @param {Pick<import("./targets.mjs").Target, "triple" | "built" | "std" | "env">} target
 * @param {import("./system.mjs").System} system
 */
export function cargo(command, { triple, built = triple, std, env }, system) {
  const [program, ...args] = CARGO;
  const line = [program, command, ...args, "--target", built, ...(std ? [BUILD_STD] : [])];
  return system.run(line, { cwd: CHECKOUT, env: { ...ENVIRONMENT, ...env }, deadline: DEADLINES.build });
}
