/**
 * The packages of an earlier release, built from the history of this checkout, as it was never published: found, unpacked, built
 * and packed by its own release script. What was packed is kept in the cache, by commit and platform.
 */
import { spawnSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { pathToFileURL } from "node:url";
import { DEADLINES, execute } from "../../../tooling/execute.mjs";
import { ROOT } from "../../../tooling/setup.mjs";
import { temporary } from "../../../tooling/workspace.mjs";
import { CACHE } from "./cache.mjs";

/** The line of releases that users come from. */
const LINE = "0.2";
/** Where the script that makes the packages of a release has been. */
const STAGE_SCRIPTS = ["scripts/release/stage.mjs", "scripts/package/stage.mjs"];
/** Behaviour is compared, not speed: a third of the time that the release's own settings take. */
const QUICK = { CARGO_PROFILE_RELEASE_LTO: "off", CARGO_PROFILE_RELEASE_CODEGEN_UNITS: "16" };
/** A whole repository's archive fits. */
const ARCHIVE_LIMIT = 256 * 1024 * 1024;

/**
 * @typedef {object} Earlier
 * @property {string} commit
 * @property {string} version
 * @property {{ manifest: object, tarball: string, files?: string[] }[]} packages the main one first, with the files in it, then that
 *   with the addon, then those of other platforms
 */

/**
 * Finds the commit whose packages are taken.
 *
 * @param {string} [revision] whatever Git takes for one; default: the newest release of the line
 * @returns {{ commit: string, version: string }}
 * @throws {Error} with what to do when the history is not here
 */
export function findEarlier(revision) {
  if (spawnSync("git", ["--version"]).status !== 0) throw new Error("Git is needed to find the earlier release.");
  if (git("rev-parse", "--is-inside-work-tree") !== "true") {
    throw new Error("The earlier release is built from the history, and this is no clone of the repository.");
  }
  const commit = revision ? git("rev-parse", "--verify", "--quiet", `${revision}^{commit}`) : newestOfLine();
  if (!commit) throw new Error(notFound(revision));
  return { commit, version: versionAt(commit) };
}

/**
 * The commit of its tag; if there is none, the one that took down its figures, the last of a release. What follows belongs to the next
 * release, although package.json has the old version until that is done, and not all fixes came before the commit that set it.
 */
function newestOfLine() {
  const [tag] = git("tag", "--list", `v${LINE}.*`, "--sort=-version:refname")?.split("\n") ?? [];
  if (tag) return git("rev-parse", "--verify", "--quiet", `${tag}^{commit}`);
  return git("log", "-1", "--format=%H", "--fixed-strings", `--grep=figures of the fault suite on ${LINE}.`);
}

function versionAt(commit) {
  const manifest = git("show", `${commit}:package.json`);
  return manifest && JSON.parse(manifest).version;
}

function notFound(revision) {
  const what = revision ? `revision ${revision}` : `release ${LINE}.x in the history`;
  const shallow = git("rev-parse", "--is-shallow-repository") === "true";
  const how = shallow
    ? "This is a shallow clone: fetch the rest of the history with `git fetch --unshallow`, in CI with `fetch-depth: 0`."
    : "Name another one: npm run test:upgrade -- --from REVISION";
  return `There is no ${what}. ${how}`;
}

/**
 * Builds and packs it, unless that was done before.
 *
 * @param {{ commit: string, version: string }} found
 * @param {object} options
 * @param {NodeJS.ProcessEnv} options.env in which Cargo can be called
 * @param {(text: string) => void} options.log told of each step that takes time
 * @returns {Promise<Earlier>}
 */
export async function packEarlier({ commit, version }, { env, log }) {
  const home = join(CACHE, `${commit.slice(0, 12)}-${process.platform}-${process.arch}`);
  const list = join(home, "packages.json");
  if (!existsSync(list)) {
    mkdirSync(home, { recursive: true });
    const packages = await build(commit, { env, log });
    const kept = packages.map(({ manifest, tarball, files }) => {
      copyFileSync(tarball, join(home, basename(tarball)));
      return { manifest, tarball: basename(tarball), files };
    });
    // Last: what stands there is complete.
    writeFileSync(list, JSON.stringify(kept, undefined, 2));
  }
  const packages = JSON.parse(readFileSync(list, "utf8"));
  return { commit, version, packages: packages.map((one) => ({ ...one, tarball: join(home, one.tarball) })) };
}

async function build(commit, { env, log }) {
  // Outside of this checkout, whose workspace Cargo would take it for a part of, and whose packages Node.js would find.
  const source = temporary("earlier");
  const archive = gitBuffer("archive", "--format=tar", commit);
  const unpacked = spawnSync("tar", ["-x", "-C", source], { input: archive });
  if (unpacked.status !== 0) throw new Error(`The archive of ${commit} could not be unpacked: ${unpacked.stderr}`);

  log("installing its npm packages");
  const npm = ["ci", "--ignore-scripts", "--include=dev", "--no-audit", "--no-fund", "--prefer-offline"];
  await execute("npm", [...npm, "--cache", join(CACHE, "npm-cache")], { cwd: source, deadline: DEADLINES.install });
  log("building its addon");
  const settings = { ...env, ...QUICK, CARGO_TARGET_DIR: join(source, "target") };
  await execute("npm", ["run", "build"], { cwd: source, env: settings, deadline: DEADLINES.build });
  log("packing it");
  const script = STAGE_SCRIPTS.map((path) => join(source, path)).find(existsSync);
  if (!script) throw new Error(`${commit} has no script that makes the packages of a release`);
  const { stageRelease } = await import(pathToFileURL(script));
  const { main, platform, others } = await stageRelease(addonIn(source));
  return [main, platform, ...others];
}

function addonIn(source) {
  const isAddon = (name) => name.endsWith(".node") && name.includes(`${process.platform}-${process.arch}`);
  for (const folder of ["lib", "."]) {
    const home = join(source, folder);
    const name = existsSync(home) && readdirSync(home).find(isAddon);
    if (name) return join(home, name);
  }
  throw new Error(`The build has left no addon in ${source}`);
}

/** What Git prints, without the last line's end; `undefined` when it fails. */
function git(...args) {
  const { status, stdout } = spawnSync("git", args, { cwd: ROOT, encoding: "utf8", maxBuffer: ARCHIVE_LIMIT });
  return status === 0 ? stdout.trimEnd() : undefined;
}

function gitBuffer(...args) {
  const { status, stdout, stderr } = spawnSync("git", args, { cwd: ROOT, maxBuffer: ARCHIVE_LIMIT });
  if (status !== 0) throw new Error(`git ${args.join(" ")} failed: ${stderr}`);
  return stdout;
}
