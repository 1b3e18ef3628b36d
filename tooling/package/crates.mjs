/**
 * The crates whose code is in an addon: what Cargo resolves for its target, without what only builds it. Those of this
 * checkout count as one.
 *
 * Read from `cargo metadata` itself, because `npm test` looks at the licences too, where no other tool can be counted on.
 */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { ROOT, requireCargo } from "../setup.mjs";

/**
 * @typedef {object} Crate
 * @property {string} name
 * @property {string} version
 * @property {string} license an SPDX expression
 * @property {string} [repository]
 * @property {string[]} authors
 * @property {string} home the directory of its sources
 * @property {string} [checksum] SHA-256 of the file on crates.io
 * @property {string[]} uses package URLs of the crates that it uses
 * @property {string} purl https://github.com/package-url/purl-spec
 */

/**
 * @param {string} triple such as `x86_64-unknown-linux-gnu`
 * @returns {{ root: Crate, crates: Crate[] }} our own, and those it bundles by name
 */
export function bundledCrates(triple) {
  const { packages, resolve } = cargoMetadata(triple);
  const packageOf = new Map(packages.map((found) => [found.id, found]));
  const nodeOf = new Map(resolve.nodes.map((node) => [node.id, node]));
  const checksums = lockedChecksums();
  const isOurs = (id) => packageOf.get(id).source === null;
  const used = (id) =>
    nodeOf
      .get(id)
      .deps.filter(({ pkg, dep_kinds }) => dep_kinds.some(({ kind }) => kind === null) && !isMacro(packageOf.get(pkg)))
      .flatMap(({ pkg }) => (isOurs(pkg) ? used(pkg) : [pkg]));
  // A set grows while it is walked: everything that can be reached from our own crate.
  const reached = new Set([resolve.root]);
  for (const id of reached) for (const other of used(id)) reached.add(other);

  const describe = (id) => {
    const { name, version, license, repository, authors, manifest_path } = packageOf.get(id);
    if (!license) throw new Error(`The crate ${name} names no licence`);
    const checksum = checksums.get(`${name} ${version}`);
    const uses = used(id).map((other) => purlOf(packageOf.get(other)));
    const purl = purlOf({ name, version });
    // Older crates write a slash for OR.
    const expression = license.replace(/\s*\/\s*/g, " OR ");
    return {
      name,
      version,
      license: expression,
      repository,
      authors,
      home: dirname(manifest_path),
      checksum,
      uses,
      purl,
    };
  };
  const crates = [...reached].filter((id) => id !== resolve.root).map(describe);
  return { root: describe(resolve.root), crates: crates.sort((one, other) => (one.purl < other.purl ? -1 : 1)) };
}

/** The macros of a crate run in the compiler and leave none of their own code behind. */
function isMacro({ targets }) {
  return targets.some(({ kind }) => kind.includes("proc-macro"));
}

function purlOf({ name, version }) {
  return `pkg:cargo/${name}@${version}`;
}

function cargoMetadata(triple) {
  const args = ["metadata", "--format-version", "1", "--locked", "--filter-platform", triple];
  const options = { cwd: ROOT, env: requireCargo(), encoding: "utf8", maxBuffer: 64 * 1024 * 1024, timeout: 300_000 };
  const { status, stdout, stderr, error } = spawnSync("cargo", args, options);
  if (status !== 0) throw new Error(`cargo metadata failed: ${error?.message ?? stderr}`);
  return JSON.parse(stdout);
}

function lockedChecksums() {
  const lock = readFileSync(join(ROOT, "Cargo.lock"), "utf8");
  const entry = /name = "(.+)"\nversion = "(.+)"\nsource = .+\nchecksum = "(\w+)"/g;
  return new Map([...lock.matchAll(entry)].map(([, name, version, checksum]) => [`${name} ${version}`, checksum]));
}
