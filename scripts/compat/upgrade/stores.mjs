/**
 * What is in Redis, and what is read from there: each release writes what the other reads, key by key and byte by byte, over every
 * kind of input and with every option that both have.
 */
import { deepStrictEqual, rejects } from "node:assert";
import { Redis as Upstash } from "@upstash/redis";
import { Cluster, Redis } from "ioredis";
import { createClient } from "redis";
import { TASK_IDS, VALUES } from "../../../tooling/samples.mjs";

const TTL_MS = 600_000;
const BURST = 200;

const READS = /^(is|get)/;

/** Every method, before and after each of the others; the last calls are about an execution that is gone. */
const CALLS = [
  ["isExecutionInProgress"],
  ["beginExecution"],
  ["isExecutionInProgress"],
  ["getExecutionTaskResults"],
  ...TASK_IDS.flatMap((task) => [
    ["isExecutionTaskInProgress", task],
    ["beginExecutionTask", task],
    ["isExecutionTaskInProgress", task],
    ["getExecutionTaskResult", task],
    ["commitExecutionTaskResult", task, { task }],
    ["getExecutionTaskResult", task],
    ["isExecutionTaskInProgress", task],
  ]),
  ["getExecutionTaskResults"],
  ...VALUES.flatMap((value, index) => [
    ["commitExecutionTaskResult", `value-${index}`, value],
    ["getExecutionTaskResult", `value-${index}`],
  ]),
  ["beginExecutionTask", "open"],
  ["beginExecution"],
  ["getExecutionTaskResults"],
  ["disposeExecution"],
  ["isExecutionInProgress"],
  ["isExecutionTaskInProgress", "open"],
  ["getExecutionTaskResults"],
  ["beginExecutionTask", "late"],
  ["commitExecutionTaskResult", "late", 1],
  ["commitExecutionTaskResult", "later", 2],
  ["disposeExecution"],
];

/** Options, for one server. */
const OPTIONS = [
  {},
  { ttl: TTL_MS },
  { ttl: TTL_MS, slidingTtl: true },
  { keyPrefix: "shop:" },
  { hashTags: true },
  { ttl: TTL_MS, slidingTtl: true, keyPrefix: "é:", hashTags: true },
  { readAhead: false },
];

/**
 * @param {import("./run.mjs").Context} context
 */
export async function checkStores({ check, earlier, current, servers }) {
  for (const { name, open, options, admin } of places(servers)) {
    await check(`${name}: either reads what the other writes, the same in Redis`, async () => {
      const opened = await Promise.all([earlier, current].map((side) => openStore(side, open, options)));
      try {
        await compare(
          opened.map(({ store }) => store),
          admin,
          options,
        );
      } finally {
        await Promise.all(opened.map(({ close }) => close()));
      }
    });
  }
  await check("the earlier release reads what claims, orphans and touch leave", () =>
    newOptions(earlier, current, servers.redis),
  );
}

/** Marks of another kind, keys that expire, expiries that are renewed: the earlier release takes them for what it knows. */
async function newOptions({ lib: earlier }, { lib: current }, { server, admin }) {
  await admin.flushall();
  const claim = (_, task) => new Error(`${task} is taken`);
  const store = current.createRedisStore(server.url, { ttl: TTL_MS, orphanTtl: TTL_MS, claim });
  const other = earlier.createRedisStore(server.url, { ttl: TTL_MS });
  try {
    await store.beginExecution("new");
    await store.beginExecutionTask("new", "claimed");
    deepStrictEqual(await other.isExecutionTaskInProgress("new", "claimed"), true);
    await other.beginExecutionTask("new", "marked");
    await rejects(store.beginExecutionTask("new", "marked"), { message: "marked is taken" });
    await other.commitExecutionTaskResult("new", "claimed", 1);
    await store.commitExecutionTaskResult("new", "marked", 2);
    deepStrictEqual(await store.touch("new"), true);
    for (const one of [store, other]) {
      deepStrictEqual(await one.isExecutionTaskInProgress("new", "claimed"), false);
      deepStrictEqual({ ...(await one.getExecutionTaskResults("new")) }, { claimed: 1, marked: 2 });
    }
    await other.disposeExecution("new");
    await store.commitExecutionTaskResult("new", "late", 3);
    deepStrictEqual(await other.getExecutionTaskResult("new", "late"), 3);
    await other.disposeExecution("new");
    deepStrictEqual(await admin.keys("*"), []);
  } finally {
    await Promise.all([store.close(), other.close()]);
  }
}

async function openStore({ lib }, open, options) {
  const { input, release = () => {} } = await open();
  const store = lib.createRedisStore(input, options);
  return {
    store,
    async close() {
      await store.close();
      await release();
    },
  };
}

/** Where executions are kept: `open` makes the first argument of `createRedisStore`, for each store anew. */
function places({ redis, cluster, rest, sentinels }) {
  const single = { admin: lookAt(redis.admin, [redis.admin]) };
  const { host, port, url } = redis.server;
  const connected = async (client) => ({ input: client, release: () => client.disconnect() });
  const inputs = {
    "a configuration of ioredis": async () => ({ input: { host, port, db: 0 } }),
    "a configuration of node-redis": async () => ({ input: { socket: { host, port } } }),
    "an ioredis client": () => connected(new Redis(url)),
    "an ioredis client with a prefix": () => connected(new Redis(url, { keyPrefix: "shop:" })),
    "a node-redis client": async () => {
      const client = createClient({ url });
      await client.connect();
      return { input: client, release: () => client.destroy() };
    },
    "an Upstash configuration": async () => ({ input: { url: rest.url, token: rest.token } }),
    "an Upstash client": async () => ({ input: new Upstash({ url: rest.url, token: rest.token }) }),
  };
  const found = OPTIONS.map((options) => ({
    ...single,
    name: `a URL, ${JSON.stringify(options)}`,
    open: async () => ({ input: url }),
    options,
  }));
  for (const [name, open] of Object.entries(inputs)) found.push({ ...single, name, open, options: { ttl: TTL_MS } });
  for (const name of ["an ioredis client", "a node-redis client", "an Upstash client"]) {
    // Over a client's own methods, expiries are in seconds.
    const options = { ttl: TTL_MS, connection: "client" };
    found.push({ ...single, name: `the methods of ${name}`, open: inputs[name], options });
  }
  const through = { admin: lookAt(sentinels.admin, [sentinels.admin]) };
  const named = { sentinels: sentinels.addresses, name: sentinels.name };
  found.push({ ...through, name: "Sentinel", open: async () => ({ input: named }), options: { ttl: TTL_MS } });
  const sharded = { admin: lookAt(cluster.admin, cluster.admins) };
  for (const options of [
    {},
    { ttl: TTL_MS },
    { hashTags: true, ttl: TTL_MS, slidingTtl: true },
    { keyPrefix: "{shop}" },
  ]) {
    const name = `a cluster, ${JSON.stringify(options)}`;
    found.push({ ...sharded, name, open: async () => ({ input: cluster.startup }), options });
  }
  const adopted = () => connected(new Cluster(cluster.startup));
  found.push({ ...sharded, name: "a cluster of ioredis", open: adopted, options: { hashTags: true } });
  return found;
}

/** How keys are looked at: `client` finds the server of a key, `servers` are all that have some. */
function lookAt(client, servers) {
  return {
    empty: () => Promise.all(servers.map((server) => server.flushall())),
    async keys() {
      const keys = await Promise.all(servers.map((server) => server.keys("*")));
      return keys.flat().sort();
    },
    dump: async (key) => (await client.dumpBuffer(key)).toString("hex"),
    expiry: (key) => client.call("PEXPIRETIME", key),
  };
}

async function compare([earlier, current], admin, options) {
  const alone = await trace({ writer: earlier, reader: earlier }, admin, options);
  // What is compared is there.
  if (!alone.some(({ keys }) => keys.length === 3)) throw new Error("Nothing was written");
  for (const [writes, writer, reads, reader] of [
    ["current", current, "current", current],
    ["earlier", earlier, "current", current],
    ["current", current, "earlier", earlier],
  ]) {
    const found = await trace({ writer, reader }, admin, options);
    for (const [index, step] of found.entries()) {
      const what = `${writes} writes, ${reads} reads: step ${index}, ${JSON.stringify(CALLS[index])}`;
      deepStrictEqual(step, alone[index], `${what}\n${JSON.stringify(step)}\n${JSON.stringify(alone[index])}`);
    }
  }
  await atOnce([earlier, current], admin);
}

/** What each call of `CALLS` answers, and what is in Redis afterwards. */
async function trace({ writer, reader }, admin, { ttl }) {
  await admin.empty();
  const steps = [];
  let before = new Map();
  for (const [method, ...args] of CALLS) {
    const store = READS.test(method) ? reader : writer;
    await nextMillisecond();
    const from = Date.now();
    const answer = await store[method]("order-é-1", ...args);
    const to = Date.now();
    const keys = await admin.keys();
    const expiries = new Map();
    const content = [];
    for (const key of keys) {
      const at = await admin.expiry(key);
      expiries.set(key, at);
      content.push([key, await admin.dump(key), expiryOf({ at, before: before.get(key), ttl, from, to })]);
    }
    before = expiries;
    steps.push({ answer, keys, content });
  }
  return steps;
}

/** What became of a key's expiry in a call, in words that are the same however long the call took. */
function expiryOf({ at, before, ttl, from, to }) {
  if (at === -1) return "none";
  if (at === before) return "kept";
  // Whole seconds, over a client's own methods, are counted from the server's millisecond as well.
  if (at >= from + ttl && at <= to + ttl + 1) return "renewed";
  return `${at - from} ms after the call was made`;
}

async function nextMillisecond() {
  const now = Date.now();
  while (Date.now() === now) await new Promise(setImmediate);
}

/** Both at work at the same time, on the same executions. */
async function atOnce(stores, admin) {
  await admin.empty();
  const [first, second] = stores;
  const tasks = Array.from({ length: BURST }, (_, index) => `task-${index}`);
  await first.beginExecution("burst");
  await Promise.all(tasks.map((task, index) => stores[index % 2].beginExecutionTask("burst", task)));
  await Promise.all(
    tasks.map((task, index) => stores[(index + 1) % 2].commitExecutionTaskResult("burst", task, index)),
  );
  const expected = Object.fromEntries(tasks.map((task, index) => [task, index]));
  for (const store of stores) deepStrictEqual({ ...(await store.getExecutionTaskResults("burst")) }, expected);
  // Neither answers with what it knew before the other wrote.
  for (const [writer, reader] of [stores, [second, first]]) {
    for (const task of tasks.slice(0, 20)) {
      await reader.getExecutionTaskResults("burst");
      await writer.commitExecutionTaskResult("burst", task, "again");
      deepStrictEqual(await reader.getExecutionTaskResult("burst", task), "again");
      await writer.commitExecutionTaskResult("burst", task, 0);
    }
    await writer.disposeExecution("burst");
    deepStrictEqual(await reader.isExecutionInProgress("burst"), false);
    await writer.beginExecution("burst");
    deepStrictEqual(await reader.isExecutionInProgress("burst"), true);
  }
}
