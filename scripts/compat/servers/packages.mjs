/**
 * Redis and Valkey as other releases of Debian package them, with the libraries they were built for: fetched by apt, which
 * verifies them, from the mirror that this machine uses, and unpacked beside each other, so that nothing is installed.
 */
import { spawnSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const APT_DEADLINE_MS = 5 * 60_000;
const KEYRINGS = "/usr/share/keyrings";

/**
 * @typedef {object} ServerPackage
 * @property {string} name how people call it
 * @property {string} suite the release of Debian that has it
 * @property {string} packageName
 * @property {string} program what the package calls the server
 */

/** @type {ServerPackage[]} */
export const SERVER_PACKAGES = [
  { name: "Redis 6.0", suite: "bullseye", packageName: "redis-server", program: "redis-server" },
  { name: "Redis 7.0", suite: "bookworm", packageName: "redis-server", program: "redis-server" },
  { name: "Redis 8", suite: "trixie", packageName: "redis-server", program: "redis-server" },
  { name: "Valkey 8", suite: "trixie", packageName: "valkey-server", program: "valkey-server" },
];

/**
 * Makes sure that a server is unpacked, and returns the path of a program that starts it.
 *
 * @param {ServerPackage} server
 * @param {string} cache the directory that keeps what was unpacked
 * @returns {string}
 * @throws {Error} when this is not a Debian with apt, or the release is not to be had
 */
export function unpackServer({ suite, packageName, program }, cache) {
  const home = join(cache, `${suite}-${packageName}`);
  const launcher = join(home, "start");
  if (existsSync(launcher)) return launcher;

  const incomplete = `${home}.incomplete`;
  rmSync(incomplete, { recursive: true, force: true });
  const root = join(incomplete, "root");
  mkdirSync(root, { recursive: true });
  for (const file of download(suite, packageName, join(incomplete, "apt"))) run("dpkg-deb", ["-x", file, root]);
  rmSync(join(incomplete, "apt"), { recursive: true });
  writeLauncher(incomplete, home, program);
  renameSync(incomplete, home);
  return launcher;
}

/** Fetches a package and everything it depends on, as if nothing were installed. Returns the files. */
function download(suite, packageName, dir) {
  for (const path of ["etc", "state/lists/partial", "cache/archives/partial"]) {
    mkdirSync(join(dir, path), { recursive: true });
  }
  for (const file of ["etc/empty", "state/status"]) writeFileSync(join(dir, file), "");
  // By name, since apt drops its rights before it reads the keys.
  const keys = readdirSync(KEYRINGS).filter((name) => name.startsWith(`debian-archive-${suite}-`));
  const signedBy = keys.map((name) => join(KEYRINGS, name)).join(",");
  writeFileSync(join(dir, "etc/sources.list"), `deb [signed-by=${signedBy}] ${mirror()} ${suite} main\n`);
  const options = [
    `Dir::Etc::SourceList=${join(dir, "etc/sources.list")}`,
    `Dir::Etc::SourceParts=${join(dir, "etc/empty")}`,
    `Dir::State=${join(dir, "state")}`,
    `Dir::State::status=${join(dir, "state/status")}`,
    `Dir::Cache=${join(dir, "cache")}`,
    // This machine's hooks would act on what is installed here.
    "APT::Update::Post-Invoke-Success::=true",
    "APT::Sandbox::User=root",
    "Acquire::Retries=2",
  ].flatMap((option) => ["-o", option]);
  run("apt-get", [...options, "update"]);
  run("apt-get", [...options, "install", "--yes", "--download-only", "--no-install-recommends", packageName]);
  const archives = join(dir, "cache/archives");
  return readdirSync(archives)
    .filter((name) => name.endsWith(".deb"))
    .map((name) => join(archives, name));
}

/** Where this machine fetches Debian from. */
function mirror() {
  const format = "$(ORIGIN)|$(LABEL)|$(REPO_URI)";
  const lines = run("apt-get", ["indextargets", "--format", format]).split("\n");
  const uri = lines.map((line) => line.split("|")).find(([origin, label]) => origin === "Debian" && label === "Debian");
  if (!uri) throw new Error("apt knows no mirror of Debian: run apt-get update on a Debian first");
  return uri[2];
}

/** A program of the release's own loader with the release's own libraries, whatever this machine has. */
function writeLauncher(dir, home, program) {
  const root = join(dir, "root");
  const [triplet] = readdirSync(join(root, "usr/lib")).filter((name) => name.includes("-linux-gnu"));
  const has = (path) => existsSync(join(root, path));
  const libraries = ["lib", "usr/lib"].map((path) => `${path}/${triplet}`).filter(has);
  const loaders = libraries.flatMap((path) => readdirSync(join(root, path)).map((name) => join(path, name)));
  const loader = loaders.find((path) => /\/ld-linux-[^/]*\.so\.\d$/.test(path));
  const under = (path) => join(home, "root", path);
  const command = [under(loader), "--library-path", libraries.map(under).join(":"), under(`usr/bin/${program}`)];
  const quoted = command.map((word) => `'${word}'`).join(" ");
  writeFileSync(join(dir, "start"), `#!/bin/sh\nexec ${quoted} "$@"\n`);
  chmodSync(join(dir, "start"), 0o755);
}

/**
 * The version that a server reports.
 *
 * @param {string} launcher
 * @returns {string}
 */
export function versionOf(launcher) {
  return /v=(\S+)/.exec(run(launcher, ["--version"]))?.[1] ?? "unknown";
}

function run(command, args) {
  const env = { ...process.env, LC_ALL: "C", DEBIAN_FRONTEND: "noninteractive" };
  const { status, error, stdout, stderr } = spawnSync(command, args, {
    env,
    encoding: "utf8",
    timeout: APT_DEADLINE_MS,
    maxBuffer: 64 * 1024 * 1024,
  });
  if (status !== 0) {
    const words = error?.message ?? `${stdout}${stderr}`.trim().split("\n").slice(-15).join("\n");
    throw new Error(`${command} ${args.at(-1)} failed: ${words}`);
  }
  return stdout;
}
