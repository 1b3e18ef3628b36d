/**
 * `npm run demo`: prepares the checkout, finds a Redis server, and shows an order that survives `kill -9`. Only built-in
 * modules are loaded until the packages are installed.
 */
import { parseArgs } from "node:util";
import { COMPOSE_REDIS_URL, composeProblem, startComposeRedis } from "../tooling/servers/compose.mjs";
import { ensureRedisServer, findRedisServer, startRedis } from "../tooling/servers/redis-server.mjs";
import { setup } from "../tooling/setup.mjs";
import { createTerminal } from "../tooling/terminal.mjs";

const HELP = `An order of ten steps runs in a worker process. The process is killed with SIGKILL in the middle, another one takes
over, and no committed step runs twice. Shown in both modes of the worker.

  npm run demo                               on a Redis server of its own
  npm run demo -- --redis redis://host:6379  on your server; touches only keys it made itself
  npm run demo -- --no-setup                 with the packages and the addon as they are

It installs the npm packages and builds the addon first where that is needed (Rust: https://rustup.rs). For Redis it
takes, in this order: a redis-server on this machine, the one of docker-compose.yml, or, as root on Debian and Ubuntu,
what apt-get installs.`;

const OPTIONS = {
  redis: { type: "string" },
  "no-setup": { type: "boolean" },
  help: { type: "boolean", short: "h" },
};
const MODES = ["ISOLATED", "UNTIL_ERROR"];
const CONNECT_DEADLINE_MS = 5_000;

const terminal = createTerminal();
const { line, bold, green, red, dim } = terminal;

async function main() {
  const { values } = parseArgs({ options: OPTIONS });
  if (values.help) return line(HELP);

  line(bold("An order that survives kill -9"));
  line("A worker runs ten steps, dies in the middle, and another one finishes.");
  line();
  if (!values["no-setup"]) await setup(terminal);
  const server = values.redis ? { url: values.redis, stop() {} } : await openRedis();
  try {
    await runAll(server.url);
  } finally {
    await server.stop();
  }
}

async function runAll(url) {
  const { Redis } = await import("ioredis");
  const { runScenario } = await import("./demo/scenario.mjs");
  const { createTimeline } = await import("./demo/timeline.mjs");
  const redis = await connect(Redis, url);
  const start = Date.now();
  let failures = 0;
  try {
    for (const mode of MODES) {
      const checks = await runScenario({ mode, url, redis, timeline: createTimeline(terminal) });
      for (const { ok, claim, detail } of checks) {
        line(`  ${ok ? green("✓") : red("✗")} ${claim}`);
        if (!ok) line(`    ${red(detail)}`);
      }
      failures += checks.filter(({ ok }) => !ok).length;
    }
  } finally {
    redis.disconnect();
  }
  line();
  if (failures > 0) throw new Error(`Not everything is as promised: see the ${red("✗")} above`);
  line(`${green("✓")} ${bold("Both orders were completed.")} ${dim(`${((Date.now() - start) / 1000).toFixed(1)} s`)}`);
}

/** A Redis server of the demo's own, from wherever one can be had. */
async function openRedis() {
  if (findRedisServer()) return startPrivateRedis();

  const problem = composeProblem();
  if (!problem) {
    line("  … docker compose up -d redis");
    const service = startComposeRedis();
    line(`  ${green("✓")} Redis of docker-compose.yml on ${COMPOSE_REDIS_URL}`);
    return { url: COMPOSE_REDIS_URL, stop: service.stop };
  }
  try {
    ensureRedisServer({ log: (text) => line(`  … ${text}`) });
  } catch (error) {
    const otherwise = `Docker Compose would do as well, but: ${problem}\nOr name a server: npm run demo -- --redis <url>`;
    throw new Error(`${error.message}\n${otherwise}`);
  }
  return startPrivateRedis();
}

async function startPrivateRedis() {
  const server = await startRedis({ appendonly: true });
  line(`  ${green("✓")} a private Redis server runs on ${server.url}`);
  return server;
}

async function connect(Redis, url) {
  const redis = new Redis(url, {
    lazyConnect: true,
    connectTimeout: CONNECT_DEADLINE_MS,
    commandTimeout: CONNECT_DEADLINE_MS,
    retryStrategy: null,
  });
  // A failed connect only says that the connection is closed; the reason comes here.
  let reason;
  redis.on("error", (error) => {
    reason ??= error;
  });
  try {
    await redis.connect();
    await redis.ping();
  } catch (error) {
    redis.disconnect();
    const { path, host, port } = redis.options;
    throw new Error(`Redis at ${path ?? `${host}:${port}`} cannot be used: ${(reason ?? error).message}`);
  }
  return redis;
}

await main().catch((error) => {
  line();
  line(`${red(bold("✗"))} ${error.message}`);
  process.exitCode = 1;
});
