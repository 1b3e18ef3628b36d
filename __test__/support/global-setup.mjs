/**
 * One Redis server for a whole test run: the one that `REDIS_URL` names, else a private one that ends with the run.
 */
import { startRedis } from "../../tooling/servers/redis-server.mjs";

/** @param {import("vitest/node").TestProject} project */
export default async function setup(project) {
  if (process.env.REDIS_URL) {
    project.provide("redisUrl", process.env.REDIS_URL);
    return;
  }
  const server = await startRedis({ appendonly: true });
  project.provide("redisUrl", server.url);
  return () => server.stop();
}
