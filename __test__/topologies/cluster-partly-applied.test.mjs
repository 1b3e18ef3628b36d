// A write to a cluster whose keys are on several servers, some of which carry out their part: the error says so.
import { afterAll, beforeAll, expect, it } from "vitest";
import { slotsOf, startMasters } from "../../tooling/servers/cluster.mjs";
import { eventually } from "../support/redis.mjs";
import { rejectionOf, temporaryStore } from "../support/temporary.mjs";

let cluster;

beforeAll(async () => {
  cluster = await startMasters({ masters: 3, replicas: 0, args: ["--cluster-require-full-coverage", "no"] });
});

afterAll(() => cluster?.stop());

/** An execution whose own key is on a server that has none of its hashes. */
async function scatteredId() {
  const ownerOf = async (key) => {
    const slot = Number(await cluster.masters[0].admin.call("CLUSTER", "KEYSLOT", key));
    return cluster.masters.findIndex((_, index) => slot <= slotsOf(index, cluster.masters.length)[1]);
  };
  for (let number = 0; ; number += 1) {
    const id = `scattered-${number}`;
    const [own, ...others] = await Promise.all([id, `${id}-transactions`, `${id}-results`].map(ownerOf));
    if (!others.includes(own)) return { id, owner: cluster.masters[own] };
  }
}

it.each([
  ["is not there", 1500, (server) => server.kill(), (server) => server.restart()],
  ["does not answer", 1600, (server) => server.pause(), (server) => server.resume()],
])("disposeExecution, whose execution key's server %s", async (_, commandTimeout, begin, end) => {
  const { id, owner } = await scatteredId();
  const store = temporaryStore(cluster.startup, { commandTimeout });
  const isThere = async () => (await Promise.allSettled([store.beginExecution(id)]))[0].status === "fulfilled";
  await eventually(isThere, { message: "every slot being served" });
  await store.beginExecutionTask(id, "marked");
  await store.commitExecutionTaskResult(id, "done", 1);
  await begin(owner.server);
  try {
    const error = await rejectionOf(store.disposeExecution(id));
    expect(error.message).toContain(" Other parts of the call have been applied.");
    expect(error.message).not.toContain("not applied");
    expect(await store.getExecutionTaskResults(id)).toEqual({});
    expect(await store.isExecutionTaskInProgress(id, "marked")).toBe(false);
  } finally {
    await end(owner.server);
  }
  await eventually(isThere, { message: "every slot being served again" });
  await store.disposeExecution(id);
});
