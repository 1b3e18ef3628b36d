"use strict";
// What spans and metrics say of a call and of a connection, by the names of OpenTelemetry's semantic conventions for database
// clients and for Redis.

/** Failures whose messages say nothing but what happened to a connection of the store's own. */
const TELLING = new Set(["ERR_REDIS_CONNECTION", "ERR_REDIS_TIMEOUT", "ERR_REDIS_OVERLOADED", "ERR_REDIS_CLOSED"]);

/** Failures of the caller's arguments, which no database had to do with. */
const OF_CALLER = new Set(["ERR_INVALID_ARG_TYPE", "ERR_INVALID_ARG_VALUE", "ERR_REDIS_SERIALIZE"]);

/** A `reply` that is not the server's. */
const NO_REPLY = "UNEXPECTED";

/** The port that is not named. */
const DEFAULT_PORT = 6379;

/** Sets of attributes that are kept, of each kind. */
const MAX_KEPT = 256;

/** Where calls go, as it was configured, with the attributes of the calls that went there: made once, because most are like others. */
class Server {
  constructor({ serverAddress, serverPort, database }) {
    const attributes = { "db.system.name": "redis" };
    if (database !== undefined) attributes["db.namespace"] = String(database);
    if (serverAddress !== undefined) attributes["server.address"] = serverAddress;
    if (serverPort !== undefined && serverPort !== DEFAULT_PORT) attributes["server.port"] = serverPort;
    this.attributes = Object.freeze(attributes);
    this.calls = new Map();
  }

  /**
   * The attributes of a call that is over.
   *
   * @param {object} call what was published of it
   * @param {ReturnType<typeof whatFailed>} [failure]
   */
  attributesOf(call, failure) {
    const { command, peerAddress, peerPort } = call;
    const key = `${command} ${peerAddress} ${peerPort}`;
    let attributes = this.calls.get(key);
    if (attributes === undefined) {
      attributes = { ...this.attributes, "db.operation.name": command };
      if (peerAddress !== undefined) attributes["network.peer.address"] = peerAddress;
      if (peerPort !== undefined) attributes["network.peer.port"] = peerPort;
      keep(this.calls, key, Object.freeze(attributes));
    }
    if (failure === undefined) return attributes;
    const failed = { ...attributes, "error.type": failure.type };
    if (failure.reply !== undefined) failed["db.response.status_code"] = failure.reply;
    return failed;
  }
}

/** The servers of calls, by what was published of these. */
class Servers {
  constructor() {
    this.known = new Map();
    this.last = undefined;
  }

  of({ serverAddress, serverPort, database }) {
    const { last } = this;
    const isLast = last?.address === serverAddress && last?.port === serverPort && last?.database === database;
    if (isLast && last !== undefined) return last.server;
    const key = `${serverAddress} ${serverPort} ${database}`;
    const server = this.known.get(key) ?? new Server({ serverAddress, serverPort, database });
    keep(this.known, key, server);
    this.last = { address: serverAddress, port: serverPort, database, server };
    return server;
  }
}

function keep(kept, key, value) {
  if (kept.size >= MAX_KEPT) kept.clear();
  kept.set(key, value);
}

/**
 * Why a call failed.
 *
 * @param {{ error: Error, executionId: unknown, taskId?: unknown, attempts?: number }} call
 * @returns {{ type: string, reply?: string, message?: string, isOfCaller: boolean }} `type` is the server's code, else that of the
 *   error; `message` is only there when neither an id nor a value can be in it
 */
function whatFailed(call) {
  const { error } = call;
  const reply = error?.reply === NO_REPLY ? undefined : error?.reply;
  return {
    type: reply ?? error?.code ?? error?.name ?? "_OTHER",
    reply,
    message: isTelling(call) ? error.message : undefined,
    isOfCaller: OF_CALLER.has(error?.code),
  };
}

/** Clients may quote the whole command in their messages; what they carry has no `attempts`. */
function isTelling({ error, executionId, taskId, attempts }) {
  if (attempts === undefined || !TELLING.has(error?.code)) return false;
  return ![executionId, taskId].some((id) => typeof id === "string" && error.message.includes(id));
}

/** A connection: the pool that it is the one connection of is named after where it was configured to go. */
function attributesOfConnection({ address, peer }) {
  const attributes = { "db.client.connection.pool.name": address, "db.client.connection.state": "used" };
  const [, host = peer, port] = /^\[?(.*?)\]?:(\d+)$/.exec(peer) ?? [];
  if (host !== undefined) attributes["network.peer.address"] = host;
  if (port !== undefined) attributes["network.peer.port"] = Number(port);
  return attributes;
}

module.exports = { Servers, attributesOfConnection, whatFailed };
