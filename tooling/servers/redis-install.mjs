/**
 * Finds the `redis-server` binary, installs it where that is possible, and has advice where it is not. Plain
 * Node.js, because it runs before anything is installed.
 */
import { spawnSync } from "node:child_process";
import { accessSync, chmodSync, constants, existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";

const USUAL_PLACES = ["/usr/bin", "/usr/local/bin", "/opt/homebrew/bin", "/opt/local/bin", "/usr/sbin", "/snap/bin"];
const POLICY_FILE = "/usr/sbin/policy-rc.d";

/**
 * Looks for a `redis-server` binary: `REDIS_SERVER` in the environment, then `PATH`, then where package managers put it.
 *
 * @returns {string | undefined} its path
 */
export function findRedisServer() {
  if (process.env.REDIS_SERVER) return process.env.REDIS_SERVER;
  const places = [...(process.env.PATH ?? "").split(delimiter).filter(Boolean), ...USUAL_PLACES];
  return places.map((place) => join(place, "redis-server")).find(isExecutable);
}

/**
 * Finds a `redis-server` binary or, as root on Debian and Ubuntu, installs one.
 *
 * @param {object} [options]
 * @param {(line: string) => void} [options.log] gets what is being done
 * @returns {string} the path of the binary
 * @throws {Error} with what to install on this platform
 */
export function ensureRedisServer({ log = () => {} } = {}) {
  const found = findRedisServer();
  if (found) return found;
  if (!canInstallWithApt()) throw new Error(`No redis-server was found. ${installAdvice()}`);

  log("no redis-server was found: apt-get install redis-server");
  const failure = installWithApt();
  const installed = findRedisServer();
  if (!installed) throw new Error(`apt-get could not install redis-server. ${installAdvice()}${failure}`);
  return installed;
}

/**
 * What to install on the platform at hand, as a sentence for a person.
 *
 * @returns {string}
 */
export function installAdvice() {
  if (process.platform === "darwin") return "Install it: brew install redis";
  if (process.platform === "win32")
    return "Redis does not run on Windows itself. Use WSL: sudo apt-get install redis-server";
  const release = linuxRelease();
  if (/debian|ubuntu/.test(release)) return "Install it: sudo apt-get install redis-server";
  if (/fedora|rhel|centos|amzn/.test(release)) return "Install it: sudo dnf install redis";
  if (/alpine/.test(release)) return "Install it: apk add redis";
  if (/arch/.test(release)) return "Install it: sudo pacman -S redis";
  return "Install it with your package manager, or name the path of a redis-server in REDIS_SERVER";
}

function isExecutable(path) {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function linuxRelease() {
  try {
    const release = readFileSync("/etc/os-release", "utf8");
    return [...release.matchAll(/^ID(?:_LIKE)?=(.*)$/gm)].map((match) => match[1]).join(" ");
  } catch {
    return "";
  }
}

function canInstallWithApt() {
  return process.getuid?.() === 0 && /debian|ubuntu/.test(linuxRelease());
}

/**
 * Installs the package without letting it start its service, and `openssl`, with which tests make certificates. Returns what
 * apt-get printed if it failed.
 */
function installWithApt() {
  const ownPolicy = !existsSync(POLICY_FILE);
  if (ownPolicy) {
    // Debian asks this file before a package starts its service; 101 means "do not".
    writeFileSync(POLICY_FILE, "#!/bin/sh\nexit 101\n");
    chmodSync(POLICY_FILE, 0o755);
  }
  try {
    const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
    const install = ["install", "-y", "--no-install-recommends", "redis-server", "openssl"];
    for (const args of [["update"], install]) {
      const { status, error, stdout, stderr } = spawnSync("apt-get", args, {
        env,
        encoding: "utf8",
        stdio: ["ignore", "pipe", "pipe"],
        timeout: 5 * 60_000,
      });
      if (status !== 0) return `\n${error?.message ?? `${stdout}${stderr}`.trim().split("\n").slice(-15).join("\n")}`;
    }
    return "";
  } finally {
    if (ownPolicy) rmSync(POLICY_FILE, { force: true });
  }
}
