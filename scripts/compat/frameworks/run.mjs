/**
 * `npm run test:frameworks`: the packed package in Next.js, through bundlers and in a service, each time with a whole workflow
 * on a real Redis. Prints a table, and puts it into docs/deployment.md with `--write`. Only built-in modules are loaded until the packages are installed.
 */
import { join } from "node:path";
import { parseArgs } from "node:util";
import { ensureRedisServer, startRedis } from "../../../tooling/servers/redis-server.mjs";
import { addonFiles, ROOT, setup } from "../../../tooling/setup.mjs";
import { createTerminal } from "../../../tooling/terminal.mjs";

const HELP = `npm run test:frameworks -- [--write] [bundlers] [nextjs] [service]

Packs the packages with the addon that was built for this machine, installs them into projects in a temporary folder,
builds these with each bundler, and runs an order in what was built. Without a name, all kinds of project are tried. What npm
downloads is kept in node_modules/.cache. With --write the table goes into docs/deployment.md.`;

/**
 * @typedef {object} Context
 * @property {{ name: string, version: string }} main the package
 * @property {string} registry the URL of a registry that has it, and its binary
 * @property {import("ioredis").Redis} redis for looking into the server
 * @property {string} redisUrl a server that nothing else uses
 *
 * @typedef {object} Row something to try
 * @property {string} tool
 * @property {string} version of the tool
 * @property {string} name what is tried with it
 * @property {() => Promise<unknown>} check rejects when it does not work
 */

const terminal = createTerminal();

async function main() {
  const { values, positionals } = parseArgs({
    options: { help: { type: "boolean", short: "h" }, write: { type: "boolean" } },
    allowPositionals: true,
  });
  if (values.help) return terminal.line(HELP);
  if (values.write && positionals.length > 0) throw new Error("--write needs all kinds of project: name none.");
  const kinds = chooseKinds(positionals);

  await setup(terminal);
  ensureRedisServer({ log: terminal.line });
  const { stageRelease } = await import("../../release/stage.mjs");
  const { startRegistry } = await import("../packages/registry.mjs");
  const { writeTable } = await import("../packages/table.mjs");
  const { Redis } = await import("ioredis");
  const release = await stageRelease(addonFiles()[0]);
  terminal.line(`  ${terminal.green("✓")} packed`);
  const registry = await startRegistry([release.main, release.platform, ...release.others]);
  const server = await startRedis();
  const redis = new Redis(server.url);
  try {
    const { name, version } = release.main.manifest;
    const context = { main: { name, version }, registry: registry.url, redis, redisUrl: server.url };
    const results = await tryAll(kinds, context);
    for (const { row, error } of results.filter(({ error }) => error)) {
      terminal.line(`\n${terminal.red("✗")} ${terminal.bold(`${row.tool}, ${row.name}`)}\n${error.message}`);
      process.exitCode = 1;
    }
    if (values.write) writePage(results, writeTable);
  } finally {
    redis.disconnect();
    registry.stop();
    await server.stop();
  }
}

const KINDS = {
  bundlers: async () => (await import("./bundlers.mjs")).bundlerRows,
  nextjs: async () => (await import("./nextjs.mjs")).nextjsRows,
  service: async () => (await import("./service.mjs")).serviceRows,
};

function chooseKinds(names) {
  const unknown = names.filter((name) => !Object.hasOwn(KINDS, name));
  if (unknown.length > 0) throw new Error(`There is nothing called ${unknown.join(", ")}.\n${HELP}`);
  return Object.entries(KINDS).filter(([name]) => names.length === 0 || names.includes(name));
}

/** @returns {Promise<{ row: Row, error?: Error }[]>} */
async function tryAll(kinds, context) {
  const results = [];
  for (const [kind, load] of kinds) {
    const progress = terminal.progress(`installing ${kind}`);
    const rowsOf = await load();
    const rows = await rowsOf(context).finally(progress.end);
    for (const row of rows) results.push({ row, error: await tryRow(row, context) });
  }
  return results;
}

function writePage(results, writeTable) {
  const rows = results.map(({ row, error }) => `| ${row.tool} ${row.version} | ${row.name} | ${error ? "✗" : "✓"} |`);
  const table = ["| with | what | |", "| --- | --- | --- |", ...rows].join("\n");
  writeTable(join(ROOT, "docs", "deployment.md"), "frameworks", table);
}

async function tryRow({ tool, version, name, check }, { redis }) {
  await redis.flushall();
  const title = `${`${tool} ${version}`.padEnd(22)} ${name.padEnd(28)}`;
  const began = Date.now();
  const progress = process.stdout.isTTY ? terminal.progress(title) : undefined;
  const error = await check()
    .then(
      () => undefined,
      (reason) => reason,
    )
    .finally(() => progress?.end());
  const seconds = `${String(Math.round((Date.now() - began) / 1000)).padStart(4)} s`;
  terminal.line(`  ${error ? terminal.red("✗") : terminal.green("✓")} ${title} ${seconds}`);
  return error;
}

await main().catch((error) => {
  terminal.line(`${terminal.red("✗")} ${error.message}`);
  process.exitCode = 1;
});
