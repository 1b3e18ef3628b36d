"use strict";
// What a native store asks of the live client whose settings it uses: whether it has ended, which database it has
// selected, and what it would log in with. Asks only: no listener, no property, no option of the client is touched.

const { PHRASES } = require("./error-texts.js");
const { lookAt } = require("./thrown.js");

/** Said by `state` of a client that has ended. It may be connected again. */
const ENDED = -1;

/** `(hostname, callback) => callback(null, hostname)`: leaves the name to Node.js, as the documentation of ioredis advises with TLS. */
const IDENTITY =
  /^(?:function\b)?\s*\w*\s*\(\s*(\w+)\s*,\s*(\w+)\s*\)\s*(?:=>)?\s*\{?\s*(?:return\s+)?\2\(\s*null\s*,\s*\1\s*\)\s*;?\s*\}?$/;

/**
 * Whether a function with which an ioredis cluster looks up host names finds what Node.js finds by itself. It is not called, but
 * read: it may ask anybody.
 *
 * @param {Function} lookup the option `dnsLookup`
 */
function looksUpAsUsual(lookup) {
  return lookup === require("node:dns").lookup || IDENTITY.test(Function.prototype.toString.call(lookup));
}

/**
 * An ioredis or iovalkey instance.
 *
 * @param {object} client the instance
 * @returns {{ state: () => number }} the number of the database that its next command would go to, or -1 while it has ended
 */
function watchIoredis(client) {
  // ioredis sets `manuallyClosing` from `quit()` or `disconnect()` until the socket has closed. It stays set, also when the instance is
  // connected again, where there was no socket to close: then it says nothing.
  let isStale = client.manuallyClosing === true;

  const state = () => {
    if (client.status === "end") {
      isStale = client.manuallyClosing === true;
      return ENDED;
    }
    if (client.manuallyClosing !== true) isStale = false;
    else if (!isStale) return ENDED;
    // `select()` leaves `options.db` alone; while reconnecting, the choice waits in `prevCondition`.
    return Number(client.prevCondition?.select ?? client.condition?.select ?? client.options.db ?? 0);
  };
  return { state };
}

/**
 * A node-redis client, whose selected database only the server has.
 *
 * @param {object} client the client
 * @returns {{ state: () => number, login: (answer: Function) => void }} `state()` is -1 while the client is closed or
 *   destroyed, else 0; `login` calls `answer(undefined, database, { username, password })`, or `answer(problem, lasting)`
 *   with what went wrong and whether it will go wrong again
 */
function watchNodeRedis(client) {
  let opened = false;
  let asked;

  const state = () => {
    if (client.isOpen) {
      opened = true;
      return 0;
    }
    // Before version 5 a client does not show whether it was ever open.
    return opened || client.socketEpoch > 0 ? ENDED : 0;
  };

  const login = (answer) => {
    // A client that cannot answer now is not asked again and again: questions meanwhile get the same answer.
    asked ??= Promise.all([credentials(client.options ?? {}), database(client)]).finally(() => {
      asked = undefined;
    });
    asked.then(
      ([login, number]) => answer(undefined, number, login),
      (error) => answer(lookAt(error).text, isForbidden(error)),
    );
  };

  return { state, login };
}

/**
 * A node-redis cluster, whose options are complete.
 *
 * @param {object} cluster the cluster
 * @returns {{ state: () => number }} -1 while it is closed or destroyed, else 0
 */
function watchNodeRedisCluster(cluster) {
  let opened = false;
  const state = () => {
    opened ||= cluster.isOpen;
    return opened && !cluster.isOpen ? ENDED : 0;
  };
  return { state };
}

/** What the client would log in with at its next connection. */
async function credentials(options) {
  const provider = options.credentialsProvider;
  const { username, password } = provider === undefined ? options : await provider.credentials();
  const present = (text) => (typeof text === "string" && text !== "" ? text : undefined);
  return { username: present(username), password: present(password) };
}

/** The database the client has selected: `select()` does not change the options, so the server is asked. */
async function database(client) {
  if (!client.isOpen) return Number(client.options?.database ?? 0);
  // In legacy mode, the methods that return promises are in `v4`. Without a type mapping, the answer is a string.
  const commands = client.options?.legacyMode ? client.v4 : client;
  const ask = async (...command) => String(await commands.sendCommand(command, { typeMapping: {} }));
  const found = / db=(\d+)/.exec(await clientInfo(ask));
  if (found === null) throw new Error(PHRASES.databaseNotNamed);
  return Number(found[1]);
}

/** The line that describes the client's connection. `CLIENT INFO` came with Redis 6.2. */
async function clientInfo(ask) {
  try {
    return await ask("CLIENT", "INFO");
  } catch (error) {
    if (!/^ERR /.test(lookAt(error).text)) throw error;
    const [id, list] = await Promise.all([ask("CLIENT", "ID"), ask("CLIENT", "LIST")]);
    return list.split("\n").find((line) => line.startsWith(`id=${id} `)) ?? "";
  }
}

/** Whether the server does not allow its user to ask. */
function isForbidden(error) {
  return /^NOPERM /.test(lookAt(error).text);
}

module.exports = { looksUpAsUsual, watchIoredis, watchNodeRedis, watchNodeRedisCluster };
