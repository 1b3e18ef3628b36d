// Processes that are killed: the server under load, and the worker in the middle of its calls.
import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { startScript } from "../support/child.mjs";
import { keepCalling } from "../support/load.mjs";
import { eventually, privateRedis, sharedRedis } from "../support/redis.mjs";
import { note, times } from "../support/scale.mjs";
import { temporaryClient, temporaryStore } from "../support/temporary.mjs";

const { url, admin, newId } = sharedRedis();

describe("a server that is killed and comes back", () => {
  it.each([
    ["a TCP port", times(4, 50), (server) => server.url],
    ["a Unix socket", times(4, 10), (server) => server.unixSocketPath],
  ])("fails no call and loses no acknowledged commit, again and again under load, over %s", async (over, kills, at) => {
    const server = await privateRedis({ unixSocket: true, appendonly: true, args: ["--appendfsync", "always"] });
    const store = temporaryStore(at(server), { commandTimeout: 30_000 });
    const id = newId();
    const load = keepCalling(32, (index) => store.commitExecutionTaskResult(id, `task-${index}`, { index }));
    for (let round = 0; round < kills; round++) {
      const before = load.answered.length;
      await eventually(() => load.answered.length > before + 200, { message: "commits between two kills" });
      const inFlight = store.commitExecutionTaskResult(id, `before-${round}`, round);
      await server.kill();
      const whileAway = store.commitExecutionTaskResult(id, `while-${round}`, round);
      const restarted = server.restart();
      await Promise.all([inFlight, whileAway, restarted]);
      await store.commitExecutionTaskResult(id, `after-${round}`, round);
    }
    await load.stop();
    expect(load.errors).toEqual([]);
    const stored = await temporaryClient(server).hgetall(`${id}-results`);
    for (const index of load.answered) expect(stored[`task-${index}`]).toBe(JSON.stringify({ index }));
    for (const when of ["before", "while", "after"]) {
      for (let round = 0; round < kills; round++) expect(stored[`${when}-${round}`]).toBe(String(round));
    }
    note({
      scenario: `redis-server killed and restarted under load, over ${over}, appendfsync always`,
      done: `${kills} kills, ${load.answered.length + 3 * kills} commits`,
      found: `0 acknowledged commits lost, 0 errors, 0 calls stuck; the slowest took ${Math.round(load.slowest)} ms`,
      promise: "0 lost, 0 errors, 0 stuck",
    });
  });
});

describe("a worker process that is killed", () => {
  it("leaves no key without a TTL and no commit half there", async () => {
    const kills = times(8, 100);
    const lanes = 8;
    const ids = Array.from({ length: kills }, () => newId("worker"));
    const script = `
      const store = createRedisStore(args.url, { ttl: 600_000, slidingTtl: args.slidingTtl });
      const lane = async (id) => {
        await store.beginExecution(id);
        for (let step = 0; ; step++) {
          await store.beginExecutionTask(id, "task-" + step);
          await store.commitExecutionTaskResult(id, "task-" + step, "x".repeat(step % 500));
          if (step === 0) console.log("working");
        }
      };
      for (let name = 0; name < args.lanes; name++) lane(args.id + "-" + name);
    `;
    for (let first = 0; first < kills; first += 4) {
      await Promise.all(
        ids.slice(first, first + 4).map(async (id, index) => {
          const child = startScript(script, { args: { url, id, lanes, slidingTtl: index % 2 === 1 } });
          // Every fourth one is killed at an early moment, when its first keys are being made.
          if (index < 3) await child.printed("working");
          await delay(index < 3 ? (first * 7 + index * 13) % 60 : 60 + ((first * 5) % 60));
          process.kill(child.pid, "SIGKILL");
          await child.ended;
        }),
      );
    }
    const found = { keys: 0, immortal: 0, tasks: 0, half: 0 };
    for (const id of ids.flatMap((id) => Array.from({ length: lanes }, (_, name) => `${id}-${name}`))) {
      for (const key of [id, `${id}-transactions`, `${id}-results`]) {
        const expiry = await admin.pttl(key);
        if (expiry !== -2) found.keys += 1;
        if (expiry === -1) found.immortal += 1;
      }
      const fields = await Promise.all([admin.hkeys(`${id}-transactions`), admin.hkeys(`${id}-results`)]);
      const [marks, results] = fields.map((tasks) => new Set(tasks));
      // A task was begun only after the commit of the one before it: all but the last are whole.
      const last = Math.max(-1, ...[...marks, ...results].map((task) => Number(task.slice(5))));
      for (let step = 0; step <= last; step++) {
        const [mark, result] = [marks.has(`task-${step}`), results.has(`task-${step}`)];
        found.tasks += 1;
        if (mark === result || (mark && step < last)) found.half += 1;
      }
    }
    expect(found.keys).toBeGreaterThan(kills);
    expect(found).toMatchObject({ immortal: 0, half: 0 });
    note({
      scenario: "worker process killed in the middle of its calls, with a ttl",
      done: `${kills} kills, ${found.keys} keys and ${found.tasks} tasks looked at`,
      found: `${found.immortal} keys without TTL, ${found.half} commits half there`,
      promise: "0 and 0",
    });
  });
});
