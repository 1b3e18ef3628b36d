// A server that refuses for a while, with thousands of calls waiting: it is asked with one of them, after pauses that grow, and
// not with all again and again.
import { setTimeout as delay } from "node:timers/promises";
import { afterEach, describe, expect, it } from "vitest";
import { FAKE_TOPOLOGIES } from "../support/fake-topologies.mjs";
import { eventually, privateRedis } from "../support/redis.mjs";
import { note, times } from "../support/scale.mjs";
import { temporaryClient, temporaryStore } from "../support/temporary.mjs";

const CALLS = times(5000, 50_000);
const OPTIONS = { commandTimeout: 40_000, readAhead: false };
/** For so long the server is watched, once everything has been refused. */
const WATCHED_MS = 3000;
/** Calls that find out whether it still refuses: a pause is half a second at last. */
const MOST_PROBES = 12;
/** Commands of a commit: MULTI, HSET, HDEL, EXEC. */
const OF_A_COMMIT = 4;

const endings = [];
afterEach(async () => {
  for (const end of endings.splice(0).reverse()) await end();
});

const commitAll = (store) =>
  Promise.all(
    Array.from({ length: CALLS }, (_, index) => store.commitExecutionTaskResult(`run-${index}`, "task", index)),
  );

/** How many commands a server has carried out or refused. */
async function countCommands(admin) {
  const stats = await admin.info("commandstats");
  const ours = stats.matchAll(/^cmdstat_(?:multi|hset|hdel|exec):calls=(\d+).*rejected_calls=(\d+)/gm);
  return [...ours].reduce((sum, [, calls, rejected]) => sum + Number(calls) + Number(rejected), 0);
}

/** Waits until a count stands still, but for what finds out. */
async function untilQuiet(count) {
  await eventually(
    async () => {
      const before = await count();
      await delay(300);
      return (await count()) - before <= 2 * OF_A_COMMIT;
    },
    { deadline: 20_000, message: "a server that is no longer asked by all" },
  );
}

describe("a server that refuses thousands of waiting calls", () => {
  it("NOREPLICAS: is asked by one write now and then, reads go on, and writes do when the replica is back", async () => {
    const [server, replica] = await Promise.all([
      privateRedis({ args: ["--min-replicas-to-write", "1", "--repl-diskless-sync-delay", "0"] }),
      privateRedis(),
    ]);
    const admin = temporaryClient(server);
    const store = temporaryStore(server.url, OPTIONS);
    await admin.config("SET", "min-replicas-to-write", "0");
    await store.commitExecutionTaskResult("read", "task", "there");
    await admin.config("SET", "min-replicas-to-write", "1");

    const commits = commitAll(store);
    commits.catch(() => {});
    await untilQuiet(() => countCommands(admin));
    const before = await countCommands(admin);
    const watched = performance.now();
    let reads = 0;
    while (performance.now() - watched < WATCHED_MS) {
      expect(await store.getExecutionTaskResult("read", "task")).toBe("there");
      reads += 1;
      await delay(20);
    }
    const asked = (await countCommands(admin)) - before;
    expect(asked).toBeLessThanOrEqual(MOST_PROBES * OF_A_COMMIT);
    expect(reads).toBeGreaterThan(10);

    await temporaryClient(replica).replicaof(server.host, server.port);
    await commits;
    for (const index of [0, CALLS - 1]) expect(await admin.hget(`run-${index}-results`, "task")).toBe(String(index));
    note({
      scenario: "NOREPLICAS, with writes waiting",
      done: `${CALLS} commits, the server watched for ${WATCHED_MS} ms`,
      found: `${asked} commands in that time, ${reads} reads answered meanwhile, all commits done when the replica was back`,
      promise: `at most ${MOST_PROBES * OF_A_COMMIT} commands, reads go on`,
    });
  });

  const FOR_NOW = [
    "LOADING Redis is loading the dataset in memory",
    "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.",
    "CLUSTERDOWN The cluster is down",
    "READONLY You can't write against a read only replica.",
  ];
  const replies = { MULTI: "+OK\r\n", HSET: "+QUEUED\r\n", HDEL: "+QUEUED\r\n", EXEC: "*2\r\n:1\r\n:1\r\n" };

  describe.each(Object.keys(FAKE_TOPOLOGIES))("%s", (topology) => {
    it.each(FOR_NOW)("is asked by one call now and then: %s", async (refusal) => {
      const code = refusal.split(" ")[0];
      let [refuses, commands] = [true, 0];
      const { redis, servers, stop } = await FAKE_TOPOLOGIES[topology](({ command: [name] }) => {
        commands += 1;
        if (!refuses) return replies[name];
        return name === "EXEC" ? "-EXECABORT Transaction discarded because of previous errors.\r\n" : `-${refusal}\r\n`;
      });
      endings.push(stop);
      const store = temporaryStore(redis, { ...OPTIONS, hashTags: true });
      const commits = commitAll(store);
      commits.catch(() => {});
      await untilQuiet(() => commands);
      const before = commands;
      await delay(WATCHED_MS);
      const asked = commands - before;
      refuses = false;
      await commits;
      const most = servers.length * MOST_PROBES * OF_A_COMMIT;
      expect(asked).toBeLessThanOrEqual(most);
      note({
        scenario: `${code}, with calls waiting: ${topology}`,
        done: `${CALLS} commits, watched for ${WATCHED_MS} ms`,
        found: `${asked} commands in that time, all commits done when they were taken`,
        promise: `at most ${most} commands`,
      });
    });
  });
});
