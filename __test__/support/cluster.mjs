/**
 * A cluster of three masters with a replica each, on free ports, fast enough in its decisions for a test.
 */
import { Redis } from "ioredis";
import { startRedis } from "../../scripts/redis-server.mjs";
import { eventually } from "./eventually.mjs";

const HOST = "127.0.0.1";
const SLOTS = 16_384;

/**
 * Starts it, and resolves when every server serves all slots and every replica follows its master.
 *
 * @param {object} [options]
 * @param {number} [options.masters]
 * @param {number} [options.replicas] for each master
 * @param {string[]} [options.args] of every server
 */
export async function startMasters({ masters: count = 3, replicas = 1, args = [] } = {}) {
  const common = ["--cluster-enabled", "yes", "--cluster-announce-ip", HOST, "--cluster-node-timeout", "1000"];
  const more = ["--cluster-require-full-coverage", "no", "--repl-diskless-sync-delay", "0", ...args];
  const start = () => startClusterServer([...common, ...more]);
  const nodes = await Promise.all(Array.from({ length: count * (1 + replicas) }, start));
  const stop = async () => {
    for (const { admin } of nodes) admin.disconnect();
    await Promise.all(nodes.map(({ server }) => server.stop()));
  };
  try {
    const masters = nodes.slice(0, count);
    for (const [index, { admin }] of masters.entries()) {
      const first = Math.floor((index * SLOTS) / count);
      await addSlots(admin, first, Math.floor(((index + 1) * SLOTS) / count) - 1);
      await admin.call("CLUSTER", "SET-CONFIG-EPOCH", index + 1);
    }
    for (const { server } of nodes.slice(1)) await nodes[0].admin.call("CLUSTER", "MEET", HOST, server.port);
    const known = async ({ admin }) => (await admin.call("CLUSTER", "INFO")).includes(`known_nodes:${nodes.length}`);
    await eventually(async () => (await Promise.all(nodes.map(known))).every(Boolean), { deadline: 30_000 });
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
  const admin = new Redis(server.url, { retryStrategy: () => 20, maxRetriesPerRequest: null });
  admin.on("error", () => {});
  return { server, admin };
}
