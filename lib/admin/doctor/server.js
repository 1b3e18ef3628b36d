"use strict";
// What `INFO` says of one server: version, role, persistence, eviction, memory, replicas, clients.

const { isRefusal } = require("../servers.js");

/** The version that is recommended, and the oldest that is tested. */
const RECOMMENDED = [6, 2];
const OLDEST = [6, 0];
/** The parts of memory and clients above which there is little left, and too little. */
const MUCH = 0.8;
const TOO_MUCH = 0.95;

const ok = (name, message) => ({ name, status: "ok", message });
const warning = (name, message, advice) => ({ name, status: "warning", message, advice });
const problem = (name, message, advice) => ({ name, status: "problem", message, advice });
const skipped = (name, message) => ({ name, status: "skipped", message });

async function serverChecks({ context, node, info, signal }) {
  if (!info) return [skipped("server", "INFO is not permitted, so that little can be said")];
  const config = await readConfig(context, node, signal);
  const role = info.role === "slave" ? "replica" : "primary";
  return [
    version(info),
    asOneServer(context, info),
    role === "primary"
      ? ok("role", "primary")
      : problem(
          "role",
          `this is a replica of ${info.master_host}:${info.master_port}, which refuses writes`,
          "connect to its primary",
        ),
    persistence(info, config),
    eviction(context, info),
    evicted(info),
    memory(info),
    ...(role === "primary" ? [replicas(info, config)] : []),
    clients(info, config),
  ].filter(Boolean);
}

/** The settings that only `CONFIG GET` tells; undefined where it is not permitted. */
async function readConfig({ servers }, node, signal) {
  const names = ["save", "min-replicas-to-write", "maxclients"];
  const replies = await servers.on(
    node,
    names.map((name) => ["CONFIG", "GET", name]),
    signal,
  );
  const value = (reply) => (isRefusal(reply) || !Array.isArray(reply) ? undefined : reply[1]);
  return Object.fromEntries(names.map((name, index) => [name, value(replies[index])]));
}

function version(info) {
  const isValkey = info.server_name === "valkey" || info.valkey_version !== undefined;
  const text = `${isValkey ? "Valkey" : "Redis"} ${info.valkey_version ?? info.redis_version ?? "of an unknown version"}`;
  const [major, minor] = (info.redis_version ?? "").split(".").map(Number);
  if (Number.isNaN(minor ?? Number.NaN)) return skipped("version", text);
  const isBefore = ([ofMajor, ofMinor]) => major < ofMajor || (major === ofMajor && minor < ofMinor);
  if (isBefore(OLDEST)) return problem("version", `${text} is older than any that is tested`, "use Redis 6.2 or later");
  if (isBefore(RECOMMENDED)) {
    return warning(
      "version",
      `${text} has no SET … GET: a key of another type is overwritten`,
      "use Redis 6.2 or later",
    );
  }
  return ok("version", text);
}

function asOneServer({ servers, native }, info) {
  if (info.cluster_enabled !== "1" || servers.isCluster || native.backend === "upstash") return undefined;
  const advice = "name it as a cluster: an array of its nodes, on the command line `--cluster`";
  return problem("topology", "this is a node of a cluster, and it is used as if it were alone", advice);
}

function persistence(info, config) {
  const name = "persistence";
  if (info.loading === "1")
    return problem(name, "the server is loading its data and refuses commands", "wait until it has");
  if (info.aof_enabled === "1") {
    if (info.aof_last_write_status !== "err") return ok(name, "append-only file");
    return problem(name, "the append-only file cannot be written, so that writes are refused", "is the disk full?");
  }
  if (info.rdb_last_bgsave_status === "err") {
    return problem(name, "the last snapshot failed, so that writes may be refused (MISCONF)", "is the disk full?");
  }
  if (config.save === undefined) {
    return info.aof_enabled === undefined
      ? skipped(name, "the server does not tell")
      : skipped(name, "no append-only file; whether there are snapshots only CONFIG GET would tell");
  }
  if (config.save !== "") {
    const advice = "switch on the append-only file (`appendonly yes`)";
    return warning(name, "snapshots only: what came after the last one is lost in a crash", advice);
  }
  return problem(
    name,
    "nothing is written to disk: a restart loses all executions",
    "switch on the append-only file (`appendonly yes`)",
  );
}

function eviction({ ttl }, info) {
  const name = "eviction";
  const policy = info.maxmemory_policy;
  if (policy === undefined) return skipped(name, "the server does not name its policy");
  if (policy.startsWith("allkeys-")) {
    return problem(name, `${policy} deletes executions when memory is short`, "set maxmemory-policy to noeviction");
  }
  if (policy.startsWith("volatile-") && ttl !== undefined) {
    const advice = "set maxmemory-policy to noeviction";
    return warning(
      name,
      `${policy} deletes what has an expiry when memory is short, as executions have with \`ttl\``,
      advice,
    );
  }
  return ok(name, policy);
}

function evicted(info) {
  const name = "evicted keys";
  if (info.evicted_keys === undefined) return undefined;
  const count = Number(info.evicted_keys);
  if (count === 0) return ok(name, "none");
  const advice = "give the server more memory, and set maxmemory-policy to noeviction";
  return warning(name, `${count} since the server was started; executions may be among them`, advice);
}

function memory(info) {
  const name = "memory";
  const [used, limit] = [Number(info.used_memory), Number(info.maxmemory)];
  if (Number.isNaN(used)) return undefined;
  if (!(limit > 0)) return ok(name, `${bytes(used)} used, no limit`);
  const text = `${bytes(used)} of ${bytes(limit)} used (${percent(used / limit)})`;
  const advice = "raise maxmemory, set `ttl`, or delete what is not needed (`idioteque-redis sweep`)";
  if (used / limit >= TOO_MUCH) return problem(name, text, advice);
  return used / limit >= MUCH ? warning(name, text, advice) : ok(name, text);
}

function replicas(info, config) {
  const name = "replicas";
  const count = Number(info.connected_slaves ?? 0);
  const needed = Number(config["min-replicas-to-write"] ?? 0);
  const good = Number(info.min_slaves_good_slaves ?? count);
  const text = `${count} connected`;
  if (info.min_slaves_good_slaves !== undefined && good < Math.max(needed, 1)) {
    const wanted = needed > 0 ? needed : "more";
    const advice = "bring replicas back, or lower min-replicas-to-write";
    return problem(name, `${good} in reach and min-replicas-to-write wants ${wanted}: writes are refused`, advice);
  }
  if (count > 0 && config["min-replicas-to-write"] === "0") {
    const advice = "set min-replicas-to-write and min-replicas-max-lag";
    return warning(
      name,
      `${text}, and min-replicas-to-write is 0: a primary that lost them goes on taking writes`,
      advice,
    );
  }
  return ok(name, needed > 0 ? `${text}, ${needed} needed to write` : text);
}

function clients(info, config) {
  const name = "clients";
  const count = Number(info.connected_clients);
  const limit = Number(info.maxclients ?? config.maxclients);
  if (Number.isNaN(count)) return undefined;
  if (!(limit > 0)) return ok(name, `${count} connected`);
  const text = `${count} of ${limit} connected`;
  const advice = "raise maxclients, or find who keeps connections open (`CLIENT LIST`)";
  if (count / limit >= TOO_MUCH) return problem(name, text, advice);
  return count / limit >= MUCH ? warning(name, text, advice) : ok(name, text);
}

function bytes(count) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  const power = count < 1 ? 0 : Math.min(Math.floor(Math.log2(count) / 10), units.length - 1);
  return `${(count / 2 ** (10 * power)).toFixed(power === 0 ? 0 : 1)} ${units[power]}`;
}

function percent(part) {
  return `${Math.round(part * 100)} %`;
}

module.exports = { ok, problem, serverChecks, skipped, warning };
