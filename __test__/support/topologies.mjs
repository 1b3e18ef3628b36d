/**
 * The smallest cluster and the smallest Sentinel set-up that clients take for the real thing: one server with all slots,
 * and a primary that one sentinel watches.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Redis } from "ioredis";
import { addSlots } from "../../tooling/servers/cluster.mjs";
import { findRedisServer, freePort, startRedis } from "../../tooling/servers/redis-server.mjs";
import { eventually } from "./redis.mjs";

const HOST = "127.0.0.1";
const SLOTS = 16_384;

/** The name of the primary in the sentinel's configuration. */
export const SENTINEL_MASTER = "main";

/**
 * Starts a cluster of one node, and resolves when it serves all slots.
 *
 * @param {object} [options]
 * @param {number} [options.announcedPort] what the cluster's map names in place of the node's own port
 * @returns {Promise<import("../../tooling/servers/redis-server.mjs").RedisServer>}
 */
export async function startCluster({ announcedPort } = {}) {
  // Alone, it would never find its own address, which some clients need.
  const args = ["--cluster-enabled", "yes", "--cluster-announce-ip", HOST];
  // Redis 6.0 takes it at its start only.
  if (announcedPort !== undefined) args.push("--cluster-announce-port", String(announcedPort));
  const server = await startRedis({ args });
  const admin = new Redis(server.url);
  try {
    await addSlots(admin, 0, SLOTS - 1);
    const isUp = async () => (await admin.cluster("INFO")).includes("cluster_state:ok");
    await eventually(isUp, { message: "the cluster's state" });
  } finally {
    admin.disconnect();
  }
  return server;
}

/**
 * Starts a primary and a sentinel, and resolves when the sentinel has found the primary.
 *
 * @returns {Promise<{ url: string, sentinel: { host: string, port: number }, stop: () => Promise<void> }>} `url` is the
 *   primary's
 */
export async function startSentinel() {
  const primary = await startRedis();
  const port = await freePort();
  const dir = mkdtempSync(join(tmpdir(), "idioteque-sentinel-"));
  const config = join(dir, "sentinel.conf");
  writeFileSync(
    config,
    [
      `bind ${HOST}`,
      `port ${port}`,
      `dir ${dir}`,
      `sentinel monitor ${SENTINEL_MASTER} ${HOST} ${primary.port} 1`,
      "",
    ].join("\n"),
  );
  const child = spawn(findRedisServer(), [config, "--sentinel"], { stdio: "ignore" });
  const end = () => child.kill("SIGKILL");
  process.once("exit", end);
  const exited = once(child, "exit");

  const admin = new Redis({ host: HOST, port, retryStrategy: () => 20, maxRetriesPerRequest: null });
  admin.on("error", () => {});
  async function stop() {
    end();
    await exited;
    process.off("exit", end);
    rmSync(dir, { recursive: true, force: true });
    await primary.stop();
  }
  try {
    const address = () => admin.call("SENTINEL", "GET-MASTER-ADDR-BY-NAME", SENTINEL_MASTER);
    await eventually(async () => (await address())?.[1] === String(primary.port), { message: "the sentinel's answer" });
  } catch (error) {
    await stop();
    throw error;
  } finally {
    admin.disconnect();
  }
  return { url: primary.url, sentinel: { host: HOST, port }, stop };
}

/**
 * Starts both.
 *
 * @returns {Promise<{ clusterUrl: string, sentinelUrl: string, sentinel: { host: string, port: number }, stop: () => Promise<void> }>}
 */
export async function startTopologies() {
  const [cluster, watched] = await Promise.all([startCluster(), startSentinel()]);
  return {
    clusterUrl: cluster.url,
    sentinelUrl: watched.url,
    sentinel: watched.sentinel,
    stop: async () => void (await Promise.all([cluster.stop(), watched.stop()])),
  };
}
