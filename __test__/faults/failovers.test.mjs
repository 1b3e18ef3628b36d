// Primaries that are replaced under load: through Sentinel, asked for or because the primary was killed, and in a cluster.
import { setTimeout as delay } from "node:timers/promises";
import { Redis } from "ioredis";
import { expect, it } from "vitest";
import { startMasters } from "../../tooling/servers/cluster.mjs";
import { MASTER, startSentinels } from "../../tooling/servers/sentinels.mjs";
import { keepCalling } from "../support/load.mjs";
import { eventually } from "../support/redis.mjs";
import { full, note, times } from "../support/scale.mjs";
import { temporaryClient, temporaryStore } from "../support/temporary.mjs";

it("writes resume within a second of each promotion, and what was acknowledged and replicated is still there", async () => {
  const rounds = times(2, 10);
  const set = await startSentinels();
  const clients = new Map(set.servers.map((server) => [server, temporaryClient(server)]));
  const store = temporaryStore({ sentinels: set.addresses, name: MASTER }, { commandTimeout: 60_000 });
  const resumed = [];
  let replicated = 0;
  let acknowledged = 0;
  // By how the failover came about: what only the old primary has acknowledged.
  const gone = { asked: 0, killed: 0 };
  try {
    for (let round = 0; round < rounds; round++) {
      const well = async () => {
        const primary = await set.primary();
        const info = await clients.get(primary).info("replication");
        const states = await Promise.all(set.sentinels.map(({ ask }) => ask("SENTINEL", "REPLICAS", MASTER)));
        const seen = states.every((replicas) => replicas.filter((entry) => entry.includes("slave")).length === 2);
        return seen && info.split("state=online").length === 3 && info.includes("role:master");
      };
      await eventually(well, { deadline: 60_000, message: "a primary with two replicas" });
      const before = await set.primary();
      const others = set.servers.filter((server) => server !== before);
      const id = `round-${round}`;
      const load = keepCalling(8, async (index) => {
        await store.commitExecutionTaskResult(id, `task-${index}`, index);
        // The gap that replication has by nature is not the question, so it need not be wide.
        await delay(1);
      });
      await eventually(() => load.answered.length > 200, { message: "commits" });
      const admin = clients.get(before);
      const safe = [...load.answered];
      await admin.hset(`${id}-marker`, "all before this", "are replicated");
      expect(await admin.wait(2, 10_000)).toBe(2);
      // The first of the others that says it is a primary.
      const promotion = Promise.any(
        others.map((server) =>
          eventually(async () => (await clients.get(server).role())[0] === "master" && performance.now(), {
            deadline: 60_000,
            message: "a promotion",
          }),
        ),
      );
      const kills = round % 2 === 1;
      if (kills) await before.kill();
      else {
        // A sentinel takes no replica as good without a recent reply of it.
        const asked = () => set.sentinels[0].ask("SENTINEL", "FAILOVER", MASTER).catch(() => undefined);
        await eventually(async () => (await asked()) === "OK", { deadline: 60_000, message: "a failover" });
      }
      const promoted = await promotion;
      const { length } = load.answered;
      await eventually(() => load.answered.length > length, { deadline: 60_000, message: "an answer" });
      // Only one that has arrived on the new primary counts.
      const after = await eventually(
        async () => {
          for (const server of others) if ((await clients.get(server).role())[0] === "master") return server;
        },
        { message: "the new primary" },
      );
      const arrived = await eventually(
        async () => {
          const last = load.answered.at(-1);
          return (await clients.get(after).hexists(`${id}-results`, `task-${last}`)) && load.lastAnswer;
        },
        { deadline: 60_000, message: "a write on the new primary" },
      );
      resumed.push(Math.max(0, arrived - promoted));
      await load.stop();
      expect(load.errors).toEqual([]);
      const found = await clients.get(after).hgetall(`${id}-results`);
      for (const index of safe) expect(found[`task-${index}`]).toBe(String(index));
      gone[kills ? "killed" : "asked"] += load.answered.filter((index) => !(`task-${index}` in found)).length;
      replicated += safe.length;
      acknowledged += load.answered.length;
      if (kills) await before.restart();
    }
  } finally {
    await store.close();
    await set.stop();
  }
  const slowest = Math.round(Math.max(...resumed));
  if (full) expect(slowest).toBeLessThan(1000);
  note({
    scenario: "Sentinel failovers under load, half of them because the primary was killed",
    done: `${rounds} failovers, ${acknowledged} commits`,
    found:
      `writes resumed ${slowest} ms after the promotion at the latest, ` +
      `0 of ${replicated} acknowledged and replicated commits lost, 0 errors; acknowledged by the old primary alone, and ` +
      `lost with it: ${gone.killed} where it was killed, ${gone.asked} where it was asked for`,
    promise: "within 1 s, 0 lost",
  });
});

it("a killed master of a cluster costs the other shards nothing", async () => {
  const cluster = await startMasters();
  const clients = cluster.nodes.map(({ server }) => new Redis(server.url, { retryStrategy: () => 20 }));
  for (const client of clients) client.on("error", () => {});
  const store = temporaryStore(cluster.startup, { hashTags: true, commandTimeout: 60_000 });
  try {
    const [victim] = cluster.masters;
    const [own, others] = [[], []];
    for (let index = 0; own.length < 50 || others.length < 50; index += 1) {
      const slot = Number(await clients[1].call("CLUSTER", "KEYSLOT", `{execution-${index}}`));
      (slot < 5461 ? own : others).push(`execution-${index}`);
    }
    // A rate that the machine can keep up easily, so that what is measured is who waits, not who gets the processor.
    const paced = (ids, lanes) =>
      keepCalling(lanes, async (index) => {
        await store.commitExecutionTaskResult(ids[index % 50], `task-${index}`, index);
        await delay(5);
      });
    const [ownLoad, othersLoad] = [paced(own, 8), paced(others, 16)];
    const rate = async (ms) => {
      const [answers, started] = [othersLoad.answered.length, performance.now()];
      await delay(ms);
      return (othersLoad.answered.length - answers) / (performance.now() - started);
    };
    await eventually(() => ownLoad.answered.length > 200, { message: "commits" });
    const before = await rate(times(500, 3000));
    for (const { admin } of cluster.masters) await admin.call("WAIT", 1, 5000);
    const safe = [...ownLoad.answered.slice(0, -50)];
    await victim.server.kill();
    const killed = performance.now();
    const answeredBefore = ownLoad.answered.length;
    // As long as no replica has taken its place.
    const during = await rate(times(500, 1500));
    const back = () => ownLoad.answered.length > answeredBefore + 20;
    await eventually(back, { deadline: 30_000, message: "the promotion of its replica" });
    const away = ownLoad.lastAnswer - killed;
    await Promise.all([ownLoad.stop(), othersLoad.stop()]);
    expect([...ownLoad.errors, ...othersLoad.errors]).toEqual([]);
    for (const index of safe) {
      expect(await store.getExecutionTaskResult(own[index % 50], `task-${index}`)).toBe(index);
    }
    const kept = (100 * during) / before;
    if (full) expect(kept).toBeGreaterThan(95);
    note({
      scenario: "one of three masters of a cluster killed, its replica promoted",
      done: `${ownLoad.made + othersLoad.made} commits at a steady rate`,
      found:
        `the other shards kept ${kept.toFixed(1)} % of their throughput, its own were back after ` +
        `${(away / 1000).toFixed(1)} s (cluster-node-timeout 1 s), 0 of ${safe.length} replicated commits lost, 0 errors`,
      promise: "95 %",
    });
  } finally {
    await store.close();
    for (const client of clients) client.disconnect();
    await cluster.stop();
  }
});
