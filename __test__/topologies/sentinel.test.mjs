// Sentinel: the store finds the primary, follows it when it changes, and fails with a clear error when no sentinel has it.
import { Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createRedisStore } from "../../index.js";
import { secret } from "../../tooling/secrets.mjs";
import { freePort } from "../../tooling/servers/redis-server.mjs";
import { MASTER, replicasOf, startSentinels } from "../../tooling/servers/sentinels.mjs";
import { eventually } from "../support/redis.mjs";

let set;

beforeAll(async () => {
  set = await startSentinels({ password: secret("of-sentinels") });
});

afterAll(() => set?.stop());

const configuration = () => ({ sentinels: set.addresses, name: MASTER, sentinelPassword: secret("of-sentinels") });

/** Commits one result after the other until stopped; what was acknowledged is noted. */
function commitUntilStopped(store, id) {
  const acknowledged = [];
  const errors = [];
  let stopped = false;
  const lane = async (name) => {
    for (let step = 0; !stopped; step += 1) {
      const task = `${name}-${step}`;
      try {
        await store.beginExecutionTask(id, task);
        await store.commitExecutionTaskResult(id, task, step);
        acknowledged.push([task, step]);
      } catch (error) {
        errors.push(error);
      }
      // Unacknowledged replication has a gap by nature: a slow writer shows what the store itself would lose.
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  };
  const lanes = ["a", "b", "c", "d"].map(lane);
  return {
    acknowledged,
    errors,
    async stop() {
      stopped = true;
      await Promise.all(lanes);
    },
  };
}

/** What a server holds, asked of it directly. */
async function resultsOn(server, id) {
  const admin = new Redis(server.url);
  try {
    return await admin.hgetall(`${id}-results`);
  } finally {
    admin.disconnect();
  }
}

/** Waits until other writes than those of before have been acknowledged. */
async function moreThan(writer) {
  const before = writer.acknowledged.length;
  await eventually(() => writer.acknowledged.length > before + 20, { deadline: 30_000, message: "writes going on" });
}

describe("a store over sentinels", () => {
  it("finds the primary, in both spellings, and through a live instance", async () => {
    const nodeRedis = {
      name: MASTER,
      sentinelRootNodes: set.addresses,
      sentinelClientOptions: { password: secret("of-sentinels") },
    };
    const live = new Redis({ ...configuration(), lazyConnect: true });
    const primary = await set.primary();
    for (const [index, input] of [configuration(), nodeRedis, live].entries()) {
      const store = createRedisStore(input);
      expect(store.backend).toBe("redis-sentinel");
      await store.commitExecutionTaskResult(`found-${index}`, "task", index);
      expect(await resultsOn(primary, `found-${index}`)).toEqual({ task: String(index) });
      await store.close();
    }
    live.disconnect();
  });

  it("resolves host names of sentinels", async () => {
    const sentinels = set.addresses.map(({ port }) => ({ host: "localhost", port }));
    const store = createRedisStore({ ...configuration(), sentinels });
    await store.beginExecution("by-name");
    expect(await store.isExecutionInProgress("by-name")).toBe(true);
    await store.close();
  });

  it("names the sentinels without that primary, within the deadline", async () => {
    const nowhere = { sentinels: [{ host: "127.0.0.1", port: await freePort() }], name: MASTER };
    const down = createRedisStore(nowhere, { commandTimeout: 300 });
    const error = await down.beginExecution("x").catch((error) => error);
    expect(error).toMatchObject({ code: "ERR_REDIS_CONNECTION" });
    expect(error.message).toContain("sentinels");
    const unknown = createRedisStore({ ...configuration(), name: "other" }, { commandTimeout: 300 });
    await expect(unknown.beginExecution("x")).rejects.toMatchObject({
      code: "ERR_REDIS_CONNECTION",
      message: expect.stringContaining('"other"'),
    });
    const locked = createRedisStore({ ...configuration(), sentinelPassword: "wrong" }, { commandTimeout: 2_000 });
    await expect(locked.beginExecution("x")).rejects.toMatchObject({ code: "ERR_REDIS_REPLY", reply: "WRONGPASS" });
    await Promise.all([down, unknown, locked].map((store) => store.close()));
  });

  it("follows a failover that is asked for, while it writes", async () => {
    const store = createRedisStore(configuration());
    const writer = commitUntilStopped(store, "asked");
    await moreThan(writer);
    const before = await set.primary();
    // So that the old primary acknowledges nothing that it will lose: what the store itself may lose is the question.
    const admin = new Redis(before.url);
    await admin.call("CONFIG", "SET", "min-replicas-to-write", "1");
    expect(await set.sentinels[0].ask("SENTINEL", "FAILOVER", MASTER)).toBe("OK");
    await eventually(async () => (await set.primary()) !== before, { deadline: 20_000, message: "the failover" });
    const after = await set.primary();
    // Once one write has reached the new primary, all that follow must, though the old one would still take them.
    const arrived = async () => Object.hasOwn(await resultsOn(after, "asked"), writer.acknowledged.at(-1)[0]);
    await eventually(arrived, { deadline: 20_000, message: "a write on the new primary" });
    const mark = writer.acknowledged.length;
    await moreThan(writer);
    await writer.stop();
    admin.disconnect();
    expect(writer.errors).toEqual([]);
    const found = await resultsOn(after, "asked");
    for (const [task, value] of writer.acknowledged.slice(mark)) expect(found[task]).toBe(String(value));
    await store.close();
  });

  it("follows a failover after the primary was killed, and keeps what was replicated", async () => {
    await eventually(async () => (await Promise.all(set.sentinels.map(replicasOf))).every((count) => count === 2), {
      deadline: 20_000,
      message: "two replicas that are well",
    });
    const store = createRedisStore(configuration(), { commandTimeout: 30_000 });
    const writer = commitUntilStopped(store, "killed");
    await moreThan(writer);
    const before = await set.primary();
    const admin = new Redis(before.url);
    await store.commitExecutionTaskResult("killed", "kept", "yes");
    await admin.hset("killed-results", "fence", "1");
    // A replica that has just been the primary may have to be configured again by the sentinels first.
    const both = async () => (await admin.wait(2, 1000)) === 2;
    await eventually(both, { deadline: 30_000, message: "both replicas with everything so far" });
    const replicated = [...writer.acknowledged];
    admin.disconnect();
    await before.kill();
    await eventually(async () => (await set.primary()) !== before, { deadline: 30_000, message: "the failover" });
    await moreThan(writer);
    await writer.stop();
    expect(writer.errors).toEqual([]);
    const found = await resultsOn(await set.primary(), "killed");
    expect(found.kept).toBe('"yes"');
    for (const [task, value] of replicated.slice(0, -4)) expect(found[task]).toBe(String(value));
    await before.restart();
    await store.close();
  });

  it("goes on while all sentinels are restarted", async () => {
    const store = createRedisStore(configuration());
    const writer = commitUntilStopped(store, "restarted");
    await moreThan(writer);
    await Promise.all(set.sentinels.map((sentinel) => sentinel.kill()));
    await moreThan(writer);
    for (const sentinel of set.sentinels) sentinel.start();
    await eventually(() => set.primary(), { message: "the sentinels' answer" });
    await moreThan(writer);
    await writer.stop();
    expect(writer.errors).toEqual([]);
    await store.close();
  });
});
