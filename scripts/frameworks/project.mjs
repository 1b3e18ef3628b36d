/**
 * Projects as users have them: in a temporary directory, with the package and its binary installed from packed tarballs,
 * because links into this checkout would hide what the tarballs lack.
 */
import { cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { ROOT } from "../setup.mjs";
import { run } from "./program.mjs";

const PACK_DEADLINE_MS = 60_000;
const INSTALL_DEADLINE_MS = 5 * 60_000;
/** What npm has downloaded stays between runs. */
const NPM_CACHE = join(ROOT, "node_modules", ".cache", "npm");

/**
 * Packs the package, and the binary that was built for this machine as the platform package that npm would install.
 *
 * @param {string} dir for the tarballs
 * @returns {Promise<Record<string, string>>} dependencies for a `package.json`
 */
export async function packTarballs(dir) {
  const { NapiCli, parseTriple } = await import("@napi-rs/cli");
  const manifest = readJson(join(ROOT, "package.json"));
  const prefix = `${manifest.napi.binaryName}.${process.platform}-${process.arch}`;
  const addon = readdirSync(ROOT).find((name) => name.startsWith(prefix) && name.endsWith(".node"));
  const isForHere = (target) => addon === `${manifest.napi.binaryName}.${parseTriple(target).platformArchABI}.node`;
  const targets = manifest.napi.targets.filter(isForHere);

  const stage = join(dir, "stage");
  writeJson(join(stage, "package.json"), { ...manifest, napi: { ...manifest.napi, targets } });
  await new NapiCli().createNpmDirs({ cwd: stage, npmDir: "npm" });
  const [platform] = readdirSync(join(stage, "npm"));
  const home = join(stage, "npm", platform);
  cpSync(join(ROOT, addon), join(home, addon));
  return {
    [manifest.name]: await pack(ROOT, dir),
    [readJson(join(home, "package.json")).name]: await pack(home, dir),
  };
}

async function pack(home, dir) {
  const args = ["pack", "--silent", "--pack-destination", dir];
  const { ok, output } = await run("npm", args, { cwd: home, deadline: PACK_DEADLINE_MS });
  if (!ok) throw new Error(`npm pack failed:\n${output}`);
  return `file:${join(dir, output.trim().split("\n").at(-1))}`;
}

/**
 * Installs a project's dependencies.
 *
 * @param {string} home where its `package.json` is, or will be
 * @param {object} manifest its `package.json`
 */
export async function install(home, manifest) {
  writeJson(join(home, "package.json"), { private: true, ...manifest });
  const args = ["install", "--no-audit", "--no-fund", "--prefer-offline", "--cache", NPM_CACHE];
  const { ok, output } = await run("npm", args, { cwd: home, deadline: INSTALL_DEADLINE_MS });
  if (!ok) throw new Error(`npm install failed:\n${output}`);
}

/** @param {string} path */
export function readJson(path) {
  return JSON.parse(readFileSync(path, "utf8"));
}

function writeJson(path, value) {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, `${JSON.stringify(value, null, 2)}\n`);
}
