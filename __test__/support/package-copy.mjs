/**
 * The package as it is installed, in a temporary `node_modules`, with whatever is wrong with that installation.
 */
import { execFile } from "node:child_process";
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { onTestFinished } from "vitest";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const DEADLINE_MS = 30_000;
const NAME = "@idioteque/redis";
const run = promisify(execFile);

/** The package's own description. */
export const PACKAGE = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));

/** The addon that was built for this machine: the name of its target and its content. */
export function builtAddon() {
  const [, target, file] = readdirSync(join(ROOT, "lib"))
    .map((name) => /^idioteque-redis\.(.+)\.node$/.exec(name))
    .filter((match) => match?.[1].startsWith(`${process.platform}-${process.arch}`))
    .map(([name, target]) => ["", target, name])[0];
  return { target, bytes: readFileSync(join(ROOT, "lib", file)) };
}

/**
 * Installs a copy of the package, without an addon.
 *
 * @param {object} [wrong]
 * @param {Record<string, Buffer | string | undefined>} [wrong.packages] the addon's packages by target, each with its addon, if
 *   it is there
 * @param {string[]} [wrong.without] files that are not there
 * @param {boolean} [wrong.packed] as `npm pack` makes it in a clone: the packages with the addon are not named
 * @returns {{ dir: string, home: string, load: (options?: LoadOptions) => Promise<Loaded> }}
 *
 * @typedef {object} LoadOptions
 * @property {string} [before] what happens in the process first
 * @property {string[]} [nodeOptions]
 * @property {Record<string, string>} [env]
 *
 * @typedef {object} Loaded
 * @property {string} [type] of `createRedisStore`, when the package could be loaded
 * @property {string} [name] of the error, when not
 * @property {string} [message]
 * @property {string} [code]
 * @property {string[]} [causes] the messages of all its causes
 */
export function installCopy({ packages = {}, without = [], packed = false } = {}) {
  const dir = realpathSync(mkdtempSync(join(tmpdir(), "idioteque-redis-")));
  onTestFinished(() => rmSync(dir, { recursive: true }));
  const home = join(dir, "node_modules", NAME);
  const missing = without.map((file) => join(ROOT, file));
  const belongs = (file) => !file.endsWith(".node") && !missing.includes(file);
  for (const file of [...PACKAGE.files, "package.json"].filter((file) => !file.startsWith("!"))) {
    cpSync(join(ROOT, file), join(home, file), { recursive: true, filter: belongs });
  }
  if (!packed) {
    const optionalDependencies = { [`${NAME}-linux-x64-gnu`]: PACKAGE.version };
    writeFileSync(join(home, "package.json"), JSON.stringify({ ...PACKAGE, optionalDependencies }));
  }
  for (const [target, addon] of Object.entries(packages)) addPackage(dir, target, addon);
  return { dir, home, load: (options) => load(dir, options) };
}

function addPackage(dir, target, addon) {
  const home = join(dir, "node_modules", `${NAME}-${target}`);
  const main = `idioteque-redis.${target}.node`;
  mkdirSync(home, { recursive: true });
  writeFileSync(join(home, "package.json"), JSON.stringify({ name: `${NAME}-${target}`, version: "0.0.0", main }));
  if (addon !== undefined) writeFileSync(join(home, main), addon);
}

async function load(dir, { before = "", nodeOptions = [], env = {} } = {}) {
  const code = `${before};
    const causesOf = (error) => (error ? [error.message, ...causesOf(error.cause)] : []);
    const show = (result) => console.log(JSON.stringify(result));
    try { show({ type: typeof require("${NAME}").createRedisStore }); }
    catch ({ name, message, code, cause }) { show({ name, message, code, causes: causesOf(cause) }); }`;
  const { stdout } = await run(process.execPath, [...nodeOptions, "--eval", code], {
    cwd: dir,
    env: { ...process.env, ...env },
    timeout: DEADLINE_MS,
  });
  return JSON.parse(stdout);
}
