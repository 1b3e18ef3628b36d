/**
 * Clients of the caller's own: objects with the eight Redis methods that a store calls.
 */

const METHODS = ["get", "set", "hset", "hget", "hdel", "hgetall", "expire", "del"];

/**
 * The eight methods over a `Map`, with a log of the calls they saw.
 *
 * @returns an object with `get`, `set`, `hset`, `hget`, `hdel`, `hgetall`, `expire`, `del`; its `calls` is the log, one
 *   array of method name and arguments per call, and `expiries` the seconds that `expire` was called with by key
 */
export function createMapClient() {
  const keys = new Map();
  const calls = [];
  const expiries = new Map();
  const hash = (key) => keys.get(key) ?? new Map();

  const commands = {
    get: (key) => keys.get(key) ?? null,
    set(key, value) {
      keys.set(key, value);
      expiries.delete(key);
      return "OK";
    },
    hset(key, entries) {
      const fields = hash(key);
      for (const field of Object.keys(entries)) fields.set(field, entries[field]);
      keys.set(key, fields);
      return 1;
    },
    hget: (key, field) => hash(key).get(field) ?? null,
    hdel(key, field) {
      const deleted = hash(key).delete(field);
      if (hash(key).size === 0) keys.delete(key);
      return Number(deleted);
    },
    hgetall: (key) => Object.fromEntries(hash(key)),
    expire(key, seconds) {
      if (keys.has(key)) expiries.set(key, seconds);
      return Number(keys.has(key));
    },
    del: (key) => Number(keys.delete(key)),
  };

  const client = { calls, expiries };
  for (const [name, command] of Object.entries(commands)) {
    client[name] = async (...args) => {
      calls.push([name, ...args]);
      return command(...args);
    };
  }
  return client;
}

/**
 * A client whose answers the test gives when it likes.
 *
 * @returns {{ client: object, asked: { name: string, args: unknown[], resolve: Function, reject: Function }[] }} `asked` has
 *   one entry per call, in order
 */
export function createSlowClient() {
  const asked = [];
  const ask = (name, args) =>
    new Promise((resolve, reject) => {
      asked.push({ name, args, resolve, reject });
    });
  return { client: Object.fromEntries(METHODS.map((name) => [name, (...args) => ask(name, args)])), asked };
}

/**
 * The eight methods of another client, and nothing else of it: an object that no longer looks like ioredis.
 *
 * @param {object} client
 */
export function wrapClient(client) {
  return Object.fromEntries(METHODS.map((name) => [name, (...args) => client[name](...args)]));
}
