/**
 * A primary with replicas and the sentinels that watch them, on free ports, fast enough in their decisions for a test.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { Redis } from "ioredis";
import { eventually } from "../eventually.mjs";
import { findRedisServer, freePort, startRedis } from "./redis-server.mjs";
import { startTlsRedis } from "./tls.mjs";

const HOST = "127.0.0.1";

/** The name of the primary in the sentinels' configuration. */
export const MASTER = "main";

/**
 * Starts them, and resolves when every sentinel has found all the others and is connected to all replicas: one that it
 * has only heard of is "disconnected" to it, and clients leave that out until the sentinel tells of a change.
 *
 * @param {object} [options]
 * @param {number} [options.replicas]
 * @param {number} [options.sentinels]
 * @param {string} [options.password] of the sentinels themselves
 * @param {import("./certificates.mjs").Authority} [options.authority] with one, all of them use TLS with each other, the
 *   sentinels nothing else
 */
export async function startSentinels({ replicas = 2, sentinels: count = 3, password, authority } = {}) {
  const common = ["--repl-diskless-sync-delay", "0"];
  const start = (...more) =>
    authority
      ? startTlsRedis(authority, { args: [...common, "--tls-replication", "yes", ...more] })
      : startRedis({ args: [...common, ...more] });
  const portOf = (server) => server.tlsPort ?? server.port;
  const primary = await start();
  const replica = () => start("--replicaof", HOST, String(portOf(primary)));
  const servers = [primary, ...(await Promise.all(Array.from({ length: replicas }, replica)))];
  const tls = authority && { ca: authority.cert, files: dirname(primary.caFile) };
  const sentinels = await Promise.all(
    Array.from({ length: count }, () => startSentinel(portOf(primary), { count, password, tls })),
  );

  const stop = async () => {
    await Promise.all(sentinels.map((sentinel) => sentinel.stop()));
    await Promise.all(servers.map((server) => server.stop()));
  };
  const address = async () => {
    const [, port] = await sentinels[0].ask("SENTINEL", "GET-MASTER-ADDR-BY-NAME", MASTER);
    return Number(port);
  };
  const knows = async (sentinel) => {
    const master = await sentinel.ask("SENTINEL", "MASTER", MASTER);
    const field = (name) => Number(master[master.indexOf(name) + 1]);
    return field("num-other-sentinels") === count - 1 && (await replicasOf(sentinel)) === replicas;
  };
  const ready = async () => {
    for (const sentinel of sentinels) if (!(await knows(sentinel))) return false;
    return true;
  };
  try {
    await eventually(ready, { deadline: 30_000, message: "the sentinels' knowledge" });
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    servers,
    sentinels,
    addresses: sentinels.map(({ port }) => ({ host: HOST, port })),
    /** The server that the first sentinel calls the primary. */
    primary: async () => {
      const port = await address();
      return servers.find((server) => portOf(server) === port);
    },
    stop,
  };
}

/** The configuration of a sentinel with the certificate of its primary. */
function tlsLines(files) {
  const names = { cert: "cert.pem", key: "key.pem", "ca-cert": "ca.pem" };
  const lines = Object.entries(names).map(([option, name]) => `tls-${option}-file ${join(files, name)}`);
  return [...lines, "tls-auth-clients no"];
}

async function startSentinel(primaryPort, { count, password, tls }) {
  const port = await freePort();
  const dir = mkdtempSync(join(tmpdir(), "idioteque-sentinel-"));
  const config = join(dir, "sentinel.conf");
  const lines = [
    `bind ${HOST}`,
    ...(tls ? ["port 0", `tls-port ${port}`, "tls-replication yes", ...tlsLines(tls.files)] : [`port ${port}`]),
    `dir ${dir}`,
    `sentinel monitor ${MASTER} ${HOST} ${primaryPort} ${Math.floor(count / 2) + 1}`,
    `sentinel down-after-milliseconds ${MASTER} 500`,
    `sentinel failover-timeout ${MASTER} 3000`,
    `sentinel parallel-syncs ${MASTER} 2`,
  ];
  // The password that it requires it also uses with the other sentinels.
  if (password) lines.push(`requirepass ${password}`);
  writeFileSync(config, `${lines.join("\n")}\n`);
  let child;
  let exited;
  const start = () => {
    child = spawn(findRedisServer(), [config, "--sentinel"], { stdio: "ignore" });
    exited = once(child, "exit");
  };
  const end = () => child.kill("SIGKILL");
  start();
  process.once("exit", end);
  const secure = tls && { tls: { ca: tls.ca } };
  const admin = new Redis({
    host: HOST,
    port,
    password,
    ...secure,
    retryStrategy: () => 20,
    maxRetriesPerRequest: null,
  });
  admin.on("error", () => {});
  return {
    port,
    ask: (...command) => admin.call(...command),
    async kill() {
      end();
      await exited;
    },
    start,
    async stop() {
      admin.disconnect();
      end();
      await exited;
      process.off("exit", end);
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

/**
 * How many replicas a sentinel holds to be well.
 *
 * @param {{ ask: (...command: string[]) => Promise<any> }} sentinel
 */
export async function replicasOf(sentinel) {
  const replicas = await sentinel.ask("SENTINEL", "REPLICAS", MASTER);
  return replicas.filter((replica) => replica[replica.indexOf("flags") + 1] === "slave").length;
}
