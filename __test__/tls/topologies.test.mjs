// TLS with several servers: every node of a cluster, the primary behind sentinels, and the sentinels themselves.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { Cluster, Redis } from "ioredis";
import { createCluster } from "redis";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createRedisStore } from "../../index.js";
import { createAuthority } from "../../tooling/servers/certificates.mjs";
import { addSlots } from "../../tooling/servers/cluster.mjs";
import { findRedisServer, freePort } from "../../tooling/servers/redis-server.mjs";
import { MASTER, replicasOf, startSentinels } from "../../tooling/servers/sentinels.mjs";
import { HOST, startTlsRedis } from "../../tooling/servers/tls.mjs";
import { eventually } from "../support/redis.mjs";
import { rejectionOf } from "../support/temporary.mjs";

const authority = createAuthority();
const stranger = createAuthority("stranger");
const ca = authority.cert;
const endings = [];

afterAll(async () => {
  for (const end of endings.splice(0).reverse()) await end();
});

function adminOf(server) {
  const admin = new Redis(server.url, { retryStrategy: () => 20, maxRetriesPerRequest: null });
  admin.on("error", () => {});
  endings.push(() => admin.disconnect());
  return admin;
}

async function works(input, backend, ids = ["one", "two", "three", "four"]) {
  const store = createRedisStore(input);
  expect(store.backend).toBe(backend);
  try {
    for (const id of ids) {
      await store.commitExecutionTaskResult(id, "task", id);
      expect(await store.getExecutionTaskResults(id)).toEqual({ task: id });
      await store.disposeExecution(id);
    }
  } finally {
    await store.close();
  }
}

async function refusal(input) {
  const store = createRedisStore(input, { commandTimeout: 20_000 });
  const error = await rejectionOf(store.isExecutionInProgress("id"));
  await store.close();
  expect(error).toMatchObject({ name: "RedisStoreError", code: "ERR_REDIS_CONNECTION" });
  return error;
}

describe("a cluster", () => {
  let ports;

  beforeAll(async () => {
    const nodes = [];
    for (const [first, last] of [
      [0, 8191],
      [8192, 16383],
    ]) {
      const cluster = ["--cluster-enabled", "yes", "--cluster-announce-ip", HOST];
      const server = await startTlsRedis(authority, { args: [...cluster, "--tls-cluster", "yes"] });
      endings.push(server.stop);
      const admin = adminOf(server);
      await addSlots(admin, first, last);
      nodes.push({ server, admin });
    }
    const [one, other] = nodes;
    await one.admin.call("CLUSTER", "MEET", HOST, other.server.tlsPort);
    const ready = async ({ admin }) => (await admin.call("CLUSTER", "INFO")).includes("cluster_slots_ok:16384");
    await eventually(async () => (await Promise.all(nodes.map(ready))).every(Boolean), { deadline: 30_000 });
    ports = nodes.map(({ server }) => server.tlsPort);
  });

  it("is spoken to in TLS, each of its servers, whatever names it", async () => {
    const [port] = ports;
    const socket = { tls: true, ca };
    for (const input of [
      [{ host: HOST, port, tls: { ca } }],
      ports.map((port) => ({ socket: { host: HOST, port, tls: true, ca } })),
      { rootNodes: [{ socket: { host: HOST, port } }], defaults: { socket } },
      { rootNodes: [{ url: `rediss://${HOST}:${port}` }], defaults: { socket } },
      new Cluster([{ host: HOST, port }], { redisOptions: { tls: { ca: [ca] } }, lazyConnect: true }),
      createCluster({ rootNodes: [{ url: `rediss://${HOST}:${port}` }], defaults: { socket } }),
    ]) {
      await works(input, "redis-cluster");
    }
  });

  it("that is not trusted is reported at once", async () => {
    const error = await refusal([{ host: HOST, port: ports[0], tls: { ca: stranger.cert } }]);
    expect(error.message).toContain("not from an authority that is trusted");
  });

  it("has the same settings of TLS for all nodes", () => {
    const mixed = [`rediss://${HOST}:1`, `redis://${HOST}:2`];
    expect(() => createRedisStore(mixed)).toThrow("nodes of a cluster need the same");
    const cluster = new Cluster(
      [
        { host: HOST, port: 1, tls: {} },
        { host: HOST, port: 2 },
      ],
      { lazyConnect: true },
    );
    expect(createRedisStore(cluster).backend).toBe("client");
    cluster.disconnect();
  });
});

describe("sentinels", () => {
  let sentinels;

  beforeAll(async () => {
    const primary = await startTlsRedis(authority);
    endings.push(primary.stop);
    const port = await freePort();
    const [dir, files] = [mkdtempSync(join(tmpdir(), "idioteque-sentinel-tls-")), dirname(primary.caFile)];
    const lines = [
      `bind ${HOST}`,
      "port 0",
      `tls-port ${port}`,
      `tls-cert-file ${join(files, "cert.pem")}`,
      `tls-key-file ${join(files, "key.pem")}`,
      `tls-ca-cert-file ${primary.caFile}`,
      "tls-auth-clients no",
      "tls-replication yes",
      `dir ${dir}`,
      `sentinel monitor main ${HOST} ${primary.tlsPort} 1`,
    ];
    writeFileSync(join(dir, "sentinel.conf"), `${lines.join("\n")}\n`);
    const child = spawn(findRedisServer(), [join(dir, "sentinel.conf"), "--sentinel"], { stdio: "ignore" });
    const exited = once(child, "exit");
    endings.push(async () => {
      child.kill("SIGKILL");
      await exited;
      rmSync(dir, { recursive: true, force: true });
    });
    sentinels = [{ host: HOST, port }];
  });

  const both = () => ({ tls: { ca }, enableTLSForSentinelMode: true, sentinelTLS: { ca } });

  it("and the primary are spoken to in TLS, whatever names them", async () => {
    const socket = { tls: true, ca };
    for (const input of [
      { sentinels, name: "main", ...both() },
      {
        sentinelRootNodes: sentinels,
        name: "main",
        nodeClientOptions: { socket },
        sentinelClientOptions: { socket },
      },
      new Redis({ sentinels, name: "main", ...both(), lazyConnect: true }),
    ]) {
      await works(input, "redis-sentinel", ["one"]);
    }
  });

  it("that are not trusted, and a primary that is not, are reported at once", async () => {
    for (const distrust of [{ sentinelTLS: { ca: stranger.cert } }, { tls: { ca: stranger.cert } }]) {
      const error = await refusal({ sentinels, name: "main", ...both(), ...distrust });
      expect(error.message).toContain("not from an authority that is trusted");
    }
  });

  it.each([
    ["asked for", async (set) => set.sentinels[0].ask("SENTINEL", "FAILOVER", MASTER)],
    ["after a crash", async (_set, primary) => primary.kill()],
  ])("tell of a failover %s, and the store follows in TLS", async (_, begin) => {
    const set = await startSentinels({ replicas: 1, authority });
    endings.push(set.stop);
    const store = createRedisStore({ sentinels: set.addresses, name: MASTER, ...both() }, { commandTimeout: 30_000 });
    endings.push(() => store.close());
    await store.commitExecutionTaskResult("followed", "before", 1);
    // A new primary is only made of a replica that is known to be well.
    const ready = async () => (await Promise.all(set.sentinels.map(replicasOf))).every((count) => count === 1);
    await eventually(ready, { deadline: 30_000, message: "a replica that is well" });
    const old = await set.primary();
    await begin(set, old);
    await eventually(async () => (await set.primary()) !== old, { deadline: 30_000, message: "the failover" });
    const admin = adminOf(await set.primary());
    const arrives = async () => {
      await store.commitExecutionTaskResult("followed", "after", 2);
      return (await admin.hget("followed-results", "after")) === "2";
    };
    await eventually(arrives, { deadline: 30_000, message: "a write on the new primary" });
  });

  it("leave no doubt whether the primary is spoken to in TLS", () => {
    const { tls } = both();
    for (const options of [{ tls }, { tls, enableTLSForSentinelMode: false }, { enableTLSForSentinelMode: true }]) {
      expect(() => createRedisStore({ sentinels, name: "main", ...options })).toThrow("`enableTLSForSentinelMode");
      const client = new Redis({ sentinels, name: "main", ...options, lazyConnect: true });
      expect(createRedisStore(client).backend).toBe("client");
      client.disconnect();
    }
    const unverified = { sentinels, name: "main", sentinelTLS: { rejectUnauthorized: false } };
    expect(() => createRedisStore(unverified)).toThrow("`sentinelTLS.rejectUnauthorized`");
  });
});
