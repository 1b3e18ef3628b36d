/**
 * Which files name the version of the package, and whether all of them name the same one. Plain Node.js, because a release
 * looks at this before anything is installed.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/**
 * @param {string} [root] the directory of the checkout
 * @returns {Record<string, string | undefined>} the version that each file names
 */
export function namedVersions(root = ROOT) {
  const read = (name) => readFileSync(join(root, name), "utf8");
  return {
    "package.json": JSON.parse(read("package.json")).version,
    "package-lock.json": JSON.parse(read("package-lock.json")).packages[""].version,
    "Cargo.toml": /^version = "(.+)"$/m.exec(read("Cargo.toml"))?.[1],
    "Cargo.lock": /name = "idioteque-redis"\nversion = "(.+)"/.exec(read("Cargo.lock"))?.[1],
    "lib/binding.js": /bindingPackageVersion !== '(.+?)'/.exec(read("lib/binding.js"))?.[1],
    "lib/native.js": /^const VERSION = "(.+)";$/m.exec(read("lib/native.js"))?.[1],
    "CHANGELOG.md": /^## (\d\S*)/m.exec(read("CHANGELOG.md"))?.[1],
  };
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
