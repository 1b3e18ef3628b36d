/**
 * Makes the packages of a release, by napi's steps: `create-npm-dirs`, `artifacts`, `pre-publish`.
 * `node scripts/release/stage.mjs ARTIFACTS FOLDER` does it with the addons in a folder, for the release workflow: the main
 * package is then in FOLDER, those of the platforms are below FOLDER/npm, and all name the repository that it ran in.
 *
 * For tests and the rehearsal there is one real addon; the other platforms get a file that only takes its place.
 */
import { copyFileSync, cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseTriple } from "@napi-rs/cli";
import { execute } from "../../tooling/execute.mjs";
import { describedBy, repositoryOf, withAbsoluteLinks } from "../../tooling/package/repository.mjs";
import { namedVersions, stagedVersions, versionProblem } from "../../tooling/package/versions.mjs";
import { ROOT } from "../../tooling/setup.mjs";
import { temporary } from "../../tooling/workspace.mjs";
import { addNotices } from "./notices.mjs";

const NAPI = join(ROOT, "node_modules", "@napi-rs", "cli", "dist", "cli.js");

/**
 * @typedef {object} Packed a package that could be published
 * @property {string} home the directory that it was packed from
 * @property {object} manifest its `package.json`
 * @property {string} tarball its path
 * @property {string[]} files what is in it, sorted
 * @property {number} size bytes, packed
 * @property {number} unpackedSize bytes
 */

/**
 * Makes the folders of the packages.
 *
 * @param {string} artifacts a folder with an addon for each target
 * @param {string} home an empty folder
 * @param {import("../../tooling/package/repository.mjs").Repository} [repository] what they say they come from
 * @returns {Promise<string[]>} the folders in the order in which they are to be published: whoever installs the main package
 *   must find the others
 */
export async function stagePackages(artifacts, home, repository) {
  refuse(versionProblem(namedVersions()));
  const source = readJson(join(ROOT, "package.json"));
  const published = source.files.filter((name) => !name.startsWith("!"));
  for (const name of ["LICENSE", ...published]) {
    cpSync(join(ROOT, name), join(home, name), { recursive: true, filter: (file) => !file.endsWith(".node") });
  }
  const readme = readFileSync(join(ROOT, "README.md"), "utf8");
  writeFileSync(join(home, "README.md"), repository ? withAbsoluteLinks(readme, repository) : readme);
  writeJson(join(home, "package.json"), repository ? describedBy(source, repository) : source);

  const napi = (...args) => execute(process.execPath, [NAPI, ...args], { cwd: home });
  await napi("create-npm-dirs");
  addNotices(join(home, "npm"));
  await napi("artifacts", "--output-dir", artifacts);
  await napi("pre-publish", "--tag-style", "npm", "--no-gh-release", "--skip-optional-publish");

  const platforms = readdirSync(join(home, "npm")).map((name) => join(home, "npm", name));
  if (platforms.length !== source.napi.targets.length) throw new Error(`${platforms.length} platforms are staged`);
  for (const platform of repository ? platforms : []) {
    const file = join(platform, "package.json");
    writeJson(file, describedBy(readJson(file), repository));
  }
  refuse(versionProblem(stagedVersions(home)));
  return [...platforms, home];
}

/**
 * @param {string} addon the path of the addon for this machine
 * @param {import("../../tooling/package/repository.mjs").Repository} [repository]
 * @returns {Promise<{ main: Packed, platform: Packed, others: Packed[], folders: string[] }>} `folders` in the order in which
 *   they are to be published
 */
export async function stageRelease(addon, repository) {
  const { napi } = readJson(join(ROOT, "package.json"));
  const artifacts = temporary("release", "artifacts");
  for (const target of napi.targets.map((triple) => parseTriple(triple).platformArchABI)) {
    writeFileSync(join(artifacts, `${napi.binaryName}.${target}.node`), `In place of the addon for ${target}\n`);
  }
  copyFileSync(addon, join(artifacts, basename(addon)));
  const folders = await stagePackages(artifacts, temporary("release", "packages"), repository);

  const packed = await Promise.all(folders.map(pack));
  const main = packed.pop();
  const isOurs = ({ files }) => files.includes(basename(addon));
  return { main, platform: packed.find(isOurs), others: packed.filter((one) => !isOurs(one)), folders };
}

/** @returns {Promise<Packed>} */
async function pack(home) {
  const output = await execute("npm", ["pack", "--json", "--ignore-scripts", "--silent"], { cwd: home });
  const [{ filename, files, size, unpackedSize }] = Object.values(JSON.parse(output.slice(output.search(/^[[{]/m))));
  const tarball = join(home, filename);
  if (!existsSync(tarball)) throw new Error(`npm pack has not made ${tarball}`);
  const manifest = readJson(join(home, "package.json"));
  return { home, manifest, tarball, files: files.map(({ path }) => path).sort(), size, unpackedSize };
}

function refuse(problem) {
  if (problem !== undefined) throw new Error(problem);
}

function readJson(path) {
  return JSON.parse(readFileSync(path, "utf8"));
}

function writeJson(path, value) {
  writeFileSync(path, `${JSON.stringify(value, undefined, 2)}\n`);
}

async function main() {
  const [artifacts, home] = process.argv.slice(2).map((path) => resolve(path));
  if (home === undefined) throw new Error("node scripts/release/stage.mjs ARTIFACTS FOLDER");
  const repository = repositoryOf(process.env);
  if (!repository) throw new Error("GITHUB_SERVER_URL and GITHUB_REPOSITORY have to say what repository this is");
  mkdirSync(home, { recursive: true });
  if (readdirSync(home).length > 0) throw new Error(`${home} is not empty`);
  for (const folder of await stagePackages(artifacts, home, repository)) console.log(folder);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await main().catch((error) => {
    console.error(error.message);
    process.exitCode = 1;
  });
}
