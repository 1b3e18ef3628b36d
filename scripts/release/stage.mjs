/**
 * Makes the packages of a release in a temporary folder, by the steps of a release: `create-npm-dirs`, `artifacts`,
 * `pre-publish`, `npm pack`. There is one real addon; the other platforms get a file that only takes its place.
 */
import { copyFileSync, cpSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { parseTriple } from "@napi-rs/cli";
import { execute } from "../../tooling/execute.mjs";
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
 * @param {string} addon the path of the addon for this machine
 * @returns {Promise<{ main: Packed, platform: Packed, others: Packed[] }>}
 */
export async function stageRelease(addon) {
  const home = temporary("release");
  const source = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
  const published = source.files.filter((name) => !name.startsWith("!"));
  for (const name of ["package.json", "LICENSE", "README.md", ...published]) {
    cpSync(join(ROOT, name), join(home, name), { recursive: true, filter: (file) => !file.endsWith(".node") });
  }
  const napi = (...args) => execute(process.execPath, [NAPI, ...args], { cwd: home });
  await napi("create-npm-dirs");
  addNotices(join(home, "npm"));

  const artifacts = temporary("release", "artifacts");
  const targets = source.napi.targets.map((triple) => parseTriple(triple).platformArchABI);
  for (const target of targets) {
    writeFileSync(join(artifacts, `${source.napi.binaryName}.${target}.node`), `In place of the addon for ${target}\n`);
  }
  copyFileSync(addon, join(artifacts, basename(addon)));
  await napi("artifacts", "--output-dir", artifacts);
  await napi("pre-publish", "--tag-style", "npm", "--no-gh-release", "--skip-optional-publish");

  const main = await pack(home);
  const packed = await Promise.all(targets.map((target) => pack(join(home, "npm", target))));
  const isOurs = ({ files }) => files.includes(basename(addon));
  return { main, platform: packed.find(isOurs), others: packed.filter((one) => !isOurs(one)) };
}

/** @returns {Promise<Packed>} */
async function pack(home) {
  const output = await execute("npm", ["pack", "--json", "--ignore-scripts", "--silent"], { cwd: home });
  const [{ filename, files, size, unpackedSize }] = Object.values(JSON.parse(output.slice(output.search(/^[[{]/m))));
  const tarball = join(home, filename);
  if (!existsSync(tarball)) throw new Error(`npm pack has not made ${tarball}`);
  const manifest = JSON.parse(readFileSync(join(home, "package.json"), "utf8"));
  return { home, manifest, tarball, files: files.map(({ path }) => path).sort(), size, unpackedSize };
}
