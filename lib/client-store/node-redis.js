"use strict";
// How the methods of a node-redis client are called: without what its owner has set up for other uses, and so that the primary
// answers.

/** The first byte of a map in RESP3, by which type mappings of node-redis name it. */
const RESP_MAP = "%".charCodeAt(0);

/**
 * The client, and a view of it without what its owner has set up for other uses: callbacks (version 4), type mappings (5
 * and 6). A view does not have the spies that sit on the client, so methods are taken from the one and called on the other.
 * Hashes come as a `Map`, because the plain object of version 6 loses a task that is called `__proto__`.
 *
 * @param {object} client of `createClient`, `createCluster`, `createSentinel` or `createClientPool`
 * @returns {{ client: object, view: object, ask?: (method: string, key: string, field?: string) => Promise | undefined }} `ask`
 *   reads from the primary where the client's own methods may read from a replica, which may not have yet what was just
 *   written; `undefined` where the method has been replaced, and is to be called
 */
function openNodeRedis(client) {
  if (client.options?.legacyMode === true) return { client: client.v4, view: client.v4 };
  const hasViews = typeof client.withTypeMapping === "function";
  const view = hasViews ? client.withTypeMapping({ [RESP_MAP]: Map }) : client;
  const send = sendToPrimary(client, view);
  if (send === undefined) return { client, view };
  const ask = (method, key, ...field) => {
    if (Object.hasOwn(client, method)) return undefined;
    const name = (client._keyPrefix ?? "") + key;
    return send(name, [method.toUpperCase(), name, ...field]);
  };
  return { client, view, ask };
}

/**
 * What sends a command to the primary, where the client may choose a replica: a cluster whose `useReplicas` is set or, before
 * version 5, cannot be seen, and a Sentinel client, whose `replicaPoolSize` cannot be seen.
 */
function sendToPrimary(client, view) {
  if (typeof client.sendCommand !== "function") return undefined;
  if (typeof client.getSentinelNode === "function") return (_, command) => view.sendCommand(false, command);
  const isCluster = typeof client.nodeByAddress === "object" && Array.isArray(client.slots);
  if (isCluster && (client._options === undefined || client._options.useReplicas)) {
    return (key, command) => view.sendCommand(key, false, command);
  }
  return undefined;
}

module.exports = { openNodeRedis };
