"use strict";
// How clients spell the eight commands and shape their answers: one row per dialect. A method is looked up on the
// client at every call, with the client as `this`, so that a spy installed later is seen.

const DIALECTS = {
  /** ioredis, iovalkey, and anything with the same eight methods. */
  ioredis: {
    get: (client, key) => client.get(key),
    set: (client, key, value) => client.set(key, value),
    expire: (client, key, seconds) => client.expire(key, seconds),
    hget: (client, key, field) => client.hget(key, field),
    // A computed name makes an own property even of `__proto__`.
    hset: (client, key, field, value) => client.hset(key, { [field]: value }),
    hdel: (client, key, field) => client.hdel(key, field),
    hgetall: (client, key) => client.hgetall(key),
    del: (client, key) => client.del(key),
    forEachField: forEachFieldOfHash,
  },
};

/**
 * Visits what `hgetall` answered: an object, a `Map`, a flat array, or nothing.
 *
 * @param {unknown} hash the client's answer
 * @param {(field: string, value: unknown) => void} visit called once per field
 */
function forEachFieldOfHash(hash, visit) {
  if (hash === null || typeof hash !== "object") return;
  if (Array.isArray(hash)) {
    for (let index = 0; index + 1 < hash.length; index += 2) visit(asText(hash[index]), hash[index + 1]);
  } else if (hash instanceof Map) {
    for (const [field, value] of hash) visit(asText(field), value);
  } else {
    for (const field of Object.keys(hash)) visit(field, hash[field]);
  }
}

/** Bytes as the text they encode; everything else untouched. */
function asText(value) {
  if (!ArrayBuffer.isView(value)) return value;
  return Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString("utf8");
}

module.exports = { DIALECTS, asText };
