/**
 * A Debian sid in the cache, beside this machine's own system: its Rust brings the sources of std and std for other
 * processors, its C compilers build for other systems, and its emulators run what was built. Each program in it runs in
 * namespaces of its own, so that what is mounted for it, and what it leaves running, ends with it.
 */
import { spawnSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { DEADLINES, execute } from "../../../tooling/execute.mjs";
import { ROOT } from "../../../tooling/setup.mjs";
import { cached } from "./cache.mjs";

const SUITE = "sid";
const COMMON = ["ca-certificates", "cargo", "gcc", "libc6-dev", "rust-src", "rustc"];
/** Debootstrap, apt: several hundred megabytes. */
const FETCH_DEADLINE_MS = 1_800_000;
const CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt";

/** Where the checkout and the builds are for programs in the system. */
export const CHECKOUT = "/work/checkout";
export const BUILDS = "/work/target";

/**
 * @typedef {object} System
 * @property {string} root its directory
 * @property {(packages: string[], architectures?: string[]) => Promise<void>} install
 * @property {(command: string[], options?: Options) => Promise<string>} run
 * @property {(name: string) => string} versionOf an installed package
 *
 * @typedef {object} Options
 * @property {string} [cwd]
 * @property {NodeJS.ProcessEnv} [env] besides that of the system
 * @property {number} [deadline]
 * @property {string} [ldd] what `ldd` is for the program
 * @property {string[]} [shared] directories of this machine that are there too, at the same paths
 */

/**
 * Opens the system; makes it when it is not there.
 *
 * @param {(text: string) => void} say
 * @returns {Promise<System>}
 */
export async function openSystem(say) {
  if (process.platform !== "linux" || process.arch !== "x64" || process.getuid() !== 0) {
    throw new Error(
      "This needs Linux on x64 and the rights of root: it makes a Debian in a folder and runs programs in it.",
    );
  }
  const root = join(cached(), SUITE);
  if (!existsSync(join(root, "complete"))) await make(root, say);
  copyFileSync("/etc/resolv.conf", join(root, "etc", "resolv.conf"));
  const system = {
    root,
    run: (command, options) => runIn(root, command, options),
    install: (packages, architectures = []) => install(root, packages, architectures, say),
    versionOf: (name) => installedVersion(root, name) ?? "not installed",
  };
  await system.install(COMMON);
  return system;
}

async function make(root, say) {
  const incomplete = `${root}.incomplete`;
  rmSync(incomplete, { recursive: true, force: true });
  say(`making a Debian ${SUITE} in ${root}`);
  const args = ["--variant=minbase", "--include=ca-certificates", SUITE, incomplete, mirror()];
  await execute("debootstrap", args, { cwd: "/", deadline: FETCH_DEADLINE_MS });
  // Mirrors that lag behind are good enough, and so are this machine's settings of proxies and certificates.
  writeFileSync(join(incomplete, "etc/apt/apt.conf.d/99platforms"), aptSettings());
  // Nothing is lost that could not be fetched again.
  writeFileSync(join(incomplete, "etc/dpkg/dpkg.cfg.d/platforms"), "force-unsafe-io\n");
  if (existsSync(CERTIFICATES)) copyFileSync(CERTIFICATES, join(incomplete, CERTIFICATES));
  const cargo = join(process.env.CARGO_HOME ?? join(homedir(), ".cargo"), "config.toml");
  if (existsSync(cargo)) {
    mkdirSync(join(incomplete, "root/.cargo"), { recursive: true });
    copyFileSync(cargo, join(incomplete, "root/.cargo/config.toml"));
  }
  writeFileSync(join(incomplete, "complete"), "");
  renameSync(incomplete, root);
}

function aptSettings() {
  const { stdout } = spawnSync("apt-config", ["dump", "Acquire"], { encoding: "utf8", timeout: 60_000 });
  const machine = stdout.split("\n").filter((line) => /^Acquire::(https?|Check-\w+|Retries)\b/.test(line));
  return `${[...machine, 'Acquire::Check-Valid-Until "false";', 'Acquire::Retries "2";'].join("\n")}\n`;
}

/** Where this machine fetches Debian from; what debootstrap takes when it is told nothing, where apt knows of none. */
function mirror() {
  const args = ["indextargets", "--format", "$(ORIGIN)|$(LABEL)|$(REPO_URI)"];
  const { stdout } = spawnSync("apt-get", args, { encoding: "utf8", timeout: 60_000 });
  const found = (stdout ?? "").split("\n").find((line) => line.startsWith("Debian|Debian|"));
  return found?.split("|")[2] ?? "";
}

async function install(root, packages, architectures, say) {
  const missing = packages.filter((name) => installedVersion(root, name) === undefined);
  if (missing.length === 0) return;
  say(`installing in it: ${missing.join(" ")}`);
  const apt = (...args) => runIn(root, ["apt-get", ...args], { deadline: FETCH_DEADLINE_MS });
  for (const architecture of architectures) await runIn(root, ["dpkg", "--add-architecture", architecture]);
  // What a run that was ended has left half done.
  await runIn(root, ["dpkg", "--configure", "--pending"], { deadline: FETCH_DEADLINE_MS });
  await apt("update");
  await apt("install", "--yes", "--no-install-recommends", ...missing);
  await apt("clean");
}

/** Read from dpkg's own list, since starting dpkg for every name takes longer. */
function installedVersion(root, name) {
  const [wanted, architecture] = name.split(":");
  const status = readFileSync(join(root, "var/lib/dpkg/status"), "utf8");
  for (const entry of status.split("\n\n")) {
    if (!entry.startsWith(`Package: ${wanted}\n`) || !entry.includes("\nStatus: install ok installed\n")) continue;
    if (architecture !== undefined && !entry.includes(`\nArchitecture: ${architecture}\n`)) continue;
    return /^Version: (?:\d+:)?([^\s~+-]+)/m.exec(entry)?.[1];
  }
  return undefined;
}

let runs = 0;

/** @param {Options} options */
async function runIn(root, command, { cwd = "/", env = {}, deadline = DEADLINES.program, shared = [], ldd } = {}) {
  const inside = (path) => join(root, path);
  const mounts = [
    ["-t", "proc", "proc", inside("/proc")],
    ["--rbind", "/dev", inside("/dev")],
    ["--bind", ROOT, inside(CHECKOUT)],
    ...shared.map((path) => ["--bind", path, inside(path)]),
  ];
  for (const mount of mounts) mkdirSync(mount.at(-1), { recursive: true });
  if (ldd) mounts.push(["--bind", inside(ldd), inside("/usr/bin/ldd")]);
  const settings = {
    HOME: "/root",
    PATH: "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
    LC_ALL: "C.UTF-8",
    DEBIAN_FRONTEND: "noninteractive",
    CARGO_HTTP_CAINFO: CERTIFICATES,
    ...env,
  };
  const quoted = (words) => words.map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(" ");
  const variables = Object.entries(settings).map(([name, value]) => `${name}=${value}`);
  // Its output goes to a file, because programs such as Wine want no pipe.
  runs += 1;
  const run = join("/work/runs", `${process.pid}-${runs}`);
  mkdirSync(inside(run), { recursive: true });
  writeFileSync(inside(join(run, "program")), `cd ${quoted([cwd])} && exec ${quoted(command)}\n`);
  const start = ["chroot", root, "/usr/bin/env", "-i", ...variables, "/bin/sh", join(run, "program")];
  const lines = [
    ...mounts.map((mount) => quoted(["mount", ...mount])),
    `code=0; ${quoted(start)} < /dev/null > ${quoted([inside(join(run, "output"))])} 2>&1 || code=$?`,
    `cat ${quoted([inside(join(run, "output"))])}; exit $code`,
  ];
  writeFileSync(inside(join(run, "outside")), `${lines.join("\n")}\n`);
  const namespaces = ["--mount", "--pid", "--fork", "--kill-child", "--propagation", "private"];
  const args = [...namespaces, "nice", "sh", "-e", inside(join(run, "outside"))];
  try {
    return await execute("unshare", args, { cwd: dirname(root), deadline });
  } catch (error) {
    error.message = error.message.replace(`unshare ${args.join(" ")}`, command.join(" "));
    throw error;
  } finally {
    rmSync(inside(run), { recursive: true, force: true });
  }
}
