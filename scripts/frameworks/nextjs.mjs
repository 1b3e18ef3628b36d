/**
 * `examples/nextjs` built with both of its bundlers, served, and an order placed in it; and what its edge runtime says.
 */
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { freePort } from "../redis-server.mjs";
import { ROOT } from "../setup.mjs";
import { checkJournal, checkNothingLeft, isLastStepDone } from "./order.mjs";
import { run, runNode, startServer, waitFor } from "./program.mjs";
import { install, readJson } from "./project.mjs";

const SHARED = ["order-workflow.mjs", "worker.mjs"];
const NEXT = "node_modules/next/dist/bin/next";
const BUILD_DEADLINE_MS = 4 * 60_000;
const START_DEADLINE_MS = 60_000;
const ORDER_DEADLINE_MS = 60_000;
const SECRET = "of this run";
/** Calls nobody, and uses the processors that a small machine has for the build itself. */
const BUILD_ENV = { NEXT_TELEMETRY_DISABLED: "1", NODE_ENV: "production" };

const BUNDLERS = [
  { bundler: "Turbopack", flags: ["--turbopack"] },
  { bundler: "webpack", flags: ["--webpack"] },
];

/** The edge runtime has no addons; the package says so where it is imported there. */
const EDGE_ROUTE = `import { createRedisStore } from "@idioteque/redis";

export const runtime = "edge";

export function GET() {
  try {
    return Response.json({ backend: createRedisStore("redis://localhost").backend });
  } catch (error) {
    return Response.json({ message: error.message });
  }
}
`;

/**
 * @param {import("./run.mjs").Context} context
 * @returns {Promise<import("./run.mjs").Row[]>}
 */
export async function nextjsRows({ dir, packed, redis, redisUrl }) {
  const home = join(dir, "examples", "nextjs");
  layOut(dir);
  const manifest = readJson(join(home, "package.json"));
  await install(home, { ...manifest, dependencies: { ...manifest.dependencies, ...packed } });
  const { version } = readJson(join(home, "node_modules/next/package.json"));

  /** One build for both ways to serve: `next start` does not look at `output`. */
  async function build(flags) {
    const config = join(home, "next.config.mjs");
    const usual = readFileSync(config, "utf8");
    rmSync(join(home, ".next"), { recursive: true, force: true });
    writeFileSync(config, usual.replace("export default {", 'export default {\n  output: "standalone",'));
    try {
      await runNode([NEXT, "build", ...flags], { cwd: home, env: BUILD_ENV, deadline: BUILD_DEADLINE_MS });
    } finally {
      writeFileSync(config, usual);
    }
    checkTraced(home);
  }

  /** Serves the app, places an order, and sees it through. */
  async function serve(args, cwd) {
    const port = await freePort();
    const url = `http://127.0.0.1:${port}`;
    const env = { REDIS_URL: redisUrl, APP_URL: url, WORKER_SECRET: SECRET, PORT: String(port), HOSTNAME: "127.0.0.1" };
    const server = await startServer(args, { cwd, env, deadline: START_DEADLINE_MS, url });
    try {
      await orderThrough(url, server);
    } finally {
      await server.stop();
    }
  }

  async function orderThrough(url, server) {
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

  /** The output for images: a directory that has to be enough by itself. */
  async function serveStandalone(flags) {
    const target = join(dir, `standalone${flags.join("")}`);
    cpSync(join(home, ".next", "standalone"), target, { recursive: true, verbatimSymlinks: true });
    await serve(["server.js"], join(target, "nextjs"));
  }

  async function edge(flags) {
    const route = join(home, "app/api/edge");
    mkdirSync(route, { recursive: true });
    writeFileSync(join(route, "route.js"), EDGE_ROUTE);
    rmSync(join(home, ".next"), { recursive: true, force: true });
    try {
      return await run(process.execPath, [NEXT, "build", ...flags], {
        cwd: home,
        env: BUILD_ENV,
        deadline: BUILD_DEADLINE_MS,
      });
    } finally {
      rmSync(route, { recursive: true });
    }
  }

  const rows = BUNDLERS.flatMap(({ bundler, flags }) => [
    { name: `build: ${bundler}`, check: () => build(flags) },
    { name: `next start: ${bundler}`, check: () => serve([NEXT, "start"], home) },
    { name: `standalone: ${bundler}`, check: () => serveStandalone(flags) },
    { name: `edge route: ${bundler}`, check: () => edge(flags).then((r) => console.log(r.ok, r.output)) },
  ]);
  return rows.map((row) => ({ ...row, tool: "next", version }));
}

function layOut(dir) {
  const isSource = (path) => !/[/\\](node_modules|\.next)$/.test(path);
  cpSync(join(ROOT, "examples/nextjs"), join(dir, "examples/nextjs"), { recursive: true, filter: isSource });
  for (const name of SHARED) cpSync(join(ROOT, "examples", name), join(dir, "examples", name));
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
