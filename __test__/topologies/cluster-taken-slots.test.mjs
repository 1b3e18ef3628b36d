// A slot that an administrator takes by force from a server that stands still and keeps its other slots.
import { afterAll, beforeAll, expect, it } from "vitest";
import { startMasters } from "../../tooling/servers/cluster.mjs";
import { temporaryStore } from "../support/temporary.mjs";

const SLOTS = 16_384;
let cluster;

beforeAll(async () => {
  // No server is taken to have failed.
  cluster = await startMasters({ replicas: 0, args: ["--cluster-node-timeout", "60000"] });
});

afterAll(() => cluster?.stop());

it("calls for it go to the server that has it now, before their deadline", async () => {
  const store = temporaryStore(cluster.startup, { hashTags: true, commandTimeout: 5000 });
  const [{ admin }] = cluster.masters;
  const id = "taken";
  const slot = Number(await admin.call("CLUSTER", "KEYSLOT", `{${id}}`));
  const from = cluster.masters[Math.floor((slot * cluster.masters.length) / SLOTS)];
  const others = cluster.masters.filter((master) => master !== from);
  const [to] = others;
  const name = await to.admin.call("CLUSTER", "MYID");
  await store.beginExecution(id);
  from.server.pause();
  try {
    const calls = [store.beginExecution(id), store.commitExecutionTaskResult(id, "task", 1)];
    for (const { admin } of others) await admin.call("CLUSTER", "SETSLOT", slot, "NODE", name);
    await Promise.all(calls);
    expect(await store.isExecutionInProgress(id)).toBe(true);
    expect(await to.admin.get(`{${id}}`)).toBe("true");
    expect(await to.admin.hgetall(`{${id}}-results`)).toEqual({ task: "1" });
  } finally {
    from.server.resume();
  }
});
