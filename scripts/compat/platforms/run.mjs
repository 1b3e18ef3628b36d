/**
 * `npm run test:platforms`: builds the addon for other processors and systems, and runs the packed packages there as far as this
 * machine can, by emulators. What nothing here can run is checked by the compiler. `-- linux-arm64-gnu darwin-arm64` takes
 * these targets; the names are those of the platform packages. Writes its table into docs/platforms.md.
 *
 * It runs on Linux on x64 as root, with `debootstrap`, `unshare`, npm, Python's pip, Cargo and a `redis-server`. What it
 * fetches, gigabytes, it keeps where `IDIOTEQUE_PLATFORMS_CACHE` says (cache.mjs).
 */
import { parseArgs } from "node:util";
import { ensureRedisServer, startRedis } from "../../../tooling/servers/redis-server.mjs";
import { installPackages } from "../../../tooling/setup.mjs";
import { createTerminal } from "../../../tooling/terminal.mjs";
import { stageRelease } from "../../release/stage.mjs";
import { buildFor, cargo } from "./build.mjs";
import { CACHE } from "./cache.mjs";
import { UNRUN } from "./checked.mjs";
import { check, project } from "./checks.mjs";
import { fetchRuntime } from "./runtimes.mjs";
import { openSystem } from "./system.mjs";
import { markdown, row, writePage } from "./table.mjs";
import { TARGETS } from "./targets.mjs";

const terminal = createTerminal();
const say = (text) => terminal.line(`  … ${text}`);

async function main() {
  const chosen = chosenTargets(parseArgs({ allowPositionals: true }).positionals);
  say(`what is fetched and built is kept in ${CACHE}`);
  await installPackages(terminal);
  ensureRedisServer({ log: say });
  const system = await openSystem(say);
  const redis = await startRedis({ unixSocket: true });
  const rows = [];
  let failed = 0;
  try {
    for (const target of chosen) {
      terminal.line(`  ${terminal.bold(target.title)}`);
      const outcome = await (target.runtime ? runTarget(target, system, redis) : checkTarget(target, system));
      if (Object.values(outcome).some((cell) => cell.startsWith("✗"))) failed += 1;
      rows.push(row(target, outcome, system.versionOf("rustc")));
      // After each, because the next may take half an hour.
      writePage(rows, [...TARGETS, ...UNRUN]);
    }
  } finally {
    await redis.stop();
  }
  terminal.line(`\n${markdown(rows)}\n`);
  return failed;
}

function chosenTargets(names) {
  const all = [...TARGETS, ...UNRUN];
  const unknown = names.filter((name) => !all.some((target) => target.name === name));
  if (unknown.length > 0) {
    throw new RangeError(
      `There is no target ${unknown.join(", ")}. There are: ${all.map(({ name }) => name).join(", ")}`,
    );
  }
  return names.length === 0 ? all : all.filter(({ name }) => names.includes(name));
}

/** @returns {Promise<Parameters<typeof row>[1]>} the cells of its row; why something has failed is said on the terminal */
async function runTarget(target, system, redis) {
  const how = () => {
    if (!target.emulatorPackage) return "run, not emulated";
    const [name] = target.emulatorPackage.split("-");
    return `run, emulated by ${name} ${system.versionOf(target.emulatorPackage)}`;
  };
  try {
    await system.install(target.packages, target.architectures);
    say(`building for ${target.built ?? target.triple}`);
    const addon = await buildFor(target, system);
    const runtime = await fetchRuntime(target.runtime);
    say("packing and installing");
    const home = await project(target, await stageRelease(addon));
    return { how: how(), ...(await check({ home, target, runtime, system, redis }, say)) };
  } catch (error) {
    say(`${terminal.red("✗")} ${error.message}`);
    return { how: "✗ could not be built, installed or started" };
  }
}

async function checkTarget(target, system) {
  try {
    await system.install(target.packages ?? []);
    await system.run(["sh", "-e", "-c", target.prepare]);
    say(`cargo check --target ${target.triple}`);
    await cargo("check", target, system);
    return { how: "checked by the compiler (its C left out), not run" };
  } catch (error) {
    say(`${terminal.red("✗")} ${error.message}`);
    return { how: "✗ could not be checked, not run" };
  }
}

const failed = await main().catch((error) => {
  terminal.line(`${terminal.red("✗")} ${error.message}`);
  return 1;
});
process.exitCode = failed > 0 ? 1 : 0;
