// A server that refuses commands over keys of different slots, given by one address: every call works there, in the order of
// the calls, although an execution's keys are in three slots.
import { Redis } from "ioredis";
import { Redis as Redis5 } from "ioredis-5";
import { createClient } from "redis";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ioredisConfiguration } from "./support/inputs.mjs";
import { dump } from "./support/redis.mjs";
import { createReferenceStore } from "./support/reference-store.mjs";
import { temporaryClient, temporaryStore } from "./support/temporary.mjs";
import { startCluster } from "./support/topologies.mjs";

let server;
let admin;

beforeAll(async () => {
  server = await startCluster();
  admin = temporaryClient(server);
});

afterAll(() => server?.stop());

const INPUTS = [
  ["a URL", () => server.url],
  ["a configuration object", () => ioredisConfiguration(server.url)],
  ["an ioredis 6 instance", () => new Redis(server.url, { lazyConnect: true })],
  ["an ioredis 5 instance", () => new Redis5(server.url, { lazyConnect: true })],
  ["a node-redis 6 client", () => createClient({ url: server.url })],
];

const STYLES = [
  ["without ttl", {}],
  ["with ttl", { ttl: 60_000 }],
  ["with a sliding ttl", { ttl: 60_000, slidingTtl: true }],
  ["with hash tags", { hashTags: true }],
  ["without read-ahead", { readAhead: false }],
];

/** A store with a connection of its own, which has learnt nothing from those before: its deadline differs from theirs. */
let deadline = 20_000;
function freshStore(redis, options) {
  deadline += 1;
  return temporaryStore(redis, { commandTimeout: deadline, ...options });
}

/** Makes all eight calls, in turn, and returns what came of each and what Redis held after it. */
async function doEverything(store, id, key = id) {
  const calls = [
    () => store.isExecutionInProgress(id),
    () => store.beginExecution(id),
    () => store.isExecutionInProgress(id),
    () => store.beginExecutionTask(id, "one"),
    () => store.beginExecutionTask(id, "two"),
    () => store.isExecutionTaskInProgress(id, "one"),
    () => store.getExecutionTaskResult(id, "one"),
    () => store.commitExecutionTaskResult(id, "one", { of: ["one"] }),
    () => store.isExecutionTaskInProgress(id, "one"),
    () => store.isExecutionTaskInProgress(id, "two"),
    () => store.getExecutionTaskResult(id, "one"),
    () => store.getExecutionTaskResults(id),
    () => store.commitExecutionTaskResult(id, "one", "again"),
    () => store.disposeExecution(id),
    () => store.isExecutionInProgress(id),
    () => store.isExecutionTaskInProgress(id, "two"),
    () => store.getExecutionTaskResults(id),
  ];
  const course = [];
  for (const call of calls) course.push([`${call}`, await call(), await dump(admin, key)]);
  return course;
}

describe.each(INPUTS)("a cluster of one node, passed as %s", (name, make) => {
  it.each(STYLES)("%s, does and leaves what the TypeScript package's store does", async (style, options) => {
    const input = make();
    const store = freshStore(input, options);
    expect(store.backend).toBe("redis");
    const id = `${name}, ${style}`;
    const key = options.hashTags ? `{${id}}` : id;
    const expected = await doEverything(createReferenceStore(admin, options), `reference: ${id}`);
    expect(await doEverything(store, id, key)).toEqual(expected);
    input.disconnect?.();
  });
});
