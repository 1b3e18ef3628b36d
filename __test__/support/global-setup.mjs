/**
 * The Redis servers of a whole test run, one for each test file that runs at the same time: the one that `REDIS_URL` names,
 * else private ones that end with the run.
 */
import { startRedis } from "../../tooling/servers/redis-server.mjs";

/** @param {import("vitest/node").TestProject} project */
export default async function setup(project) {
  if (process.env.REDIS_URL) {
    project.provide("redisUrls", [process.env.REDIS_URL]);
    return;
  }
  const servers = await Promise.all(
    Array.from({ length: project.config.maxWorkers }, () => startRedis({ appendonly: true })),
  );
  project.provide(
    "redisUrls",
    servers.map(({ url }) => url),
  );
  return () => Promise.all(servers.map((server) => server.stop()));
}
