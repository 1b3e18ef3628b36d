/**
 * The tools of the package test, each fetched once from its registry, without running install scripts.
 */
import { existsSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { DEADLINES, execute } from "../../tooling/execute.mjs";
import { requireCargo } from "../../tooling/setup.mjs";
import { cached } from "../../tooling/workspace.mjs";

const ZIG_VERSION = "0.17.1";
const ZIGBUILD_VERSION = "0.24.1";

/** What is fetched from npm: exact versions, so that the table can be made again. */
export const NPM_TOOLS = {
  attw: ["@arethetypeswrong/cli", "0.18.5"],
  bun: ["bun", "1.4.5"],
  cyclonedx: ["@cyclonedx/cyclonedx-library", "10.3.0"],
  deno: ["deno", "2.9.6"],
  jest: ["jest", "30.5.2"],
  pnpm: ["pnpm", "10.34.8"],
  publint: ["publint", "0.3.25"],
  yarn: ["@yarnpkg/cli-dist", "4.18.1"],
};

/** What CycloneDX's library needs besides itself to check a file against the schema. */
export const SCHEMA_CHECKERS = ["ajv@8.20.0", "ajv-formats@3.0.1", "ajv-formats-draft2019@1.6.1"];

/** One of each line of Node.js since 16, and the newest. */
export const NODE_VERSIONS = ["16.20.2", "18.20.8", "20.20.2", "22.23.3", "24.21.0", "26.10.0"];

/**
 * Installs a tool from npm unless it is there.
 *
 * @param {string} name
 * @param {string} version
 * @param {string[]} [others] packages that it needs beside it
 * @returns {Promise<string>} the `node_modules` that it is in
 */
export async function npmTool(name, version, others = []) {
  const home = cached("npm", `${name.replace(/[@/]/g, "_")}-${version}`);
  const modules = join(home, "node_modules");
  if (existsSync(join(home, "complete"))) return modules;
  writeFileSync(join(home, "package.json"), '{ "private": true }\n');
  const args = ["install", "--ignore-scripts", "--no-audit", "--no-fund", "--no-save"];
  await execute("npm", [...args, `${name}@${version}`, ...others], { cwd: home, deadline: DEADLINES.install });
  writeFileSync(join(home, "complete"), "");
  return modules;
}

/** The path of a Node.js binary. */
export async function nodeBinary(version) {
  return join(await npmTool(`node-linux-${process.arch}`, version), `node-linux-${process.arch}`, "bin", "node");
}

/**
 * Fetches Zig from PyPI and cargo-zigbuild from crates.io unless they are there.
 *
 * @returns {Promise<NodeJS.ProcessEnv>} the environment in which napi's `--cross-compile` finds both
 */
export async function zigbuildEnvironment() {
  const env = requireCargo();
  const zig = cached(`zig-${ZIG_VERSION}`);
  if (!existsSync(join(zig, "ziglang", "zig"))) {
    const args = ["-m", "pip", "install", "--target", zig, "--disable-pip-version-check", `ziglang==${ZIG_VERSION}`];
    await execute("python3", args, { cwd: zig, deadline: DEADLINES.install });
  }
  const cargo = cached("cargo");
  if (!existsSync(join(cargo, "bin", "cargo-zigbuild"))) {
    const args = ["install", "--locked", "--root", cargo, `cargo-zigbuild@${ZIGBUILD_VERSION}`];
    await execute("cargo", args, { cwd: cargo, env, deadline: DEADLINES.build });
  }
  return {
    ...env,
    PATH: [join(cargo, "bin"), join(zig, "ziglang"), env.PATH].join(delimiter),
    CARGO_ZIGBUILD_ZIG_PATH: join(zig, "ziglang", "zig"),
  };
}
