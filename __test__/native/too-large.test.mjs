// Results that are longer than a server, or something before it, takes: it closes the connection, with an error or without, and no other call
// may suffer from that.
import { describe, expect, it, onTestFinished } from "vitest";
import { startMasters } from "../../tooling/servers/cluster.mjs";
import { privateRedis, sharedRedis } from "../support/redis.mjs";
import { rejectionOf, temporaryStore } from "../support/temporary.mjs";

const { newId } = sharedRedis();

/**
 * Commits a result that is too large for a server in between others, which all have to succeed. Nothing of it may be there
 * afterwards.
 *
 * @param {object} store
 * @param {number} size in MB
 * @returns {Promise<Error>} what its call rejected with
 */
async function commitAmongOthers(store, size) {
  const ids = Array.from({ length: 20 }, newId);
  const large = ids[10];
  const value = "x".repeat(size * 1024 * 1024);
  await store.beginExecutionTask(large, "task");
  const calls = ids.map((id) => store.commitExecutionTaskResult(id, "task", id === large ? value : id));
  const refused = rejectionOf(calls[10]);
  await Promise.all(calls.toSpliced(10, 1));
  const later = newId();
  await store.commitExecutionTaskResult(later, "task", later);
  const error = await refused;
  expect(error).toMatchObject({ executionId: large, taskId: "task" });
  const all = [...ids, later];
  const results = await Promise.all(all.map((id) => store.getExecutionTaskResult(id, "task")));
  expect(results).toEqual(all.map((id) => (id === large ? undefined : id)));
  expect(await store.isExecutionTaskInProgress(large, "task")).toBe(true);
  return error;
}

describe("a server that replies with an error before it closes the connection", () => {
  // A call that waits for its deadline runs into that of its test: what settles, was settled long before.
  it.each([
    [2, undefined],
    [2, 60_000],
    [40, undefined],
  ])(
    "has the call rejected at once: %i MB where 1 MB is allowed, with a ttl of %s",
    { timeout: 15_000 },
    async (size, ttl) => {
      const { host, port } = await privateRedis({ args: ["--proto-max-bulk-len", "1mb"] });
      const store = temporaryStore({ host, port }, { commandTimeout: 30_000, ttl });
      const error = await commitAmongOthers(store, size);
      expect(error).toMatchObject({ code: "ERR_REDIS_REPLY", reply: "ERR" });
      expect(error.message).toContain("proto-max-bulk-len");
    },
  );
});

describe("a server that closes the connection without an error", () => {
  const args = ["--client-query-buffer-limit", "1mb"];

  it.each([2, 40])("delays no other call: %i MB where 1 MB is allowed", async (size) => {
    const { host, port } = await privateRedis({ args });
    const error = await commitAmongOthers(temporaryStore({ host, port }, { commandTimeout: 3000 }), size);
    expect(error.code).toBe("ERR_REDIS_CONNECTION");
    expect(error.message).toMatch(/given up after 3000 ms.*lost \d+ times.*of \d+ bytes.*is it more than/);
  });

  it("delays no other call in a cluster either", async () => {
    const cluster = await startMasters({ masters: 1, replicas: 0, args });
    onTestFinished(() => cluster.stop());
    const error = await commitAmongOthers(temporaryStore(cluster.startup, { commandTimeout: 3000 }), 2);
    expect(error.code).toMatch(/^ERR_REDIS_(CONNECTION|TIMEOUT)$/);
  });
});
