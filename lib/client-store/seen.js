"use strict";
// What is to be seen of a store over a caller's client: what the client tells of its connection, what was counted, a ping.

const { PHRASES, CALLS, messageOf } = require("../error-texts.js");

/** A key that is asked for where the client has no `ping`. Nothing is stored there. */
const NO_KEY = "idioteque-redis:ping";

/** What ioredis calls its states. */
const STATUS_OF_IOREDIS = {
  wait: "idle",
  connecting: "connecting",
  connect: "connecting",
  ready: "ready",
  close: "reconnecting",
  reconnecting: "reconnecting",
  disconnecting: "closed",
  end: "closed",
};

/**
 * @param {object} store what all calls of the store share
 * @param {object} client the caller's
 * @param {() => boolean} isClosed whether the store is
 * @returns {{ stats: () => object, about: () => object, ping: (timeout: number) => Promise<number> }}
 */
function clientTools(store, client, isClosed) {
  const { adapter, counts, inFlight, clock } = store;

  function status() {
    if (isClosed()) return "closed";
    return statusOf(client, counts) ?? guess(counts);
  }

  function stats() {
    const { calls, errors, roundTrips, lastError } = counts;
    const stats = { status: status(), backend: adapter.backend };
    const address = addressOf(client);
    if (address !== undefined) stats.address = address;
    if (lastError !== undefined) stats.lastError = lastError;
    const { size, characters } = inFlight;
    return Object.assign(stats, {
      pending: size,
      pendingBytes: characters,
      calls,
      errors,
      roundTrips,
      readAheadHits: 0,
    });
  }

  async function ping(timeout) {
    const { RedisStoreError } = store.settings;
    const message = (text) => `ping: ${text}`;
    if (isClosed()) throw new RedisStoreError(message(messageOf(CALLS.closed)), { code: CALLS.closed.code });
    const started = clock.now();
    let timer;
    const late = new Promise((_, reject) => {
      const text = messageOf(CALLS.pingGivenUp, { timeout, reason: PHRASES.clientDidNotAnswer });
      const expire = () => reject(new RedisStoreError(text, { code: CALLS.pingGivenUp.code }));
      timer = clock.setTimeout(expire, timeout);
    });
    try {
      await Promise.race([ask(), late]);
    } catch (cause) {
      if (cause instanceof RedisStoreError) throw cause;
      const text = typeof cause?.message === "string" ? cause.message : String(cause);
      throw new RedisStoreError(message(text), { code: "ERR_REDIS_CONNECTION", cause });
    } finally {
      clearTimeout(timer);
    }
    return clock.now() - started;
  }

  async function ask() {
    if (typeof client.ping === "function") return client.ping();
    return adapter.request === undefined ? adapter.get(store.client, NO_KEY) : client.get(NO_KEY);
  }

  function about() {
    const { host, port, path, db } = optionsOf(client);
    return {
      backend: adapter.backend,
      serverAddress: path ?? host,
      serverPort: path === undefined ? port : undefined,
      database: db,
      expires: store.expiry !== undefined,
      several: adapter.request === undefined ? "PIPELINE" : "MULTI",
      deletes: "DEL",
    };
  }

  return { stats, about, ping };
}

/** What the client tells of itself, in our words; `undefined` when it does not. */
function statusOf(client) {
  try {
    if (typeof client.status === "string") return STATUS_OF_IOREDIS[client.status];
    if (typeof client.isOpen !== "boolean" || typeof client.isReady !== "boolean") return undefined;
    if (client.isReady) return "ready";
    return client.isOpen ? "connecting" : "idle";
  } catch {
    return undefined;
  }
}

/** Of a client that tells nothing, its answers do. */
function guess({ answered, lastError, lastAnswerAt }) {
  if (!answered) return lastError === undefined ? "idle" : "connecting";
  return lastError !== undefined && lastError.code === "ERR_REDIS_CONNECTION" && lastError.at > lastAnswerAt
    ? "reconnecting"
    : "ready";
}

/** Host and port, or the path of a socket, as far as the client has them where ioredis and node-redis do. */
function optionsOf(client) {
  try {
    const { host, port, path, db, database, socket } = client.options ?? {};
    const { host: socketHost = host, port: socketPort = port, path: socketPath = path } = socket ?? {};
    const text = (value) => (typeof value === "string" && value !== "" ? value : undefined);
    const number = (value) => (Number.isSafeInteger(Number(value ?? undefined)) ? Number(value) : undefined);
    return {
      host: text(socketHost),
      port: number(socketPort),
      path: text(socketPath),
      db: number(db ?? database),
    };
  } catch {
    return {};
  }
}

function addressOf(client) {
  const { host, port, path } = optionsOf(client);
  if (path !== undefined) return path;
  if (host === undefined || port === undefined) return host;
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

module.exports = { clientTools };
