/**
 * Clients that are set to read from replicas, where what a store has just written may be missing: a store reads from the primary
 * all the same, or its making fails with an error that names the setting.
 */
import { Redis as Upstash } from "@upstash/redis";
import { GlideClient, GlideClusterClient } from "@valkey/valkey-glide";
import * as redis6 from "redis";
import * as redis5 from "redis-5";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { createRedisStore } from "../../index.js";
import { startMasters } from "../../tooling/servers/cluster.mjs";
import { startRestEndpoint } from "../../tooling/servers/rest-endpoint.mjs";
import { MASTER, startSentinels } from "../../tooling/servers/sentinels.mjs";
import { IOREDIS, NODE_REDIS } from "../support/client-packages.mjs";
import { eventually, sharedRedis } from "../support/redis.mjs";
import { temporaryClient, temporaryStore } from "../support/temporary.mjs";

const { url, newId } = sharedRedis();
const CODE = "IDIOTEQUE_REDIS_REPLICA_READS";
const NOWHERE = { host: "127.0.0.1", port: 1 };

const endings = [];
afterEach(async () => {
  for (const end of endings.splice(0).reverse()) await end();
});

const warnings = [];
const note = (warning) => warnings.push(warning);
beforeAll(() => void process.on("warning", note));
afterAll(() => void process.off("warning", note));
const told = () => warnings.filter(({ code }) => code === CODE);

const refusal = (...redisAndOptions) => {
  try {
    createRedisStore(...redisAndOptions);
  } catch (error) {
    return error;
  }
  return expect.fail("It should have been refused");
};

function expectRefused(error, setting) {
  expect(error).toBeInstanceOf(TypeError);
  expect(error.code).toBe("ERR_REDIS_CONFIG");
  expect(error.message).toContain(setting);
  expect(error.message).toMatch(/reads from replicas .* Pass a client that reads from the primary/);
}

/** Everything that reads, right behind what it has to see. */
async function writeAndRead(store, times = 10) {
  for (let time = 0; time < times; time += 1) {
    const id = newId();
    await store.beginExecution(id);
    expect(await store.isExecutionInProgress(id)).toBe(true);
    await store.beginExecutionTask(id, "task");
    expect(await store.isExecutionTaskInProgress(id, "task")).toBe(true);
    await store.commitExecutionTaskResult(id, "task", time);
    expect(await store.getExecutionTaskResult(id, "task")).toBe(time);
    expect(await store.getExecutionTaskResults(id)).toEqual({ task: time });
  }
}

/** How often servers were asked something, since this was last asked. */
async function readsOf(admins) {
  const counts = admins.map(async (admin) => {
    const stats = await admin.info("commandstats");
    await admin.config("RESETSTAT");
    const calls = [...stats.matchAll(/^cmdstat_(?:get|hget|hgetall):calls=(\d+)/gm)].map(([, count]) => Number(count));
    return calls.reduce((sum, count) => sum + count, 0);
  });
  return (await Promise.all(counts)).reduce((sum, count) => sum + count, 0);
}

describe.each(IOREDIS)("%s", (_, Client) => {
  const made = (options) => {
    const client = new Client({ lazyConnect: true, ...options });
    endings.push(() => client.disconnect());
    return client;
  };
  const cluster = (options) => {
    const client = new Client.Cluster([NOWHERE], { lazyConnect: true, ...options });
    endings.push(() => client.disconnect());
    return client;
  };
  const sentinels = { sentinels: [NOWHERE], name: "main" };

  it("behind sentinels with the role of a replica is refused by name", () => {
    expectRefused(refusal(made({ ...sentinels, role: "slave" })), '`role` is "slave"');
    expect(refusal(made({ ...sentinels, role: "slave" }), { connection: "native" }).message).toContain("`role`");
  });

  it("is connected for where the settings about replicas mean nothing", () => {
    for (const options of [
      { readOnly: true },
      { role: "slave" },
      { ...sentinels, preferredSlaves: [NOWHERE] },
      { ...sentinels, role: "master", readOnly: true },
    ]) {
      expect(createRedisStore(made(options), { connection: "native" }).backend).toMatch(/^redis/);
    }
  });

  it("as a cluster that reads from replicas is connected for, and refused where its methods would have to be used", () => {
    for (const [scaleReads, shown] of [
      ["slave", '`scaleReads` is "slave"'],
      ["all", '`scaleReads` is "all"'],
      [(nodes) => nodes[0], "`scaleReads` is a function"],
    ]) {
      expect(createRedisStore(cluster({ scaleReads })).backend).toBe("redis-cluster");
      expectRefused(refusal(cluster({ scaleReads, natMap: {} })), shown);
      const store = createRedisStore(cluster({ scaleReads }), { connection: "client" });
      expect(store.backend).toBe("client");
    }
    expect(createRedisStore(cluster({ natMap: {} })).backend).toBe("client");
  });

  it("behind a proxy is refused, too, as its methods would have to be used", () => {
    expectRefused(refusal(new Proxy(cluster({ scaleReads: "slave" }), {})), '`scaleReads` is "slave"');
    expectRefused(refusal(new Proxy(made({ ...sentinels, role: "slave" }), {})), '`role` is "slave"');
    expect(createRedisStore(new Proxy(cluster({}), {})).backend).toBe("client");
    expect(createRedisStore(new Proxy(made(sentinels), {})).backend).toBe("client");
  });
});

describe.each(NODE_REDIS)("%s", (_, module) => {
  it("with readonly is connected for: of a primary it asks nothing", async () => {
    const client = module.createClient({ url, readonly: true });
    const store = temporaryStore(client, { connection: "native" });
    await writeAndRead(store, 1);
  });
});

describe("a configuration that asks for replicas", () => {
  it.each([
    ["role", { sentinels: [NOWHERE], name: "main", role: "slave" }],
    ["readOnly", { host: "h", readOnly: true }],
    ["readonly", { url: "redis://h", readonly: true }],
    ["scaleReads", { host: "h", scaleReads: "slave" }],
  ])("is refused by name, and no client that is made with it is recommended: %s", (setting, redis) => {
    const error = refusal(redis);
    expect(error.message).toContain(`\`${setting}\``);
    expect(error.message).not.toContain("Pass a client");
  });
});

describe("valkey-glide", () => {
  const [host, port] = [new URL(url).hostname, Number(new URL(url).port)];
  const open = async (Client, readFrom) => {
    const options = { addresses: [{ host, port }], readFrom, clientAz: "a", lazyConnect: true, requestTimeout: 10_000 };
    const client = await Client.createClient(options);
    endings.push(() => client.close());
    return client;
  };

  it.each([
    ["preferReplica", GlideClient],
    ["AZAffinity", GlideClient],
    ["AZAffinityReplicasAndPrimary", GlideClient],
    ["preferReplica", GlideClusterClient],
  ])("that reads from %s is refused by name", async (readFrom, Client) => {
    for (const options of [undefined, { connection: "auto" }]) {
      expectRefused(refusal(await open(Client, readFrom), options), `\`readFrom\` is "${readFrom}"`);
    }
  });

  it("that reads from the primary is taken", async () => {
    await writeAndRead(temporaryStore(await open(GlideClient, "primary")), 1);
    await writeAndRead(temporaryStore(await open(GlideClient, undefined)), 1);
  });

  it("is used as it is where the caller says so, with one warning", async () => {
    const before = told().length;
    const client = await open(GlideClient, "preferReplica");
    await writeAndRead(temporaryStore(client, { connection: "client" }), 1);
    temporaryStore(client, { connection: "client" });
    temporaryStore(await open(GlideClient, "AZAffinity"), { connection: "client", warnings: false });
    await eventually(() => told().length > before);
    expect(told().length).toBe(before + 1);
    expect(told().at(-1).message).toContain('`readFrom` is "preferReplica"');
  });
});

describe("Upstash without read-your-writes", () => {
  let rest;
  beforeAll(async () => {
    rest = await startRestEndpoint({ redisUrl: url });
  });
  afterAll(() => rest?.stop());

  const client = () => new Upstash({ url: rest.url, token: rest.token, enableTelemetry: false, readYourWrites: false });

  it("is reached with it, whatever the client is set to for its other uses", async () => {
    const seen = rest.requests.length;
    await writeAndRead(temporaryStore(client(), { readAhead: false }), 1);
    const tokens = rest.requests.slice(seen).map(({ headers }) => headers["upstash-sync-token"]);
    expect(tokens.length).toBeGreaterThan(2);
    expect(tokens.slice(1).every(Boolean)).toBe(true);
  });

  it("is refused by name where the client's own requests would have to be used", () => {
    const redis = client();
    redis.use((request, next) => next(request));
    expectRefused(refusal(redis), "`readYourWrites` is false");
  });

  it("is done without where the configuration says so, with a warning", async () => {
    const before = told().length;
    const configuration = { url: rest.url, token: rest.token, readYourWrites: false };
    await writeAndRead(temporaryStore(configuration), 1);
    temporaryStore(configuration);
    await eventually(() => told().length > before);
    expect(
      told()
        .slice(before)
        .map(({ message }) => message),
    ).toEqual([expect.stringContaining("`readYourWrites`")]);
  });
});

describe("a cluster with replicas", { timeout: 60_000 }, () => {
  let cluster;
  let replicas;
  beforeAll(async () => {
    cluster = await startMasters({ masters: 3, replicas: 1 });
    replicas = cluster.nodes.slice(3).map(({ admin }) => admin);
  }, 60_000);
  afterAll(() => cluster?.stop());

  it.each(IOREDIS)("is read at the primary with %s, whatever scaleReads is", async (_, Client) => {
    for (const scaleReads of ["slave", "all", (nodes) => nodes.at(-1)]) {
      const client = new Client.Cluster(cluster.startup, { scaleReads });
      endings.push(() => client.disconnect());
      await readsOf(replicas);
      await writeAndRead(temporaryStore(client));
      expect(await readsOf(replicas)).toBe(0);
    }
  });

  it.each(NODE_REDIS.flatMap(([name, module]) => ["auto", "client"].map((connection) => [name, connection, module])))(
    "is read at the primary with %s that reads from replicas, with connection: %s",
    async (_, connection, module) => {
      const client = module.createCluster({
        rootNodes: cluster.startup.map(({ host, port }) => ({ url: `redis://${host}:${port}` })),
        useReplicas: true,
      });
      client.on("error", () => {});
      await client.connect();
      endings.push(() => (client.destroy ? client.destroy() : client.disconnect()));
      await readsOf(replicas);
      for (let time = 0; time < 20; time += 1) await client.get(newId());
      expect(await readsOf(replicas), "the client's own reads").toBeGreaterThan(0);
      await writeAndRead(temporaryStore(client, { connection }));
      expect(await readsOf(replicas)).toBe(0);
    },
  );
});

describe("sentinels with a replica", { timeout: 60_000 }, () => {
  let servers;
  beforeAll(async () => {
    servers = await startSentinels({ replicas: 1, sentinels: 1 });
  }, 60_000);
  afterAll(() => servers?.stop());

  it.each([
    ["node-redis 6", redis6, {}],
    ["node-redis 6 with a prefix", redis6, { keyPrefix: "app:" }],
    ["node-redis 6 with RESP2", redis6, { RESP: 2 }],
    ["node-redis 5", redis5, {}],
  ])("are read at the primary with %s that reads from replicas", async (_, module, options) => {
    const client = module.createSentinel({
      name: MASTER,
      sentinelRootNodes: servers.addresses,
      replicaPoolSize: 1,
      ...options,
    });
    client.on("error", () => {});
    await client.connect();
    endings.push(() => client.destroy());
    const primary = await servers.primary();
    const replicas = servers.servers.filter((server) => server !== primary).map((server) => temporaryClient(server));
    await readsOf(replicas);
    const reached = async () => {
      await client.get(newId());
      return (await readsOf(replicas)) > 0;
    };
    await eventually(reached, { message: "the client's own reads at the replica" });
    const store = temporaryStore(client);
    expect(store.backend).toBe("client");
    await writeAndRead(store);
    expect(await readsOf(replicas)).toBe(0);
  });
});
