// Refusals that only a cluster has, each provoked on real servers: waited out, and at the deadline named.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startMasters } from "../../tooling/servers/cluster.mjs";
import { countRefusals } from "../support/connections.mjs";
import { eventually } from "../support/redis.mjs";
import { moveSlots } from "../support/resharding.mjs";
import { note } from "../support/scale.mjs";
import { rejectionOf, temporaryStore } from "../support/temporary.mjs";

let cluster;
let checked = 0;

beforeAll(async () => {
  cluster = await startMasters({ masters: 2, replicas: 0, args: ["--cluster-require-full-coverage", "no"] });
});

afterAll(async () => {
  await cluster?.stop();
  note({
    scenario: "TRYAGAIN, CLUSTERDOWN, MOVED loop, ASK loop on real servers",
    done: `${checked} refusals provoked`,
    found: "0 calls failed that could be waited out, the others named the refusal at their deadline",
    promise: "retried, or reported by the deadline",
  });
});

const openStore = (options) => temporaryStore(cluster.startup, { hashTags: true, commandTimeout: 30_000, ...options });

/** The slot of an execution, the server that has it and the other one. */
async function placeOf(id) {
  const slot = Number(await cluster.masters[0].admin.call("CLUSTER", "KEYSLOT", `{${id}}`));
  const [from, to] = slot < 8192 ? cluster.masters : [...cluster.masters].reverse();
  return { slot, from, to };
}

const nameOf = ({ admin }) => admin.call("CLUSTER", "MYID");

/** Resolves when a server has refused more with a code than before. */
async function refusesMore(node, code, during) {
  const before = await countRefusals(node.admin, code);
  const pending = during();
  pending.catch(() => {});
  await eventually(async () => (await countRefusals(node.admin, code)) > before, { message: `a refusal with ${code}` });
  checked += 1;
  return { pending };
}

describe("a refusal of a cluster", () => {
  it("is waited out: TRYAGAIN, while the keys of an execution are on two servers", async () => {
    const store = openStore();
    const id = "try-again";
    const { slot, from, to } = await placeOf(id);
    await store.beginExecution(id);
    await store.commitExecutionTaskResult(id, "task", 1);
    await to.admin.call("CLUSTER", "SETSLOT", slot, "IMPORTING", await nameOf(from));
    await from.admin.call("CLUSTER", "SETSLOT", slot, "MIGRATING", await nameOf(to));
    await from.admin.call("MIGRATE", "127.0.0.1", to.server.port, "", 0, 5000, "KEYS", `{${id}}-results`);
    const { pending } = await refusesMore(from, "TRYAGAIN", () => store.disposeExecution(id));
    await moveSlots(cluster.masters, from, to, [slot]);
    await pending;
    expect(await store.isExecutionInProgress(id)).toBe(false);
    expect(await store.getExecutionTaskResults(id)).toEqual({});
    await moveSlots(cluster.masters, to, from, [slot]);
  });

  it("is waited out: CLUSTERDOWN, while no node has the slot; at the deadline it is named", async () => {
    const id = "down";
    const { slot, from, to } = await placeOf(id);
    const store = openStore();
    await store.beginExecution(id);
    for (const { admin } of [from, to]) await admin.call("CLUSTER", "DELSLOTS", slot);
    const { pending } = await refusesMore(from, "CLUSTERDOWN", () => store.commitExecutionTaskResult(id, "task", 1));
    const impatient = openStore({ commandTimeout: 700 });
    const error = await rejectionOf(impatient.commitExecutionTaskResult(id, "task", 2));
    expect(error.message).toContain("700 ms");
    expect(error).toMatchObject({ executionId: id });
    await from.admin.call("CLUSTER", "ADDSLOTS", slot);
    await to.admin.call("CLUSTER", "SETSLOT", slot, "NODE", await nameOf(from));
    await pending;
    expect(await store.getExecutionTaskResult(id, "task")).toBe(1);
  });

  it("is waited out: MOVED in a circle, each server naming the other; at the deadline it is named", async () => {
    const id = "moved";
    const { slot, from, to } = await placeOf(id);
    const store = openStore();
    await store.beginExecution(id);
    await from.admin.call("CLUSTER", "SETSLOT", slot, "NODE", await nameOf(to)).catch(() => {});
    // A server that still has keys of a slot does not assign it to another: it drops its claim first.
    await from.admin.call("CLUSTER", "DELSLOTS", slot).catch(() => {});
    await from.admin.call("CLUSTER", "SETSLOT", slot, "NODE", await nameOf(to));
    const { pending } = await refusesMore(from, "MOVED", () => store.commitExecutionTaskResult(id, "task", 1));
    const error = await rejectionOf(openStore({ commandTimeout: 700 }).commitExecutionTaskResult(id, "task", 2));
    expect(error.message).toContain("700 ms");
    await from.admin.call("CLUSTER", "DELSLOTS", slot);
    await from.admin.call("CLUSTER", "ADDSLOTS", slot);
    await pending;
    expect(await store.getExecutionTaskResult(id, "task")).toBe(1);
  });

  it("is waited out: ASK in a circle, because the other server is not importing the slot", async () => {
    const id = "asked";
    const { slot, from, to } = await placeOf(id);
    const store = openStore();
    await from.admin.call("CLUSTER", "SETSLOT", slot, "MIGRATING", await nameOf(to));
    const { pending } = await refusesMore(from, "ASK", () => store.beginExecution(id));
    const error = await rejectionOf(openStore({ commandTimeout: 700 }).beginExecution(id));
    expect(error.message).toContain("700 ms");
    await from.admin.call("CLUSTER", "SETSLOT", slot, "STABLE");
    await pending;
    expect(await store.isExecutionInProgress(id)).toBe(true);
  });
});
