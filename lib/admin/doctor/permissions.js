"use strict";
// Whether the user may run each command that the store needs, on keys of the names that the store writes. Nothing is written:
// the commands are queued in a transaction that a wrong command has spoilt, and the server says at once what is not permitted.
// Unlike `ACL DRYRUN` that needs no permission that the store does not need, and works since Redis 6.0.

const { randomUUID } = require("node:crypto");
const { isRefusal } = require("../servers.js");
const { ok, problem, warning } = require("./server.js");

/** A command that no server has. */
const SPOIL = ["IDIOTEQUE.SPOIL"];
const NOT_PERMITTED = /^NOPERM|^ERR unknown (command|subcommand)/;

async function permissionChecks({ context, node, signal }) {
  const { servers, keys, native } = context;
  const { execution, transactions, results } = keys.of(randomUUID());
  const needed = [
    ["GET", execution],
    ["SET", execution, "true", "XX"],
    ["HGET", transactions, "doctor"],
    ["HSET", transactions, "doctor", "true"],
    ["HDEL", transactions, "doctor"],
    ["HGETALL", results],
    ["UNLINK", results],
  ];
  const useful = [
    ["CLIENT", "INFO"],
    ["CLIENT", "KILL", "ID", "0"],
  ];
  if (native.ttl !== undefined || native.guards) needed.push(["PEXPIRE", results, "1000"]);
  if (native.leases) needed.push(["HPEXPIRE", transactions, "1000", "FIELDS", "1", "doctor"]);
  if (native.guards) needed.push(["PTTL", results], ["PERSIST", results]);
  if (native.guards || native.claims) needed.push(["EXISTS", execution], ["EVAL", "return 0", "1", transactions]);
  if (native.claims) needed.push(["HEXISTS", results, "doctor"]);
  if (native.backend === "upstash") return overHttp(servers, node, needed, signal);

  const [multi, exec] = await servers.on(node, [["MULTI"], ["EXEC"]], signal);
  const brackets = [
    ["MULTI", multi],
    ["EXEC", exec],
  ]
    .filter(([, reply]) => isDenied(reply))
    .map(([name]) => name);
  if (brackets.length > 0) {
    // An open transaction must not swallow what is asked next.
    servers.native.close();
    await servers.find(signal);
    return [denied(brackets)];
  }
  const commands = [["MULTI"], SPOIL, ...needed, ...useful, ["EXEC"]];
  const replies = (await servers.on(node, commands, signal)).slice(2, -1);
  const names = [...needed, ...useful].map((command) => nameOf(command));
  const missing = names.filter((_, index) => isDenied(replies[index]));
  const checks = [];
  const ofStore = missing.filter((name) => !name.startsWith("CLIENT"));
  checks.push(ofStore.length > 0 ? denied(ofStore) : ok("permissions", "all commands that the store needs"));
  const ofClient = missing.filter((name) => name.startsWith("CLIENT"));
  if (ofClient.length > 0) {
    const advice = `ACL SETUSER … ${ofClient.map(granted).join(" ")}`;
    const text = `${ofClient.join(", ")} not permitted: a late write is guarded against less well`;
    checks.push(warning("permissions for reconnecting", text, advice));
  }
  return checks;
}

/** Over HTTP there are no transactions to spoil: what writes nothing is carried out. */
async function overHttp(servers, node, needed, signal) {
  const harmless = needed.filter(([name]) => name !== "HSET");
  const replies = await servers.on(node, harmless, signal);
  const missing = harmless.filter((_, index) => isDenied(replies[index])).map(nameOf);
  if (missing.length === 0) return [ok("permissions", "all commands that could be tried without writing")];
  return [problem("permissions", `${missing.join(", ")} not permitted`, "is this a read-only token?")];
}

function denied(names) {
  const advice = `ACL SETUSER … ${names.map(granted).join(" ")}, and its keys`;
  return problem("permissions", `${names.join(", ")} not permitted`, advice);
}

function isDenied(reply) {
  return isRefusal(reply) && NOT_PERMITTED.test(reply.refusal);
}

function nameOf(command) {
  return command[0] === "CLIENT" ? `CLIENT ${command[1]}` : command[0];
}

function granted(name) {
  return `+${name.toLowerCase().replace(" ", "|")}`;
}

module.exports = { permissionChecks };
