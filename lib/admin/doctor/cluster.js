"use strict";
// Whether a cluster has all slots.

const { isRefusal } = require("../servers.js");
const { SLOTS } = require("../slots.js");
const { ok, problem } = require("./server.js");

async function topologyChecks({ servers }, nodes, reached, signal) {
  if (!servers.isCluster) return [];
  let covered = 0;
  for (const { slots } of nodes) for (const [first, last] of slots) covered += last - first + 1;
  const text = `${covered} of ${SLOTS}, on ${nodes.length} primaries`;
  const advice = "`redis-cli --cluster check` says which; `--cluster fix` gives them to a node";
  const checks = [
    covered === SLOTS ? ok("slots", text) : problem("slots", `${text}: executions in the others fail`, advice),
  ];
  for (const node of reached) {
    const [reply] = await servers.on(node, [["CLUSTER", "INFO"]], signal);
    if (isRefusal(reply) || /cluster_state:ok/.test(reply)) continue;
    checks.push(
      problem("cluster state", `${node.name} calls the cluster down`, "`redis-cli --cluster check` says why"),
    );
  }
  return checks;
}

module.exports = { topologyChecks };
