"use strict";
// The admin API (`@idioteque/redis/admin`): what a person on call asks of the servers that a store keeps its executions on. The
// command line is a thin layer over it.

const entry = require("../index.js");
const { checkId, listed, released, shown, swept, withSignal } = require("./admin/filter.js");
const { Keys } = require("./admin/keys.js");
const { Servers, isRefusal } = require("./admin/servers.js");
const { TEXTS, argumentError } = require("./admin/texts.js");

const { RedisStoreError } = entry;
const { addon, helpers } = entry[Symbol.for("idioteque-redis.addon")];

/** What the addon needs for a console, in place of what it needs for a store. */
const consoleHelpers = {
  ...helpers,
  forConsole: true,
  openClientStore() {
    throw argumentError(TEXTS.needsNative);
  },
};

/** What the questions of one admin share. */
class Context {
  constructor(native) {
    this.native = native;
    this.servers = new Servers(native, RedisStoreError);
    this.keys = new Keys(native);
    this.ttl = native.ttl;
    /** Whether what we read leaves idle times as they are: since Redis 7.2. */
    this.noTouch = false;
  }

  /** Finds the servers. To be called at the beginning of each question. */
  async begin(signal) {
    const nodes = await this.servers.find(signal);
    const ask = async (node) => (await this.servers.on(node, [["CLIENT", "NO-TOUCH", "ON"]], signal))[0];
    const replies = await Promise.all(nodes.map(ask));
    this.noTouch = replies.every((reply) => !isRefusal(reply));
    return nodes;
  }
}

/**
 * @param {unknown} redis what `createRedisStore` takes
 * @param {unknown} [options] what `createRedisStore` takes
 */
function createRedisAdmin(redis, options) {
  return adminOver(addon.createRedisStore(redis, options, consoleHelpers));
}

/** The same, for the servers that the environment names. */
function createRedisAdminFromEnv(options) {
  return adminOver(addon.createRedisStoreFromEnv(options, consoleHelpers));
}

function adminOver(native) {
  const context = new Context(native);
  const { servers } = context;
  const close = async () => servers.close();
  const admin = {
    backend: native.backend,
    executions: (filter) => require("./admin/executions.js").executions(context, listed(filter)),
    execution: async (id, options) =>
      require("./admin/tasks.js").execution(context, checkId("executionId", id), shown(options)),
    releaseTask: async (id, task, options) => {
      const { releaseTask } = require("./admin/changes.js");
      return releaseTask(context, checkId("executionId", id), checkId("taskId", task), released(options));
    },
    disposeExecution: async (id, options) => {
      const { disposeExecution } = require("./admin/changes.js");
      return disposeExecution(context, checkId("executionId", id), withSignal(options).signal);
    },
    sweep: async (filter) => require("./admin/changes.js").sweep(context, swept(filter)),
    doctor: async (options) => require("./admin/doctor.js").doctor(context, withSignal(options)),
    close,
  };
  if (Symbol.asyncDispose) admin[Symbol.asyncDispose] = close;
  return admin;
}

module.exports = { createRedisAdmin, createRedisAdminFromEnv, RedisStoreError };
