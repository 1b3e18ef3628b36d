/**
 * Another Redis at the address of a cluster's node: what happens where addresses are given out again, as to containers.
 */
import { once } from "node:events";
import { Redis } from "ioredis";
import { eventually } from "../../tooling/eventually.mjs";
import { addSlots } from "../../tooling/servers/cluster.mjs";
import { startRedis } from "../../tooling/servers/redis-server.mjs";

const HOST = "127.0.0.1";
const SLOTS = 16_384;

/**
 * @typedef {import("../../tooling/servers/redis-server.mjs").RedisServer} RedisServer
 *
 * @typedef {object} Stranger
 * @property {RedisServer} server
 * @property {Redis} admin
 * @property {() => Promise<void>} stop
 */

/**
 * Ends a server in order, with its data saved, so that `restart()` brings it back as it was; until then its port is free.
 *
 * @param {RedisServer} server
 */
export async function takeDown(server) {
  process.kill(server.pid, "SIGTERM");
  await eventually(() => !isRunning(server), { message: "the end of a server" });
}

/** Whether a server's process is there. */
export function isRunning({ pid }) {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

/**
 * Starts a server outside of the cluster, on a port that one of the cluster's nodes had.
 *
 * @param {{ port: number }} address
 * @param {object} [options]
 * @param {boolean} [options.ofCluster] it is the only node of another cluster and owns all slots
 * @param {string[]} [options.args]
 * @returns {Promise<Stranger>}
 */
export async function startStranger({ port }, { ofCluster = false, args = [] } = {}) {
  const cluster = ofCluster ? ["--cluster-enabled", "yes", "--cluster-announce-ip", HOST] : [];
  const server = await startRedis({ port, args: [...cluster, ...args] });
  const admin = new Redis(server.url);
  const stop = async () => {
    admin.disconnect();
    await server.stop();
  };
  try {
    await once(admin, "ready");
    if (ofCluster) await addSlots(admin, 0, SLOTS - 1);
    const isUp = async () => !ofCluster || (await admin.cluster("INFO")).includes("cluster_state:ok");
    await eventually(isUp, { message: "the other cluster's state" });
  } catch (error) {
    await stop();
    throw error;
  }
  return { server, admin, stop };
}

/**
 * Resolves when all nodes of a cluster report it as ok and have the same owners of all slots.
 *
 * @param {{ admin: Redis }[]} nodes
 */
export async function agree(nodes) {
  const view = async ({ admin }) => {
    const [info, slots] = await Promise.all([admin.call("CLUSTER", "INFO"), admin.call("CLUSTER", "SLOTS")]);
    const owners = slots.map(([first, last, [host, port]]) => [first, last, host, port]);
    return info.includes("cluster_state:ok") && JSON.stringify(owners.sort());
  };
  const isAgreed = async () => {
    const views = await Promise.all(nodes.map(view));
    return views[0] && new Set(views).size === 1;
  };
  await eventually(isAgreed, { deadline: 30_000, message: "all nodes to agree" });
}
