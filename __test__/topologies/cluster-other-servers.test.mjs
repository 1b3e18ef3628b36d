// Another Redis at the address of a cluster's node, or at a start-up node's: it is sent nothing and its answers are not used. Calls
// wait for the node, or say at their deadline who answers there.
import { Cluster } from "ioredis";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { addSlots, slotsOf, startMasters } from "../../tooling/servers/cluster.mjs";
import { keepCommitting } from "../support/load.mjs";
import { agree, isRunning, startStranger, takeDown } from "../support/other-servers.mjs";
import { dump, eventually } from "../support/redis.mjs";
import { idWithin, keysOf, slotOf } from "../support/slots.mjs";
import { outcomeOf, rejectionOf, temporaryStore } from "../support/temporary.mjs";
import { NAMELESS_USER, NAMELESS_USER_ARGS } from "../support/users.mjs";

const MASTERS = 3;
const [FIRST, SECOND, THIRD] = [0, 1, 2].map((index) => {
  const [first, last] = slotsOf(index, MASTERS);
  return { first, last };
});
/** Long enough for a server to be ended and started and to take writes again. */
const PATIENT_MS = 30_000;
const IMPATIENT_MS = 2_000;

const endings = [];

/** Ends a node of a cluster. It is back after the test at the latest. */
async function takeDownForNow({ server }, { nodes }) {
  endings.push(async () => {
    if (!isRunning(server)) await server.restart();
    await agree(nodes);
  });
  await takeDown(server);
}

/** A server of another cluster that ends with the test at the latest. */
async function temporaryStranger(node, kind) {
  const stranger = await startStranger(node.server, { ...kind, args: NAMELESS_USER_ARGS });
  endings.push(stranger.stop);
  return stranger;
}

afterEach(async () => {
  for (const end of endings.splice(0).reverse()) await end();
});

const KINDS = [
  ["a server of no cluster", {}],
  ["the node of another cluster", { ofCluster: true }],
];

/** That a call was given up, because another server is at the address of the node that it is for. */
function expectRefusal(error, { host, port }) {
  expect(error).toMatchObject({ name: "RedisStoreError" });
  expect(error.code).toMatch(/^ERR_REDIS_(CONNECTION|TIMEOUT)$/);
  expect(error.message).toContain("another server");
  expect(error.message).toContain(`${host}:${port}`);
}

describe("in the place of a node without a successor", () => {
  let cluster;
  let reader;
  let victim;

  beforeAll(async () => {
    cluster = await startMasters({ masters: MASTERS, replicas: 0, args: NAMELESS_USER_ARGS });
    reader = new Cluster(cluster.startup);
    [victim] = cluster.masters;
  });

  afterAll(async () => {
    reader?.disconnect();
    await cluster?.stop();
  });

  const STYLES = [
    ["without hash tags", {}],
    ["with hash tags", { hashTags: true }],
    ["with a user who may not ask servers for their names", {}, NAMELESS_USER],
  ];

  describe.each(KINDS)("%s", (kindName, kind) => {
    it.each(STYLES)(
      "is sent nothing and its answers are not used, %s, and calls wait for the node",
      async (style, options, user) => {
        const input = cluster.startup.map((node) => ({ ...node, ...user }));
        const id = (name, where) => idWithin(`${kindName}, ${style}, ${name}`, { ...where, ...options });
        const [written, kept, elsewhere] = [id("written", FIRST), id("kept", FIRST), id("elsewhere", SECOND)];
        const patient = temporaryStore(input, { ...options, commandTimeout: PATIENT_MS });
        const impatient = temporaryStore(input, { ...options, commandTimeout: IMPATIENT_MS });
        await patient.beginExecution(kept);
        await patient.commitExecutionTaskResult(kept, "task", "of the cluster");
        await impatient.isExecutionInProgress(kept);
        await takeDownForNow(victim, cluster);
        const stranger = await temporaryStranger(victim, kind);
        const [tag, marks, results] = keysOf(kept, options.hashTags);
        await stranger.admin.hset(marks, "task", "true");
        await stranger.admin.hset(results, "task", '"of the stranger"');
        const before = await dump(stranger.admin, tag);

        const callAll = (store) =>
          Promise.all(
            [
              store.beginExecution(written),
              store.beginExecutionTask(written, "task"),
              store.commitExecutionTaskResult(written, "task", 1),
              store.isExecutionInProgress(kept),
              store.isExecutionTaskInProgress(kept, "task"),
              store.getExecutionTaskResult(kept, "task"),
              store.getExecutionTaskResults(kept),
              store.disposeExecution(kept),
            ].map(outcomeOf),
          );
        const waiting = callAll(patient);
        const given = callAll(impatient);
        // The other nodes are asked meanwhile, as ever.
        await patient.commitExecutionTaskResult(elsewhere, "task", 1);
        expect(await patient.getExecutionTaskResult(elsewhere, "task")).toBe(1);
        for (const { value, error } of await given) {
          expect(error, `fulfilled with ${JSON.stringify(value)}`).toBeDefined();
          expectRefusal(error, victim.server);
        }
        expect(await dump(stranger.admin, tag)).toEqual(before);
        expect(await stranger.admin.dbsize()).toBe(2);

        await stranger.stop();
        await victim.server.restart();
        const answers = [undefined, undefined, undefined, true, false, "of the cluster", { task: "of the cluster" }];
        expect(await waiting).toEqual([...answers, undefined].map((value) => ({ value })));
        expect(await reader.hgetall(keysOf(written, options.hashTags)[2])).toEqual({ task: "1" });
        for (const key of keysOf(kept, options.hashTags)) expect(await reader.exists(key)).toBe(0);
      },
    );

    it("is not sent what was in flight when the connection to the node was lost", async () => {
      const options = { hashTags: true };
      const patient = temporaryStore(cluster.startup, { ...options, commandTimeout: PATIENT_MS });
      const impatient = temporaryStore(cluster.startup, { ...options, commandTimeout: IMPATIENT_MS });
      const ids = Array.from({ length: 16 }, (_, lane) =>
        idWithin(`${kindName}, under way, ${lane}`, { ...FIRST, ...options }),
      );
      await impatient.isExecutionInProgress(ids[0]);
      const load = keepCommitting(patient, ids);
      await load.more(500);
      await takeDownForNow(victim, cluster);
      const stranger = await temporaryStranger(victim, kind);
      expectRefusal(await rejectionOf(impatient.beginExecution(ids[0])), victim.server);
      expect(await stranger.admin.dbsize()).toBe(0);

      await stranger.stop();
      await victim.server.restart();
      await load.more(500, PATIENT_MS);
      await load.stop();
      expect(load.errors).toEqual([]);
      expect(await load.lost((id) => reader.hgetall(keysOf(id, true)[2]))).toEqual([]);
    });
  });
});

describe("in the place of a node that its replica has taken over", () => {
  let cluster;
  let reader;

  beforeAll(async () => {
    cluster = await startMasters({ masters: MASTERS, replicas: 1 });
    reader = new Cluster(cluster.startup);
  });

  afterAll(async () => {
    reader?.disconnect();
    await cluster?.stop();
  });

  /** The node that has a slot, according to another one. */
  async function ownerOf(slot, { admin }) {
    const slots = await admin.call("CLUSTER", "SLOTS");
    const [, , [, port]] = slots.find(([first, last]) => first <= slot && slot <= last);
    return cluster.nodes.find(({ server }) => server.port === port);
  }

  it.each(KINDS)("%s is sent nothing, and calls go to the replica", async (kindName, kind) => {
    const [, witness] = cluster.masters;
    const victim = await ownerOf(FIRST.first, witness);
    const follows = async () => (await victim.admin.info("replication")).includes("state=online");
    await eventually(follows, { deadline: 30_000, message: "a replica that follows" });
    const store = temporaryStore(cluster.startup, { hashTags: true, commandTimeout: PATIENT_MS });
    const [written, kept] = ["written", "kept"].map((name) =>
      idWithin(`${kindName}, ${name}`, { ...FIRST, hashTags: true }),
    );
    await store.commitExecutionTaskResult(kept, "task", "of the cluster");
    await victim.admin.call("WAIT", 1, 5_000);

    await takeDownForNow(victim, cluster);
    const isTakenOver = async () => (await ownerOf(FIRST.first, witness)) !== victim;
    await eventually(isTakenOver, { deadline: 30_000, message: "the replica to take over" });
    const stranger = await temporaryStranger(victim, kind);
    await store.beginExecution(written);
    expect(await store.getExecutionTaskResult(kept, "task")).toBe("of the cluster");
    expect(await stranger.admin.dbsize()).toBe(0);
    // Of the new owner itself: ioredis may still ask who answers at the old address.
    const owner = await ownerOf(FIRST.first, witness);
    expect(await owner.admin.get(keysOf(written, true)[0])).toBe("true");

    await stranger.stop();
    await victim.server.restart();
    await agree(cluster.nodes);
    await store.disposeExecution(written);
    expect(await reader.exists(keysOf(written, true)[0])).toBe(0);
  });
});

describe("in the place of the start-up node", () => {
  let cluster;
  let startup;
  let reader;

  beforeAll(async () => {
    cluster = await startMasters({ masters: MASTERS, replicas: 1 });
    // A replica, which no call is for: only its map of the others could mislead.
    startup = cluster.nodes.at(-1);
    reader = new Cluster(cluster.masters.map(({ server: { host, port } }) => ({ host, port })));
  });

  afterAll(async () => {
    reader?.disconnect();
    await cluster?.stop();
  });

  it("the node of another cluster is not used while nodes of the known one answer, however late", async () => {
    const { host, port } = startup.server;
    const store = temporaryStore([{ host, port }], { hashTags: true, commandTimeout: PATIENT_MS });
    const ids = [FIRST, SECOND, THIRD].map((where, index) =>
      idWithin(`start-up-${index}`, { ...where, hashTags: true }),
    );
    for (const id of ids) await store.beginExecution(id);
    await takeDownForNow(startup, cluster);
    const stranger = await temporaryStranger(startup, { ofCluster: true });

    // While a slot belongs to no node, the map is read again and again.
    const [owner, ...others] = cluster.masters;
    const homeless = idWithin("homeless", { ...FIRST, hashTags: true });
    const slot = slotOf(`{${homeless}}`);
    for (const { admin } of cluster.masters) await admin.call("CLUSTER", "DELSLOTS", slot);
    let givenBack;
    const giveBack = () => {
      givenBack ??= giveSlot(slot, owner, others);
      return givenBack;
    };
    endings.push(giveBack);
    const waiting = outcomeOf(store.commitExecutionTaskResult(homeless, "task", 1));
    // The other server answers first, and at once.
    await Promise.all(cluster.masters.map(({ admin }) => admin.client("PAUSE", 700)));
    await Promise.all(cluster.masters.map(({ admin }) => admin.ping()));
    for (const id of ids) await store.commitExecutionTaskResult(id, "task", id);
    expect(await stranger.admin.dbsize()).toBe(0);
    for (const id of ids) expect(await reader.hgetall(keysOf(id, true)[2])).toEqual({ task: JSON.stringify(id) });

    await giveBack();
    expect(await waiting).toEqual({ value: undefined });
    expect(await reader.hgetall(keysOf(homeless, true)[2])).toEqual({ task: "1" });
    expect(await stranger.admin.dbsize()).toBe(0);
  });

  /** Gives a slot that belongs to no node to a master. */
  async function giveSlot(slot, { admin }, others) {
    await addSlots(admin, slot, slot);
    const name = await admin.call("CLUSTER", "MYID");
    for (const { admin } of others) await admin.call("CLUSTER", "SETSLOT", slot, "NODE", name);
  }
});
