// The options of a live cluster that change its keys, or where it looks for its nodes: a store that is made from it has the same
// keys, on the same servers.
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { createRedisStore } from "../../index.js";
import { startMasters } from "../../tooling/servers/cluster.mjs";
import { IOREDIS, NODE_REDIS } from "../support/client-packages.mjs";
import { sharedRedis } from "../support/redis.mjs";
import { temporaryStore } from "../support/temporary.mjs";

const { url, newId, admin } = sharedRedis();
const endings = [];
let cluster;

beforeAll(async () => {
  cluster = await startMasters({ masters: 2, replicas: 0 });
}, 60_000);
afterAll(() => cluster?.stop());
afterEach(async () => {
  for (const end of endings.splice(0)) await end();
});

/** The key that holds the mark of an execution, after the client's own SET of the id, and after a store's. */
async function keysOf(client, servers, storeOptions) {
  const id = newId();
  const found = async () => {
    const keys = await Promise.all(servers.map((server) => server.keys(`*${id}`)));
    await Promise.all(keys.flatMap((list, index) => list.map((key) => servers[index].del(key))));
    return keys.flat();
  };
  await client.set(id, "true");
  const own = await found();
  const store = temporaryStore(client, storeOptions);
  await store.beginExecution(id);
  return { own, ours: await found(), backend: store.backend };
}

const admins = () => cluster.masters.map((master) => master.admin);

describe.each(IOREDIS)("a cluster of %s", (_, Client) => {
  const open = (options, nodes = cluster.startup) => {
    const client = new Client.Cluster(nodes, options);
    client.on("error", () => {});
    endings.push(() => client.disconnect());
    return client;
  };

  it.each([
    ["a prefix", { keyPrefix: "out:" }, "redis-cluster"],
    // Taken over by the cluster since version 5, and put before no key in version 4.
    ["a prefix of its nodes", { redisOptions: { keyPrefix: "in:" } }, "redis-cluster"],
    ["both", { keyPrefix: "out:", redisOptions: { keyPrefix: "in:" } }, "redis-cluster"],
    ["an empty one and one of its nodes", { keyPrefix: "", redisOptions: { keyPrefix: "in:" } }, "redis-cluster"],
    ["a prefix of bytes", { keyPrefix: Buffer.from("bytes:") }, "client"],
    ["a prefix that is a number", { keyPrefix: 5 }, "client"],
  ])("with %s has the keys of its own commands", async (_label, options, backend) => {
    const keys = await keysOf(open(options), admins());
    expect(keys.own).toHaveLength(1);
    expect(keys).toEqual({ own: keys.own, ours: keys.own, backend });
  });

  /** Knows a name that no other resolver does. */
  const ownNames = (name, callback) => callback(null, name === "nodes.invalid" ? "127.0.0.1" : name, 4);

  it("that looks up names in its own way is called, and so are its SRV records", async () => {
    const { port } = cluster.startup[0];
    const resolveSrv = (_service, callback) =>
      callback(null, [{ name: "nodes.invalid", port, priority: 1, weight: 1 }]);
    for (const client of [
      open({ dnsLookup: ownNames }, [{ host: "nodes.invalid", port }]),
      open({ useSRVRecords: true, resolveSrv, dnsLookup: ownNames }, [{ host: "_redis.invalid" }]),
    ]) {
      const keys = await keysOf(client, admins(), { commandTimeout: 5_000 });
      expect(keys.own).toHaveLength(1);
      expect(keys).toEqual({ own: keys.own, ours: keys.own, backend: "client" });
    }
  });

  it.each([
    ["dnsLookup", { dnsLookup: ownNames }],
    ["dnsLookup", { dnsLookup: (name, callback) => callback(null, name.replace("internal", "example")) }],
    ["useSRVRecords", { useSRVRecords: true }],
    ["keyPrefix", { keyPrefix: Buffer.from("bytes:") }],
  ])("is refused under connection: native with the name of the setting: %s", (setting, options) => {
    const client = open({ ...options, lazyConnect: true });
    expect(() => createRedisStore(client, { connection: "native" })).toThrow(`\`${setting}\``);
  });

  it.each([
    ["an arrow", (address, callback) => callback(null, address)],
    [
      "a block",
      (address, callback) => {
        callback(null, address);
      },
    ],
    ["a function", new Function("return function (address, callback) { return callback(null, address); }")()],
    ["what minifiers make of it", new Function("return (e,t)=>t(null,e)")()],
  ])("that leaves names to Node.js, as advised with TLS, is connected for: %s", async (_label, dnsLookup) => {
    const keys = await keysOf(open({ dnsLookup }), admins());
    expect(keys).toEqual({ own: keys.own, ours: keys.own, backend: "redis-cluster" });
  });
});

describe.each(NODE_REDIS)("%s", (_, module) => {
  const connected = async (client) => {
    client.on("error", () => {});
    await client.connect();
    endings.push(() => (client.destroy ? client.destroy() : client.disconnect()));
    return client;
  };

  // Only version 6 has prefixes, a cluster has that of its nodes in no version, and what does not have one ignores the option.
  it.each([
    ["a prefix", { keyPrefix: "out:" }],
    ["a prefix of its nodes", { defaults: { keyPrefix: "in:" } }],
    ["both", { keyPrefix: "out:", defaults: { keyPrefix: "in:" } }],
  ])("as a cluster with %s has the keys of its own commands", async (_label, options) => {
    const rootNodes = cluster.startup.map(({ host, port }) => ({ url: `redis://${host}:${port}` }));
    const keys = await keysOf(await connected(module.createCluster({ rootNodes, ...options })), admins());
    expect(keys.own).toHaveLength(1);
    expect(keys.ours).toEqual(keys.own);
  });

  it("as a client with a prefix has the keys of its own commands", async () => {
    const keys = await keysOf(await connected(module.createClient({ url, keyPrefix: "out:" })), [admin]);
    expect(keys.own).toHaveLength(1);
    expect(keys).toEqual({ own: keys.own, ours: keys.own, backend: "redis" });
  });
});
