/**
 * `npm run test:package`: builds the addon as a release does, packs the packages, installs them into empty projects,
 * and tries them on every runtime, package manager and test runner that npm can bring here. Prints a table.
 *
 * `--only NAME` tries one row, `--addon FILE` takes an addon instead of building one, `--write` puts the table into
 * docs/platforms.md.
 */
import { parseArgs } from "node:util";
import { ensureRedisServer, startRedis } from "../../../tooling/servers/redis-server.mjs";
import { setup } from "../../../tooling/setup.mjs";
import { createTerminal } from "../../../tooling/terminal.mjs";
import { buildForOldestGlibc } from "../../release/build.mjs";
import { assertGlibcFloor } from "../../release/glibc-floor.mjs";
import { stageRelease } from "../../release/stage.mjs";
import { installWithNpm } from "./projects.mjs";
import { startRegistry } from "./registry.mjs";
import { GROUPS } from "./rows.mjs";
import { markdownTable, writePage } from "./table.mjs";

const terminal = createTerminal();
const { values: flags } = parseArgs({
  options: {
    only: { type: "string", multiple: true },
    addon: { type: "string" },
    write: { type: "boolean" },
  },
});

async function main() {
  if (flags.only && flags.write) throw new Error("--write needs all rows: leave out --only.");
  if (process.platform !== "linux") throw new Error("This builds for Linux with glibc and runs only there.");
  const groups = chosenGroups();
  await setup(terminal);
  ensureRedisServer({ log: (text) => terminal.line(`  … ${text}`) });
  const addon = flags.addon ?? (await step("building the addon for the oldest glibc", buildForOldestGlibc));
  terminal.line(`  ${terminal.green("✓")} the addon needs glibc ${assertGlibcFloor(addon)}`);
  const release = await step("packing", () => stageRelease(addon));
  const registry = await startRegistry([release.main, release.platform, ...release.others]);
  const redis = await startRedis();
  try {
    const context = { addon, release, registry: registry.url, redisUrl: redis.url };
    // Installed when first asked for, and once.
    let project;
    context.npmProject = () => (project ??= installWithNpm("npm", context));
    const results = await tryRows(groups, context);
    terminal.line(`\n${markdownTable(results)}\n`);
    if (flags.write) writePage(results);
    return results.filter(({ ok }) => !ok).length;
  } finally {
    registry.stop();
    await redis.stop();
  }
}

function chosenGroups() {
  if (!flags.only) return GROUPS;
  const names = GROUPS.flatMap(([, rows]) => rows.map(({ name }) => name));
  const unknown = flags.only.filter((name) => !names.includes(name));
  if (unknown.length > 0) throw new Error(`There is no row ${unknown.join(", ")}. There are: ${names.join(", ")}`);
  return GROUPS.map(([title, rows]) => [title, rows.filter(({ name }) => flags.only.includes(name))]);
}

/** One after another: together they would take each other's time and run into their deadlines. */
async function tryRows(groups, context) {
  const results = [];
  for (const [group, rows] of groups) {
    for (const { name, title, run } of rows) {
      const result = await step(name, () => run(context)).then(
        (detail) => ({ group, title, ok: true, detail }),
        (error) => ({ group, title, ok: false, detail: error.message }),
      );
      if (!result.ok) terminal.line(`  ${terminal.red("✗")} ${title}: ${result.detail}`);
      results.push(result);
    }
  }
  return results;
}

async function step(title, action) {
  const progress = terminal.progress(title);
  let seconds;
  try {
    return await action();
  } finally {
    seconds = progress.end();
    terminal.line(`  … ${title}: ${seconds} s`);
  }
}

const failed = await main().catch((error) => {
  terminal.line(`${terminal.red("✗")} ${error.message}`);
  return 1;
});
process.exitCode = failed > 0 ? 1 : 0;
