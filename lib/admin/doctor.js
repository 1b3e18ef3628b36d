"use strict";
// `doctor`: connects as the store would, and says what is good and what is not.

const { topologyChecks } = require("./doctor/cluster.js");
const { keyChecks } = require("./doctor/keyspace.js");
const { permissionChecks } = require("./doctor/permissions.js");
const { problem, serverChecks } = require("./doctor/server.js");
const { timeChecks } = require("./doctor/time.js");
const { isRefusal } = require("./servers.js");

/** Refusals of whatever is asked: nothing that follows would say more. */
const REFUSES_ALL = /^(?:NOAUTH|BUSY) /;

/**
 * @typedef {object} Check
 * @property {string} name what was looked at
 * @property {"ok" | "warning" | "problem" | "skipped"} status
 * @property {string} message what was found
 * @property {string} [advice] what to do
 * @property {string} [server] which server it is about, where there are several
 */

/**
 * @param {import("../admin.js").Context} context
 * @param {{ signal?: AbortSignal }} options
 * @returns {Promise<{ ok: boolean, checks: Check[] }>}
 */
async function doctor(context, { signal }) {
  const { servers } = context;
  const nodes = await servers.find(signal);
  const checks = [];
  const reached = [];
  for (const node of nodes) {
    try {
      const found = await examine(context, node, signal);
      checks.push(...found.map((check) => ({ ...check, server: node.name })));
      reached.push(node);
    } catch (error) {
      // Of one server among several it is a finding, else there is nothing to be said.
      if (nodes.length === 1 || !error.code?.startsWith("ERR_REDIS_")) throw error;
      checks.push({ ...problem("server", error.message, "`redis-cli --cluster check` says why"), server: node.name });
    }
  }
  checks.push(
    ...(await topologyChecks(context, nodes, reached, signal)),
    ...(await keyChecks(context, reached, signal)),
  );
  const merged = merge(checks, nodes.length);
  return { ok: !merged.some(({ status }) => status === "problem"), checks: merged };
}

/** What there is to say of one server. */
async function examine(context, node, signal) {
  const [reply] = await context.servers.on(node, [["INFO"]], signal);
  if (isRefusal(reply) && REFUSES_ALL.test(reply.refusal)) context.servers.expect(reply, "INFO");
  const info = isRefusal(reply) ? undefined : parseInfo(String(reply));
  const known = { context, node, info, signal };
  return [...(await serverChecks(known)), ...(await timeChecks(known)), ...(await permissionChecks(known))];
}

/** `INFO` as an object: https://redis.io/docs/latest/commands/info/ */
function parseInfo(text) {
  const info = {};
  for (const line of text.split("\r\n")) {
    const colon = line.indexOf(":");
    if (colon > 0 && !line.startsWith("#")) info[line.slice(0, colon)] = line.slice(colon + 1);
  }
  return info;
}

/** What all servers have in common is said once; where they differ, each is named. */
function merge(checks, servers) {
  const groups = new Map();
  for (const check of checks) {
    const group = groups.get(check.name);
    if (group) group.push(check);
    else groups.set(check.name, [check]);
  }
  return [...groups.values()].flatMap((group) => {
    const [first] = group;
    const same = group.every(({ status, message }) => status === first.status && message === first.message);
    if (servers > 1 && !same && group.some(({ status }) => status !== "ok")) return group;
    const { server, ...common } = first;
    if (servers === 1 || (group.length === 1 && first.status === "ok")) return [common];
    if (group.length === 1) return group;
    return [{ ...common, message: same ? first.message : `${first.message} (the first of ${servers} servers)` }];
  });
}

module.exports = { doctor };
