// The names of attributes and metrics are those of OpenTelemetry's semantic conventions, as their package has them, or begin with
// our own.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { expect, it } from "vitest";
import { ROOT } from "../../tooling/setup.mjs";

const require = createRequire(import.meta.url);
const stable = require("@opentelemetry/semantic-conventions");
const incubating = require("@opentelemetry/semantic-conventions/incubating");

const OURS = /^idioteque\./;

/** By the conventions in their version 1.45: stable, except for those of connections. */
const STABLE = {
  ATTR_DB_SYSTEM_NAME: "db.system.name",
  ATTR_DB_NAMESPACE: "db.namespace",
  ATTR_DB_OPERATION_NAME: "db.operation.name",
  ATTR_DB_OPERATION_BATCH_SIZE: "db.operation.batch.size",
  ATTR_DB_RESPONSE_STATUS_CODE: "db.response.status_code",
  ATTR_ERROR_TYPE: "error.type",
  ATTR_SERVER_ADDRESS: "server.address",
  ATTR_SERVER_PORT: "server.port",
  ATTR_NETWORK_PEER_ADDRESS: "network.peer.address",
  ATTR_NETWORK_PEER_PORT: "network.peer.port",
  METRIC_DB_CLIENT_OPERATION_DURATION: "db.client.operation.duration",
};
const IN_DEVELOPMENT = {
  ATTR_DB_CLIENT_CONNECTION_POOL_NAME: "db.client.connection.pool.name",
  ATTR_DB_CLIENT_CONNECTION_STATE: "db.client.connection.state",
  METRIC_DB_CLIENT_CONNECTION_COUNT: "db.client.connection.count",
  METRIC_DB_CLIENT_CONNECTION_CREATE_TIME: "db.client.connection.create_time",
};

it.each(Object.entries(STABLE))("%s is stable", (constant, name) => {
  expect(stable[constant]).toBe(name);
});

it.each(Object.entries(IN_DEVELOPMENT))("%s is the one in development", (constant, name) => {
  expect(incubating[constant]).toBe(name);
});

it("has the values that are given", () => {
  expect(incubating.DB_SYSTEM_NAME_VALUE_REDIS).toBe("redis");
  expect(incubating.DB_CLIENT_CONNECTION_STATE_VALUE_USED).toBe("used");
  expect(stable.ERROR_TYPE_VALUE_OTHER).toBe("_OTHER");
});

it("are all the names there are in the source", () => {
  const sources = ["attributes.js", "metrics.js", "recorder.js"].map((name) =>
    readFileSync(join(ROOT, "lib/otel", name), "utf8"),
  );
  const named = sources.flatMap((source) => [...source.matchAll(/"((?:[a-z_]+\.)+[a-z_]+)"/g)].map(([, name]) => name));
  const known = Object.values({ ...STABLE, ...IN_DEVELOPMENT });
  expect(named.filter((name) => !known.includes(name) && !OURS.test(name))).toEqual([]);
  expect(known.filter((name) => !named.includes(name))).toEqual([]);
});
