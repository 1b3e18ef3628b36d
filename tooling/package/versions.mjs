/**
 * Which files name the version of the package, and whether all of them name the same one. Plain Node.js, because a release
 * looks at this before anything is installed.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const PACKAGE = "@idioteque/redis";

/** Where a crate of ours stands in a lock file of Cargo. */
const LOCKED = /name = "(?:idioteque-redis|idioteque-redis-core)"\nversion = "(.+)"/g;

/**
 * @param {string} [root] the directory of the checkout
 * @returns {Record<string, string | undefined>} the version that each file names; more than one where a file does not agree
 *   with itself
 */
export function namedVersions(root = ROOT) {
  const read = (name) => readFileSync(join(root, name), "utf8");
  const json = (name) => JSON.parse(read(name));
  const all = (name, pattern) => onlyOne([...read(name).matchAll(pattern)].map(([, version]) => version));
  const lock = json("package-lock.json");
  const versions = {
    "package.json": json("package.json").version,
    "package-lock.json": onlyOne([lock.version, lock.packages[""].version]),
    "Cargo.toml": all("Cargo.toml", /^version = "(.+)"$/gm),
    "Cargo.lock": all("Cargo.lock", LOCKED),
    "fuzz/Cargo.lock": all("fuzz/Cargo.lock", LOCKED),
    "lib/binding.js": all("lib/binding.js", /bindingPackageVersion !== '(.+?)'/g),
    "index.js": all("index.js", /^const VERSION = "(.+)";$/gm),
    "CHANGELOG.md": /^## (\d\S*)/m.exec(read("CHANGELOG.md"))?.[1],
  };
  for (const file of readdirSync(join(root, "examples")).map((name) => `examples/${name}/package.json`)) {
    if (existsSync(join(root, file))) versions[file] = json(file).dependencies?.[PACKAGE]?.replace(/^\^/, "");
  }
  return versions;
}

/**
 * @param {string} home the directory of packages that are to be published: the main one, and the others below `npm`
 * @returns {Record<string, string | undefined>} the version of each, and what the main package asks for
 */
export function stagedVersions(home) {
  const json = (...names) => JSON.parse(readFileSync(join(home, ...names, "package.json"), "utf8"));
  const main = json();
  const versions = { "package.json": main.version };
  for (const folder of readdirSync(join(home, "npm"))) {
    const { name, version } = json("npm", folder);
    versions[name] = version;
    versions[`optionalDependencies["${name}"]`] = main.optionalDependencies?.[name];
  }
  // One that is asked for has to be published, too.
  for (const name of Object.keys(main.optionalDependencies ?? {})) versions[name] ??= undefined;
  return versions;
}

function onlyOne(versions) {
  return [...new Set(versions)].join(" and ") || undefined;
}

/**
 * @param {Record<string, string | undefined>} versions
 * @param {string} [tag] such as `v1.2.3`
 * @returns {string | undefined} what does not match, or nothing
 */
export function versionProblem(versions, tag) {
  const expected = versions["package.json"];
  const different = Object.entries(versions).filter(([, version]) => version !== expected);
  if (different.length > 0) {
    const named = different.map(([file, version]) => `${file} names ${version ?? "none"}`);
    return `package.json has version ${expected}, but ${named.join(", ")}.`;
  }
  if (tag && tag !== `v${expected}`) return `The tag is ${tag}, but the version is ${expected}.`;
  return undefined;
}
