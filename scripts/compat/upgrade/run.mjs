/**
 * `npm run test:upgrade`: an earlier release and this one side by side, in one project, on the same servers: what is in Redis, fleets
 * of both, both in one process, errors, options, types, and what a program can see otherwise. What differs has to stand in the
 * changelog. Only built-in modules are loaded until the packages are installed.
 */
import { parseArgs } from "node:util";
import { ensureRedisServer } from "../../../tooling/servers/redis-server.mjs";
import { addonFiles, requireCargo, setup } from "../../../tooling/setup.mjs";
import { createTerminal } from "../../../tooling/terminal.mjs";
import { createChecks } from "./checks.mjs";

const HELP = `npm run test:upgrade -- [--from REVISION] [stores] [fleets] [together] [errors] [options] [surface] [types]

Builds the earlier release from the history (the newest of 0.2, or a REVISION of yours), packs it and this checkout, installs both
into one project in a temporary folder, and compares them on Redis servers of their own. Without a name, everything is compared. The
packed earlier release is kept in node_modules/.cache/test-upgrade, or where IDIOTEQUE_UPGRADE_CACHE says.`;

/**
 * @typedef {object} Context
 * @property {(name: string, run: () => unknown) => Promise<void>} check
 * @property {string} home the project's directory
 * @property {import("./project.mjs").Side} earlier
 * @property {import("./project.mjs").Side} current
 * @property {Awaited<ReturnType<import("./servers.mjs").startServers>>} servers
 */

/** What is compared, each with the checks of a file. */
const GROUPS = {
  stores: async () => (await import("./stores.mjs")).checkStores,
  fleets: async () => (await import("./fleets.mjs")).checkFleets,
  together: async () => (await import("./together.mjs")).checkTogether,
  errors: async () => (await import("./errors.mjs")).checkErrors,
  options: async () => (await import("./options.mjs")).checkOptions,
  surface: async () => (await import("./surface.mjs")).checkSurface,
  types: async () => (await import("./types.mjs")).checkTypes,
};

const terminal = createTerminal();

async function main() {
  const { values, positionals } = parseArgs({
    options: { help: { type: "boolean", short: "h" }, from: { type: "string" } },
    allowPositionals: true,
  });
  if (values.help) return terminal.line(HELP);
  const groups = chooseGroups(positionals);
  const { findEarlier, packEarlier } = await import("./earlier.mjs");
  const found = findEarlier(values.from);
  terminal.line(`  … ${found.version}, of commit ${found.commit.slice(0, 12)}`);

  await setup(terminal);
  ensureRedisServer({ log: terminal.line });
  const earlier = await packEarlier(found, { env: requireCargo(), log: (text) => terminal.line(`  … ${text}`) });
  const { stageRelease } = await import("../../release/stage.mjs");
  const { installBoth } = await import("./project.mjs");
  const { startServers } = await import("./servers.mjs");
  const both = await installBoth(earlier, await stageRelease(addonFiles()[0]));
  terminal.line(
    `  ${terminal.green("✓")} ${both.earlier.version} and ${both.current.version} are installed in one project`,
  );
  const { check, counts } = createChecks(terminal);
  const servers = await startServers();
  try {
    for (const [name, load] of groups) {
      terminal.line(`\n${terminal.bold(name)}`);
      const run = await load();
      await run({ ...both, check, servers });
    }
  } finally {
    await servers.stop();
  }
  const { passed, failed } = counts();
  terminal.line(`\n${passed} passed, ${failed} failed`);
  if (failed > 0) process.exitCode = 1;
}

function chooseGroups(names) {
  const unknown = names.filter((name) => !Object.hasOwn(GROUPS, name));
  if (unknown.length > 0) throw new Error(`There is nothing called ${unknown.join(", ")}.\n${HELP}`);
  return Object.entries(GROUPS).filter(([name]) => names.length === 0 || names.includes(name));
}

await main().catch((error) => {
  terminal.line(`${terminal.red("✗")} ${error.message}`);
  process.exitCode = 1;
});
