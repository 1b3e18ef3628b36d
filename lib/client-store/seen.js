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
      commands: commandsOf(store),
    };
  }

  return { stats, about, ping };
}

/**
 * What each call sends, as methods.js does, and how many commands: one by its name, several by what they are sent in, and their name if
 * that is the same.
 */
function commandsOf({ adapter, expiry, settings }) {
  const within = adapter.request === undefined ? "PIPELINE" : "MULTI";
  const expire = adapter.expiryUnit === 1 ? "PEXPIRE" : "EXPIRE";
  const renewed = expiry === undefined ? 0 : settings.slidingTtl ? 3 : 1;
  const named = (names) => {
    if (names.length === 1) return [names[0], 1];
    const isOne = names.every((name) => name === names[0]);
    return [isOne ? `${within} ${names[0]}` : within, names.length];
  };
  const writing = (...names) => named([...names, ...new Array(renewed).fill(expire)]);
  const touch = expiry === undefined ? ["GET", 1] : named([expire, expire, expire]);
  return {
    beginExecution: expiry === undefined || adapter.setsExpiry ? ["SET", 1] : named(["SET", expire]),
    isExecutionInProgress: ["GET", 1],
    beginExecutionTask: writing("HSET"),
    isExecutionTaskInProgress: ["HGET", 1],
    commitExecutionTaskResult: writing("HSET", "HDEL"),
    getExecutionTaskResult: ["HGET", 1],
    getExecutionTaskResults: ["HGETALL", 1],
    disposeExecution: adapter.request === undefined ? named(["DEL", "DEL", "DEL"]) : ["DEL", 1],
    touch,
    touchTask: touch,
  };
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
