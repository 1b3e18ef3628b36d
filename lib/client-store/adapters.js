"use strict";
// How clients spell the eight commands: one row per adapter. What they answer with is read the same way for all of
// them, in answers.js. A method is looked up at every call, with the client as `this`, so that a spy installed later is
// seen.
//
// Besides its commands a row has
//   backend       the `backend` of the store
//   expiryUnit    milliseconds in one unit of what `expire` and `set` are given
//   setsExpiry    whether `set` takes the expiry too
//   open          makes what the commands are given, where that is not the client itself
//   request       carries all commands of a store call at once; then a command is not called on a client but only made

const { openNodeRedis } = require("./node-redis.js");
const { requestOfUpstash } = require("./upstash.js");

const SECOND = 1000;
const MILLISECOND = 1;

const ADAPTERS = {
  /** ioredis, iovalkey, and anything with the same eight methods: called exactly as the TypeScript store calls them. */
  ioredis: {
    backend: "client",
    expiryUnit: SECOND,
    setsExpiry: false,
    get: (client, key) => client.get(key),
    set: (client, key, value) => client.set(key, value),
    expire: (client, key, seconds) => client.expire(key, seconds),
    hget: (client, key, field) => client.hget(key, field),
    // A computed name makes an own property even of `__proto__`.
    hset: (client, key, field, value) => client.hset(key, { [field]: value }),
    hdel: (client, key, field) => client.hdel(key, field),
    hgetall: (client, key) => client.hgetall(key),
    del: (client, key) => client.del(key),
  },

  /** node-redis 4 to 6: a client, a cluster, a pool or a Sentinel client. */
  "node-redis": {
    backend: "client",
    expiryUnit: MILLISECOND,
    setsExpiry: true,
    open: openNodeRedis,
    get: ({ client, view, ask }, key) => ask?.("get", key) ?? client.get.call(view, key),
    set: ({ client, view }, key, value, ttl) =>
      ttl === undefined ? client.set.call(view, key, value) : client.set.call(view, key, value, { PX: ttl }),
    expire: ({ client, view }, key, ttl) => client.pExpire.call(view, key, ttl),
    hget: ({ client, view, ask }, key, field) => ask?.("hGet", key, field) ?? client.hGet.call(view, key, field),
    hset: ({ client, view }, key, field, value) => client.hSet.call(view, key, field, value),
    hdel: ({ client, view }, key, field) => client.hDel.call(view, key, field),
    hgetall: ({ client, view, ask }, key) => ask?.("hGetAll", key) ?? client.hGetAll.call(view, key),
    del: ({ client, view }, key) => client.del.call(view, key),
  },

  /** valkey-glide: a string in place of a list would be taken for a list of letters. */
  glide: {
    backend: "client",
    expiryUnit: MILLISECOND,
    setsExpiry: true,
    get: (client, key) => client.get(key),
    set: (client, key, value, ttl) =>
      ttl === undefined ? client.set(key, value) : client.set(key, value, { expiry: { type: "PX", count: ttl } }),
    expire: (client, key, ttl) => client.pexpire(key, ttl),
    hget: (client, key, field) => client.hget(key, field),
    hset: (client, key, field, value) => client.hset(key, [{ field, value }]),
    hdel: (client, key, field) => client.hdel(key, [field]),
    hgetall: (client, key) => client.hgetall(key),
    del: (client, key) => client.del([key]),
  },

  /** Upstash and Vercel KV: one request per store call, past the client's own parsing of values. */
  upstash: {
    backend: "upstash",
    expiryUnit: MILLISECOND,
    setsExpiry: true,
    request: requestOfUpstash,
    get: (key) => ["GET", key],
    set: (key, value, ttl) => (ttl === undefined ? ["SET", key, value] : ["SET", key, value, "PX", ttl]),
    expire: (key, ttl) => ["PEXPIRE", key, ttl],
    hget: (key, field) => ["HGET", key, field],
    hset: (key, field, value) => ["HSET", key, field, value],
    hdel: (key, field) => ["HDEL", key, field],
    hgetall: (key) => ["HGETALL", key],
    del: (...keys) => ["DEL", ...keys],
  },
};

module.exports = { ADAPTERS };
