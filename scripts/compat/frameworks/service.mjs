/**
 * `examples/service` as its own package: what it needs is installed, it is built, an order is placed in it, and it ends.
 */
import { cpSync } from "node:fs";
import { join } from "node:path";
import { execute } from "../../../tooling/execute.mjs";
import { freePort } from "../../../tooling/servers/redis-server.mjs";
import { ROOT } from "../../../tooling/setup.mjs";
import { temporary } from "../../../tooling/workspace.mjs";
import { install, readJson } from "./project.mjs";
import { startServer } from "./server.mjs";

const START_DEADLINE_MS = 30_000;

/**
 * @param {import("./run.mjs").Context} context
 * @returns {Promise<import("./run.mjs").Row[]>}
 */
export async function serviceRows({ main, registry, redis, redisUrl }) {
  const home = temporary("service");
  const isSource = (path) => !/[/\\](node_modules|dist)$/.test(path);
  cpSync(join(ROOT, "examples/service"), home, { recursive: true, filter: isSource });
  const manifest = readJson(join(home, "package.json"));
  await install(home, { ...manifest, dependencies: { ...manifest.dependencies, [main.name]: main.version } }, registry);
  const versionOf = (name) => readJson(join(home, "node_modules", name, "package.json")).version;

  async function placeOrder() {
    const port = String(await freePort());
    const url = `http://127.0.0.1:${port}`;
    const own = {
      REDIS_URL: redisUrl,
      PORT: port,
      STEP_MS: "1",
      OTEL_TRACES_EXPORTER: "console",
      OTEL_METRICS_EXPORTER: "none",
    };
    const server = await startServer(["dist/main.js"], {
      cwd: home,
      env: { ...process.env, ...own },
      url: `${url}/ready`,
      deadline: START_DEADLINE_MS,
    });
    try {
      const response = await fetch(`${url}/orders/1042`, { method: "PUT", headers: { connection: "close" } });
      const { ran } = await response.json();
      if (response.status !== 200 || ran.length !== 3) throw new Error(`It answered ${response.status}: ${ran}`);
      if ((await redis.hlen("1042-results")) !== 3) throw new Error("The results of the order are not in Redis");
    } finally {
      await server.stop();
    }
    for (const expected of ['{"event":"stopped"}', "'db.operation.name': 'MULTI'"]) {
      if (!server.output().includes(expected)) throw new Error(`It did not print ${expected}:\n${server.output()}`);
    }
  }

  return [
    {
      tool: "typescript",
      version: versionOf("typescript"),
      name: "service: build",
      check: () => execute("npm", ["run", "build"], { cwd: home }),
    },
    { tool: "node", version: process.versions.node, name: "service: an order, the end", check: placeOrder },
  ];
}
