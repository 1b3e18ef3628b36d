/**
 * `examples/nextjs` built with both of its bundlers, served, and an order placed in it; and the error in its edge runtime.
 */
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { execute } from "../../../tooling/execute.mjs";
import { freePort } from "../../../tooling/servers/redis-server.mjs";
import { ROOT } from "../../../tooling/setup.mjs";
import { temporary } from "../../../tooling/workspace.mjs";
import { checkJournal, checkNothingLeft, isLastStepDone } from "./order.mjs";
import { install, readJson } from "./project.mjs";
import { startServer, waitFor } from "./server.mjs";

const EXAMPLE = "examples/nextjs";
const NEXT = "node_modules/next/dist/bin/next";
const BUILD_DEADLINE_MS = 8 * 60_000;
const START_DEADLINE_MS = 60_000;
const ORDER_DEADLINE_MS = 60_000;
const SECRET = "of this run";

/** Both of its bundlers, and how each is chosen. */
const FLAGS = { Turbopack: "--turbopack", webpack: "--webpack" };

/** The edge runtime has no addons; a store made there throws an error with that reason. */
const EDGE_ROUTE = `import { createRedisStore } from "@idioteque/redis";

export const runtime = "edge";

export function GET() {
  try {
    return Response.json({ backend: createRedisStore("redis://localhost").backend });
  } catch (error) {
    return Response.json({ code: error.code, message: error.message });
  }
}
`;

/**
 * @param {import("./run.mjs").Context} context
 * @returns {Promise<import("./run.mjs").Row[]>}
 */
export async function nextjsRows({ main, registry, redis, redisUrl }) {
  const checkout = temporary("nextjs");
  const home = join(checkout, EXAMPLE);
  layOut(checkout);
  const manifest = readJson(join(home, "package.json"));
  await install(home, { ...manifest, dependencies: { ...manifest.dependencies, [main.name]: main.version } }, registry);
  const { version } = readJson(join(home, "node_modules/next/package.json"));
  let built;

  const next = (...args) => {
    const env = { ...process.env, NEXT_TELEMETRY_DISABLED: "1", NODE_ENV: "production" };
    return execute(process.execPath, [NEXT, ...args], { cwd: home, env, deadline: BUILD_DEADLINE_MS });
  };

  /** One build for both ways to serve: `next start` does not look at `output`. */
  async function build(bundler) {
    const config = join(home, "next.config.mjs");
    const usual = readFileSync(config, "utf8");
    rmSync(join(home, ".next"), { recursive: true, force: true });
    built = undefined;
    writeFileSync(config, usual.replace("export default {", 'export default {\n  output: "standalone",'));
    try {
      await next("build", FLAGS[bundler]);
    } finally {
      writeFileSync(config, usual);
    }
    checkTraced(home);
    built = bundler;
  }

  async function start(bundler) {
    if (built !== bundler) throw new Error("It was not built");
    await serve([NEXT, "start"], home);
  }

  /** The output for images: a directory that has to be enough by itself. */
  async function startStandalone(bundler) {
    if (built !== bundler) throw new Error("It was not built");
    const target = temporary(`standalone-${bundler}`);
    cpSync(join(home, ".next", "standalone"), target, { recursive: true, verbatimSymlinks: true });
    await serve(["server.js"], join(target, EXAMPLE));
  }

  /** Serves the app, places an order, and sees it through. */
  async function serve(args, cwd) {
    await withServer(args, cwd, (url, server) => orderThrough(url, server, redis));
  }

  async function withServer(args, cwd, action) {
    const port = String(await freePort());
    const url = `http://127.0.0.1:${port}`;
    const own = { REDIS_URL: redisUrl, APP_URL: url, WORKER_SECRET: SECRET, PORT: port, HOSTNAME: "127.0.0.1" };
    const server = await startServer(args, { cwd, env: { ...process.env, ...own }, url, deadline: START_DEADLINE_MS });
    try {
      await action(url, server);
    } finally {
      await server.stop();
    }
  }

  /**
   * An edge route that imports the package builds, and gets an error with the reason when it makes a store. Not with webpack, with which Next.js
   * 16.4.6 builds no edge route whatever it imports.
   */
  async function edge() {
    const route = join(home, "app/api/edge");
    mkdirSync(route, { recursive: true });
    writeFileSync(join(route, "route.js"), EDGE_ROUTE);
    rmSync(join(home, ".next"), { recursive: true, force: true });
    built = undefined;
    try {
      await next("build", FLAGS.Turbopack);
      await withServer([NEXT, "start"], home, async (url) => {
        const { code, message } = await (await fetch(`${url}/api/edge`)).json();
        if (code !== "ERR_REDIS_LOAD" || !message.includes("edge runtime"))
          throw new Error(`It said: ${code} ${message}`);
      });
    } finally {
      rmSync(route, { recursive: true });
    }
  }

  const rows = Object.keys(FLAGS).flatMap((bundler) => [
    { name: `${bundler}: build, addon traced`, check: () => build(bundler) },
    { name: `${bundler}: next start`, check: () => start(bundler) },
    { name: `${bundler}: standalone`, check: () => startStandalone(bundler) },
  ]);
  rows.push({ name: "Turbopack: edge route told why", check: edge });
  return rows.map((row) => ({ ...row, tool: "next", version }));
}

async function orderThrough(url, server, redis) {
  const page = await (await fetch(url)).text();
  if (!page.includes("Place an order")) throw new Error(`The page has no button:\n${page}`);
  const uninvited = await fetch(`${url}/api/worker`, { method: "POST", body: "{}" });
  if (uninvited.status !== 401) throw new Error(`The worker's route answers ${uninvited.status} to anybody`);
  const { id } = await (await fetch(`${url}/api/orders`, { method: "POST" })).json();
  const look = async () => (await fetch(`${url}/api/orders/${id}`)).json();
  let most = 0;
  const isDone = async () => {
    most = Math.max(most, (await look()).done.length);
    return isLastStepDone(server.output());
  };
  await waitFor("the order's last step", isDone, ORDER_DEADLINE_MS).catch((error) => {
    throw new Error(`${error.message}:\n${server.output()}`);
  });
  await waitFor("the end of the order", async () => !(await look()).inProgress, ORDER_DEADLINE_MS);
  if (most === 0) throw new Error("No result of the order was seen while it was in progress");
  checkJournal(server.output());
  await checkNothingLeft(redis);
}

/** The example, and beside it what it takes from the checkout. */
function layOut(checkout) {
  const isSource = (path) => !/[/\\](node_modules|\.next)$/.test(path);
  cpSync(join(ROOT, EXAMPLE), join(checkout, EXAMPLE), { recursive: true, filter: isSource });
  cpSync(join(ROOT, "tooling/workflow"), join(checkout, "tooling/workflow"), { recursive: true });
}

/** Every route that uses the store has the addon among the files that Next.js has traced for it. */
function checkTraced(home) {
  const server = join(home, ".next/server/app/api");
  const traces = readdirSync(server, { recursive: true }).filter((name) => name.endsWith("route.js.nft.json"));
  const untraced = traces.filter((name) => !readJson(join(server, name)).files.some((file) => file.endsWith(".node")));
  if (traces.length !== 3 || untraced.length > 0) {
    throw new Error(`Of the traces ${traces.join(", ")} these lack the addon: ${untraced.join(", ") || "none"}`);
  }
}
