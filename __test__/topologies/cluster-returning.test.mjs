// Nodes of a cluster that come back are used again, whatever has become of their addresses and names, and no call is lost by
// it. So are servers that do not announce their addresses.
import { rmSync } from "node:fs";
import { join as joinPath } from "node:path";
import { Cluster } from "ioredis";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { addSlots, connectAdmin, join, NODE_ARGS, slotsOf, startMasters } from "../../tooling/servers/cluster.mjs";
import { freePort, startRedis } from "../../tooling/servers/redis-server.mjs";
import { startCommandProxy } from "../support/command-proxy.mjs";
import { keepCommitting } from "../support/load.mjs";
import { agree, takeDown } from "../support/other-servers.mjs";
import { eventually } from "../support/redis.mjs";
import { idWithin, keysOf } from "../support/slots.mjs";
import { temporaryStore } from "../support/temporary.mjs";
import { NAMELESS_USER, NAMELESS_USER_ARGS } from "../support/users.mjs";

const MASTERS = 3;
const SLOTS = 16_384;
const PLACES = [0, 1, 2].map((index) => {
  const [first, last] = slotsOf(index, MASTERS);
  return { first, last, hashTags: true };
});
const OPTIONS = { hashTags: true, commandTimeout: 30_000 };

const endings = [];
afterEach(async () => {
  for (const end of endings.splice(0).reverse()) await end();
});

/** A cluster for one test, and a client of it. */
async function temporaryCluster() {
  const cluster = await startMasters({ masters: MASTERS, replicas: 0, args: NAMELESS_USER_ARGS });
  endings.push(cluster.stop);
  const reader = new Cluster(cluster.startup);
  endings.push(() => reader.disconnect());
  return { ...cluster, readResults: (id) => reader.hgetall(keysOf(id, true)[2]) };
}

/** Executions on all nodes, the first of them on the first. */
const idsEverywhere = (label) =>
  Array.from({ length: 48 }, (_, index) => idWithin(`${label}-${index}`, PLACES[index % MASTERS]));

/** Takes a server's data and its place in the cluster away while it does not run. */
function forget({ dir }) {
  for (const file of ["nodes.conf", "dump.rdb"]) rmSync(joinPath(dir, file), { force: true });
}

describe("a node", () => {
  it.each([
    ["", undefined],
    [", with a user who may not ask it for its name", NAMELESS_USER],
  ])("that ends connections, or is started again, loses no call%s", async (_, user) => {
    const { masters, nodes, startup, readResults } = await temporaryCluster();
    const input = startup.map((node) => ({ ...node, ...user }));
    const load = keepCommitting(temporaryStore(input, OPTIONS), idsEverywhere("again"));
    await load.more(500);
    for (let round = 0; round < 10; round += 1) {
      await masters[round % MASTERS].admin.client("KILL", "TYPE", "normal");
      await load.more(500);
    }
    await masters[0].server.restart();
    await load.more(500);
    await load.stop();
    await agree(nodes);
    expect(load.errors).toEqual([]);
    expect(await load.lost(readResults)).toEqual([]);
  });

  it("that was made anew and joined the cluster under another name is used again", async () => {
    const { masters, startup, readResults } = await temporaryCluster();
    const store = temporaryStore(startup, OPTIONS);
    const [first, second, third] = idsEverywhere("anew");
    for (const id of [first, second, third]) await store.commitExecutionTaskResult(id, "before", 1);
    const [replaced, ...others] = masters;
    const oldName = await replaced.admin.call("CLUSTER", "MYID");
    await takeDown(replaced.server);
    forget(replaced.server);
    await replaced.server.restart();
    const waiting = store.commitExecutionTaskResult(first, "after", 1);
    for (const id of [second, third]) await store.commitExecutionTaskResult(id, "after", 1);
    // So that its claim on the slots is newer than that of the node it replaces.
    await replaced.admin.call("CLUSTER", "SET-CONFIG-EPOCH", 10);
    await addSlots(replaced.admin, ...slotsOf(0, MASTERS));
    await replaced.admin.call("CLUSTER", "MEET", others[0].server.host, others[0].server.port);
    for (const { admin } of others) await admin.call("CLUSTER", "FORGET", oldName);
    await agree(masters);
    await waiting;
    await store.commitExecutionTaskResult(first, "at last", 1);
    expect(await readResults(first)).toEqual({ after: "1", "at last": "1" });
    for (const id of [second, third]) expect(await readResults(id)).toEqual({ before: "1", after: "1" });
  });

  it("that comes back at the address of another one, and that one at its, is found there", async () => {
    const { masters, startup, readResults } = await temporaryCluster();
    const load = keepCommitting(temporaryStore(startup, OPTIONS), idsEverywhere("swapped"));
    await load.more(500);
    const [one, other, third] = masters;
    await Promise.all([one, other].map(({ server }) => takeDown(server)));
    const startAt = async ({ dir }, { port }) => {
      const server = await startRedis({ dir, port, args: [...NODE_ARGS, ...NAMELESS_USER_ARGS] });
      const admin = connectAdmin(server);
      endings.push(async () => {
        admin.disconnect();
        await server.stop();
      });
      return { server, admin };
    };
    const swapped = await Promise.all([startAt(one.server, other.server), startAt(other.server, one.server)]);
    // Each had the other's address for its own, and does not look for it elsewhere.
    await swapped[0].admin.call("CLUSTER", "MEET", swapped[1].server.host, swapped[1].server.port);
    await agree([...swapped, third]);
    await load.more(500);
    await load.stop();
    expect(load.errors).toEqual([]);
    expect(await load.lost(readResults)).toEqual([]);
  });
});

describe("a cluster", () => {
  it("that was made anew at the addresses of the old one is used", async () => {
    const { masters, nodes, startup, readResults } = await temporaryCluster();
    const store = temporaryStore(startup, OPTIONS);
    const [first, second, third] = idsEverywhere("anew");
    for (const id of [first, second, third]) await store.commitExecutionTaskResult(id, "before", 1);
    await Promise.all(masters.map(({ server }) => takeDown(server)));
    for (const { server } of masters) forget(server);
    await Promise.all(masters.map(({ server }) => server.restart()));
    await join(nodes, masters);
    await agree(nodes);
    for (const id of [first, second, third]) await store.commitExecutionTaskResult(id, "after", 1);
    for (const id of [first, second, third]) expect(await readResults(id)).toEqual({ after: "1" });
  });
});

describe("a server is used, and used again when its connection was lost,", () => {
  const UNKNOWN = "-ERR unknown subcommand 'MYID'. Try CLUSTER HELP.\r\n";
  let server;
  let port;

  beforeAll(async () => {
    port = await freePort();
    server = await startRedis({ args: [...NODE_ARGS, "--cluster-announce-port", String(port)] });
    const admin = connectAdmin(server);
    await addSlots(admin, 0, SLOTS - 1);
    await eventually(async () => (await admin.cluster("INFO")).includes("cluster_state:ok"));
    admin.disconnect();
  });

  afterAll(() => server?.stop());

  const isMyId = ([name, subcommand]) => name === "CLUSTER" && subcommand.toUpperCase() === "MYID";
  const isSlots = ([name, subcommand]) => name === "CLUSTER" && subcommand.toUpperCase() === "SLOTS";
  const map = () => `*1\r\n*3\r\n:0\r\n:${SLOTS - 1}\r\n*2\r\n$9\r\n127.0.0.1\r\n:${port}\r\n`;
  const otherName = `$40\r\n${"f".repeat(40)}\r\n`;

  it.each([
    ["though it does not know CLUSTER MYID", (command) => isMyId(command) && { reply: UNKNOWN }],
    ["though the map has no names", (command) => isSlots(command) && { reply: map() }],
    [
      "though nothing tells its name",
      (command) => (isMyId(command) && { reply: UNKNOWN }) || (isSlots(command) && { reply: map() }),
    ],
    ["though it goes by another name than in the map", (command) => isMyId(command) && { reply: otherName }],
  ])("%s", async (label, intervene) => {
    const proxy = await startCommandProxy(server, () => (command) => intervene(command) || undefined, { port });
    endings.push(proxy.stop);
    const load = keepCommitting(temporaryStore([proxy.url], OPTIONS), idsEverywhere(label));
    await load.more(500);
    for (let round = 0; round < 5; round += 1) {
      proxy.cut();
      await load.more(500);
    }
    await load.stop();
    expect(load.errors).toEqual([]);
    const admin = connectAdmin(server);
    endings.push(() => admin.disconnect());
    expect(await load.lost((id) => admin.hgetall(keysOf(id, true)[2]))).toEqual([]);
  });
});

describe("replicas that are new to a store", () => {
  it("are used at once when they have taken over from every node that it knew", async () => {
    const cluster = await startMasters({ masters: MASTERS, replicas: 1 });
    endings.push(cluster.stop);
    // Less than the time for which a map of other servers is not used.
    const store = temporaryStore(cluster.startup, { hashTags: true, commandTimeout: 4_000 });
    for (const place of PLACES) await store.beginExecution(idWithin("known", place));
    const replicas = cluster.nodes.slice(MASTERS);
    for (const [index, { admin }] of replicas.entries()) {
      await cluster.masters[index].server.kill();
      await admin.call("CLUSTER", "FAILOVER", "TAKEOVER");
    }
    const ports = replicas.map(({ server }) => server.port);
    const owners = async ({ admin }) => (await admin.call("CLUSTER", "SLOTS")).map(([, , [, port]]) => port);
    const haveTakenOver = async () =>
      (await Promise.all(replicas.map(owners))).every((own) => own.every((port) => ports.includes(port)));
    await eventually(haveTakenOver, { deadline: 30_000, message: "the replicas to take over" });
    for (const place of PLACES) {
      const id = idWithin("later", place);
      await store.commitExecutionTaskResult(id, "task", place.first);
      expect(await store.getExecutionTaskResult(id, "task")).toBe(place.first);
    }
  });
});
