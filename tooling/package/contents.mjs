/**
 * What belongs into the packages: the entry points with what they require, the types, and what npm always adds.
 */
import { readFileSync } from "node:fs";
import { join, posix } from "node:path";
import { ROOT } from "../setup.mjs";

/** Where `exports` and `bin` of package.json lead. */
const ENTRY_POINTS = [
  "index.js",
  "lib/otel.js",
  "lib/otel/unsupported.js",
  "lib/unsupported.js",
  "lib/admin.js",
  "lib/cli/main.js",
];
const TYPES = ["index.d.ts", "otel.d.ts", "admin.d.ts"];
const ALWAYS = ["LICENSE", "README.md", "package.json"];

/** What a platform package holds besides `package.json`, `README.md` and its addon. */
export const NOTICES = ["LICENSE", "THIRD_PARTY_LICENSES", "sbom.cdx.json"];

/** Bytes that a platform package may unpack to: what they have now, and a tenth more. */
export const PLATFORM_LIMIT = 6 * 1024 * 1024;

/** Bytes that the main package may unpack to, of which the types and the generated loader are a quarter. */
export const MAIN_LIMIT = 512 * 1024;

/**
 * The files of the main package: what its entry points require, and what those require.
 *
 * @returns {string[]} sorted
 */
export function mainFiles() {
  const files = new Set(ENTRY_POINTS);
  for (const file of files) for (const required of requiredBy(file)) files.add(required);
  return [...new Set([...ALWAYS, ...TYPES, ...files])].sort();
}

/**
 * The files of a platform package.
 *
 * @param {string} target such as `linux-x64-gnu`
 * @returns {string[]} sorted
 */
export function platformFiles(target) {
  return ["README.md", "package.json", `idioteque-redis.${target}.node`, ...NOTICES].sort();
}

/**
 * Fails when a package holds something else than it should.
 *
 * @param {string[]} files
 * @param {string[]} expected
 */
export function assertContents(files, expected) {
  const missing = expected.filter((file) => !files.includes(file));
  const superfluous = files.filter((file) => !expected.includes(file));
  if (missing.length + superfluous.length === 0) return;
  throw new Error(`missing from the package: ${missing.join(", ")}; not to be in it: ${superfluous.join(", ")}`);
}

/**
 * Fails when installing a package would run something.
 *
 * @param {{ name: string, scripts?: Record<string, string> }} manifest
 */
export function assertNoInstallScripts({ name, scripts = {} }) {
  const found = Object.keys(scripts).filter((script) => /^(pre|post)?install$|^(pre|post)?prepare$/.test(script));
  if (found.length > 0) throw new Error(`${name} has install scripts: ${found.join(", ")}`);
}

/** Addons are in packages of their own, and there is no WebAssembly. */
function requiredBy(file) {
  if (!file.endsWith(".js")) return [];
  const calls = readFileSync(join(ROOT, file), "utf8").matchAll(/\brequire\(["'](\.[^"']+)["']\)/g);
  return [...calls]
    .map(([, name]) => posix.join(posix.dirname(file), name))
    .filter((name) => /\.(js|json)$/.test(name));
}
