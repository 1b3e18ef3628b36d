/**
 * Puts beside each addon the notices about the code in it: the package's licence, the licences of the bundled crates, and
 * a list of them for machines (SBOM, CycloneDX 1.6). `node scripts/release/notices.mjs [NPM_DIR]` does it for every
 * package that `napi create-npm-dirs` has made.
 *
 * One walk over Cargo's own metadata gives both for just the target that is shipped. `cargo-about` and `cargo-cyclonedx` are
 * two tools that Cargo compiles for minutes before they run, and two walks whose lists may differ.
 */
import { copyFileSync, existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseTriple } from "@napi-rs/cli";
import { NOTICES } from "../../tooling/package/contents.mjs";
import { bundledCrates } from "../../tooling/package/crates.mjs";
import { ROOT } from "../../tooling/setup.mjs";

const LICENCE_FILE = /^(licen[cs]e|copying|copyright|notice|unlicense)/i;
const RULE = `\n\n${"-".repeat(80)}\n\n`;

/**
 * Completes the packages in a folder.
 *
 * @param {string} npmDir
 */
export function addNotices(npmDir) {
  const { napi } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
  for (const triple of napi.targets) {
    const home = join(npmDir, parseTriple(triple).platformArchABI);
    if (!existsSync(home)) continue;
    const manifest = JSON.parse(readFileSync(join(home, "package.json"), "utf8"));
    const { root, crates } = bundledCrates(triple);
    copyFileSync(join(ROOT, "LICENSE"), join(home, "LICENSE"));
    writeFileSync(join(home, "THIRD_PARTY_LICENSES"), licences(crates));
    writeFileSync(join(home, "sbom.cdx.json"), `${JSON.stringify(sbom(manifest, root, crates), undefined, 1)}\n`);
    manifest.files = [...new Set([...manifest.files, ...NOTICES])];
    writeFileSync(join(home, "package.json"), `${JSON.stringify(manifest, undefined, 2)}\n`);
  }
}

/** Each text once, under the names of the crates that it is for, however they break its lines. */
function licences(crates) {
  const found = new Map();
  for (const crate of crates) {
    for (const text of licenceTexts(crate)) {
      const words = text.replace(/\s+/g, " ").toLowerCase();
      if (!found.has(words)) found.set(words, { text, users: [] });
      found.get(words).users.push(crate.name);
    }
  }
  const intro =
    "The addon in this package contains code of these crates, and of the standard library of Rust\n" +
    "(MIT OR Apache-2.0, The Rust Project Contributors, https://github.com/rust-lang/rust).";
  const list = crates.map(({ name, version, license, repository }) =>
    [`${name} ${version}`, license, repository].filter(Boolean).join(", "),
  );
  const texts = [...found.values()].map(({ text, users }) => `${users.join(", ")}:\n\n${text}`);
  return `${[`${intro}\n\n${list.join("\n")}`, ...texts].join(RULE)}\n`;
}

/** What the crate ships; where it ships nothing, the text of the licence it names. */
function licenceTexts({ name, license, authors, home }) {
  const files = readdirSync(home, { withFileTypes: true })
    .filter((entry) => entry.isFile() && LICENCE_FILE.test(entry.name))
    .map((entry) => readFileSync(join(home, entry.name), "utf8").replaceAll("\r\n", "\n").trim());
  if (files.length > 0) return files;
  if (!/\bMIT\b/.test(license)) throw new Error(`The crate ${name} ships no text of its licence, ${license}`);
  const [, permission] = readFileSync(join(ROOT, "LICENSE"), "utf8").split(/^Copyright .*$/m);
  const holders = authors.map((author) => author.replace(/ <.*>/, "")).join(", ") || `the authors of ${name}`;
  return [`MIT License\n\nCopyright (c) ${holders}\n\n${permission.trim()}`];
}

/** https://cyclonedx.org/docs/1.6/json/ */
function sbom({ name, version }, root, crates) {
  const purl = `pkg:npm/${name.replace("@", "%40")}@${version}`;
  const components = crates.map((crate) => ({
    type: "library",
    "bom-ref": crate.purl,
    name: crate.name,
    version: crate.version,
    ...(crate.checksum && { hashes: [{ alg: "SHA-256", content: crate.checksum }] }),
    licenses: [{ expression: crate.license }],
    purl: crate.purl,
    ...(crate.repository && { externalReferences: [{ type: "vcs", url: crate.repository }] }),
  }));
  return {
    bomFormat: "CycloneDX",
    specVersion: "1.6",
    version: 1,
    metadata: {
      component: { type: "library", "bom-ref": purl, name, version, purl, licenses: [{ expression: root.license }] },
    },
    components,
    dependencies: [
      { ref: purl, dependsOn: [...new Set(root.uses)] },
      ...crates.map((crate) => ({ ref: crate.purl, dependsOn: [...new Set(crate.uses)] })),
    ],
  };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) addNotices(process.argv[2] ?? join(ROOT, "npm"));
