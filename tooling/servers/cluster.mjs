/**
 * A cluster of three masters with a replica each, on free ports, fast enough in its decisions for a test.
 */
import { Redis } from "ioredis";
import { eventually } from "../eventually.mjs";
import { startRedis } from "./redis-server.mjs";

const HOST = "127.0.0.1";
const SLOTS = 16_384;

/** What makes a server a node of such a cluster. */
export const NODE_ARGS = [
  ["--cluster-enabled", "yes"],
  ["--cluster-announce-ip", HOST],
  ["--cluster-node-timeout", "1000"],
  ["--cluster-require-full-coverage", "no"],
  ["--repl-diskless-sync-delay", "0"],
].flat();

/**
 * Starts it, and resolves when every server serves all slots and every replica follows its master.
 *
 * @param {object} [options]
 * @param {number} [options.masters]
 * @param {number} [options.replicas] for each master
 * @param {string[]} [options.args] of every server
 */
export async function startMasters({ masters: count = 3, replicas = 1, args = [] } = {}) {
  const start = () => startClusterServer([...NODE_ARGS, ...args]);
  const nodes = await Promise.all(Array.from({ length: count * (1 + replicas) }, start));
  const stop = async () => {
    for (const { admin } of nodes) admin.disconnect();
    await Promise.all(nodes.map(({ server }) => server.stop()));
  };
  try {
    const masters = nodes.slice(0, count);
    await join(nodes, masters);
    for (const [index, { admin }] of nodes.slice(count).entries()) {
      await admin.call("CLUSTER", "REPLICATE", await masters[index % count].admin.call("CLUSTER", "MYID"));
    }
    const settled = async ({ admin }) => {
      const view = await admin.call("CLUSTER", "NODES");
      const lines = view.trim().split("\n");
      return (
        (await admin.call("CLUSTER", "INFO")).includes("cluster_state:ok") &&
        lines.filter((line) => line.includes("slave")).length === count * replicas
      );
    };
    await eventually(async () => (await Promise.all(nodes.map(settled))).every(Boolean), { deadline: 30_000 });
    const online = async ({ admin }) => (await admin.call("INFO", "replication")).includes(`state=online`);
    if (replicas > 0) {
      await eventually(async () => (await Promise.all(masters.map(online))).every(Boolean), { deadline: 30_000 });
    }
    return { nodes, masters, startup: nodes.map(({ server: { host, port } }) => ({ host, port })), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/**
 * Makes a cluster of servers that are not connected to each other and have no data: the masters share the slots, the first of them
 * has the first ones. Resolves when each has all of them in its map.
 *
 * @typedef {{ server: { port: number }, admin: Redis }} Node
 * @param {Node[]} nodes masters included
 * @param {Node[]} masters
 */
export async function join(nodes, masters) {
  for (const [index, { admin }] of masters.entries()) {
    const [first, last] = slotsOf(index, masters.length);
    await addSlots(admin, first, last);
    await admin.call("CLUSTER", "SET-CONFIG-EPOCH", index + 1);
  }
  for (const { server } of nodes.slice(1)) await nodes[0].admin.call("CLUSTER", "MEET", HOST, server.port);
  const known = async ({ admin }) => (await admin.call("CLUSTER", "INFO")).includes(`known_nodes:${nodes.length}`);
  await eventually(async () => (await Promise.all(nodes.map(known))).every(Boolean), { deadline: 30_000 });
}

/**
 * The first and the last slot of one of several masters.
 *
 * @param {number} index
 * @param {number} count
 */
export function slotsOf(index, count) {
  return [Math.floor((index * SLOTS) / count), Math.floor(((index + 1) * SLOTS) / count) - 1];
}

/**
 * Gives slots to a server, from the first to the last, in a way that Redis 6 understands, too.
 *
 * @param {Redis} admin
 * @param {number} first
 * @param {number} last
 */
export async function addSlots(admin, first, last) {
  await admin.call("CLUSTER", "ADDSLOTS", ...Array.from({ length: last - first + 1 }, (_, index) => first + index));
}

async function startClusterServer(args) {
  const server = await startRedis({ args });
  return { server, admin: connectAdmin(server) };
}

/**
 * A client of one node that outlives its restarts.
 *
 * @param {{ url: string }} server
 */
export function connectAdmin(server) {
  const admin = new Redis(server.url, { retryStrategy: () => 20, maxRetriesPerRequest: null });
  admin.on("error", () => {});
  return admin;
}
