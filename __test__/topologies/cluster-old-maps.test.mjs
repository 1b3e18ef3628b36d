// A node that has not heard of what became of the cluster, and answers first: its map is not followed where others know better, and
// one that has led nowhere is not believed again.
import { once } from "node:events";
import { createConnection, createServer } from "node:net";
import { Cluster } from "ioredis";
import { createCluster } from "redis";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startMasters } from "../../tooling/servers/cluster.mjs";
import { startFakeRedis } from "../support/fake-redis.mjs";
import { bulk } from "../support/fake-topologies.mjs";
import { temporaryStore } from "../support/temporary.mjs";

const host = "127.0.0.1";
const array = (parts) => `*${parts.length}\r\n${parts.join("")}`;

let cluster;
/** Ports at which nobody listens, and that no server is given meanwhile as one that was free a moment ago may be. */
const gone = [1, 2, 3];
let deadline = 20_000;
const ends = [];

beforeAll(async () => {
  cluster = await startMasters({ masters: 3, replicas: 0 });
});
afterAll(async () => {
  for (const end of ends.splice(0)) end();
  await cluster?.stop();
});

/** The node ids of the cluster, so that the old map is one of the same cluster. */
const idsOf = () => Promise.all(cluster.masters.map(({ admin }) => admin.call("CLUSTER", "MYID")));

/**
 * A node that was left out of the cluster and answers at once.
 *
 * @param {string} info what it says of the cluster, or an error
 */
async function startOldNode(info) {
  const ids = await idsOf();
  const share = 16_384 / gone.length;
  const ranges = gone.map((port, index) => {
    const node = array([bulk(host), `:${port}\r\n`, bulk(ids[index])]);
    return array([`:${Math.floor(index * share)}\r\n`, `:${Math.floor((index + 1) * share) - 1}\r\n`, node]);
  });
  return startFakeRedis(({ command: [name, subcommand = ""] }) => {
    if (name !== "CLUSTER") return "+OK\r\n";
    if (/^slots$/i.test(subcommand)) return array(ranges);
    if (/^info$/i.test(subcommand)) return info.startsWith("-") ? info : bulk(info);
    return bulk(ids[0]);
  });
}

/** A way to a server that takes its time, so that the old node answers first. */
async function startSlowWay({ port }, latency) {
  const server = createServer((client) => {
    const upstream = createConnection({ host, port });
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ]) {
      from.on("error", () => {}).on("close", () => to.destroy());
      from.on("data", (bytes) => setTimeout(() => to.write(bytes), latency / 2));
    }
  });
  server.listen(0, host);
  await once(server, "listening");
  ends.push(() => server.close());
  return server.address().port;
}

const INFOS = [
  ["that says nothing of its epoch", "-NOPERM no permissions\r\n"],
  ["with an earlier epoch", "cluster_state:ok\r\ncluster_current_epoch:1\r\n"],
  ["with the same epoch, that is down", "cluster_state:fail\r\ncluster_current_epoch:3\r\n"],
  // As when the cluster was set up anew.
  ["with a later epoch", "cluster_state:ok\r\ncluster_current_epoch:99\r\n"],
];

const INPUTS = [
  ["an array", (nodes) => nodes],
  ["an ioredis cluster", (nodes) => new Cluster(nodes, { lazyConnect: true })],
  ["a node-redis cluster", (nodes) => createCluster({ rootNodes: nodes.map((socket) => ({ socket })) })],
];

describe.each(INFOS)("an old node %s", (_, info) => {
  let old;
  beforeAll(async () => {
    old = await startOldNode(info);
  });
  afterAll(() => old?.stop());

  it.each(INPUTS.flatMap(([name, make]) => [20, 400].map((latency) => [name, latency, make])))(
    "costs no call, in %s, though it answers %i ms before the others",
    async (_name, latency, make) => {
      const port = await startSlowWay(cluster.masters[1].server, latency);
      const redis = make([
        { host, port: old.port },
        { host, port },
      ]);
      const store = temporaryStore(redis, { commandTimeout: ++deadline });
      const ids = Array.from({ length: 6 }, (_unused, index) => `old-${index}`);
      const begun = performance.now();
      await Promise.all(ids.map((id) => store.commitExecutionTaskResult(id, "task", id)));
      expect(performance.now() - begun).toBeLessThan(8_000);
      for (const id of ids) expect(await store.getExecutionTaskResult(id, "task")).toBe(id);
      redis.disconnect?.();
    },
  );
});

it("a map that leads nowhere is reported where there is no other", async () => {
  const old = await startOldNode("cluster_state:ok\r\ncluster_current_epoch:99\r\n");
  const store = temporaryStore([{ host, port: old.port }], { commandTimeout: 1_000 });
  await expect(store.beginExecution("alone")).rejects.toMatchObject({ code: "ERR_REDIS_CONNECTION" });
  await old.stop();
});
