/**
 * On what the benchmark ran: figures mean nothing without it.
 */
import { readFileSync } from "node:fs";
import { arch, availableParallelism, cpus, platform, release, totalmem } from "node:os";
import { Redis } from "ioredis";

/** The clients from npm that take part, as their packages are called. */
const CLIENTS = ["ioredis", "redis", "@valkey/valkey-glide", "@upstash/redis"];

/**
 * @returns {{ cpu: string, cores: number, memory: string, system: string }}
 */
export function describeMachine() {
  return {
    cpu: cpus()[0]?.model.trim() ?? "unknown",
    cores: availableParallelism(),
    memory: `${Math.round(totalmem() / 2 ** 30)} GiB`,
    system: `${platform()} ${release()} ${arch()}`,
  };
}

/**
 * @param {string} url of the server that the benchmark uses
 * @returns {Promise<Record<string, string>>} versions by name
 */
export async function describeVersions(url) {
  const own = readJson("../package.json");
  const clients = CLIENTS.map((name) => [name, readJson(`../node_modules/${name}/package.json`).version]);
  return {
    [own.name]: own.version,
    node: process.versions.node,
    "redis-server": await serverVersion(url),
    ...Object.fromEntries(clients),
  };
}

function readJson(path) {
  return JSON.parse(readFileSync(new URL(path, import.meta.url), "utf8"));
}

async function serverVersion(url) {
  const redis = new Redis(url);
  try {
    return /^redis_version:(.*)\r$/m.exec(await redis.info("server"))[1];
  } finally {
    redis.disconnect();
  }
}
