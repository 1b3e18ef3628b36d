// What changes while a store is in use: passwords, names in DNS, the limit of clients. It recovers without a restart.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Redis } from "ioredis";
import { describe, expect, it } from "vitest";
import { startScript } from "../support/child.mjs";
import { keepCalling } from "../support/load.mjs";
import { eventually, privateRedis } from "../support/redis.mjs";
import { full, note, times } from "../support/scale.mjs";
import { temporaryClient, temporaryProxy, temporaryStore } from "../support/temporary.mjs";

const goesOn = (load, answers = 50) => {
  const before = load.answered.length;
  return eventually(() => load.answered.length > before + answers, { deadline: 20_000, message: "answers" });
};

describe("a password that is rotated while the store is in use", () => {
  it("costs no call when the live client has the new one", async () => {
    const rotations = times(3, 20);
    const server = await privateRedis({ args: ["--requirepass", "password-0"] });
    const live = new Redis({ host: server.host, port: server.port, password: "password-0", lazyConnect: true });
    const store = temporaryStore(live, { commandTimeout: 20_000 });
    let admin = temporaryClient(server, { password: "password-0" });
    const load = keepCalling(16, (index) => store.beginExecutionTask("rotated", `task-${index % 100}`));
    for (let round = 1; round <= rotations; round++) {
      await goesOn(load);
      const password = `password-${round}`;
      live.options.password = password;
      await admin.config("SET", "requirepass", password);
      // The old connections end, as they do when a server is replaced.
      await admin.client("KILL", "TYPE", "normal", "SKIPME", "yes");
      admin = temporaryClient(server, { password });
    }
    await goesOn(load);
    await load.stop();
    live.disconnect();
    expect(load.errors).toEqual([]);
    note({
      scenario: "password rotated under load, the live client updated",
      done: `${rotations} rotations, ${load.made} calls`,
      found: "0 errors, no restart",
      promise: "recovered without a restart",
    });
  });
});

describe("a server that has as many clients as it takes", () => {
  it("costs no call when there is a free place again within the deadline", async () => {
    const rounds = times(2, 10);
    const server = await privateRedis({ args: ["--maxclients", "4"] });
    const admin = temporaryClient(server);
    const store = temporaryStore(server.url, { commandTimeout: 20_000 });
    const load = keepCalling(8, (index) => store.beginExecutionTask("crowded", `task-${index % 100}`));
    for (let round = 0; round < rounds; round++) {
      await goesOn(load);
      // Somebody else takes every place that becomes free, the store's own among them.
      const crowd = Array.from({ length: 4 }, () => temporaryClient(server, { retryStrategy: () => 1 }));
      await admin.client("KILL", "TYPE", "normal", "SKIPME", "yes");
      const refused = async () => Number(/rejected_connections:(\d+)/.exec(await admin.info("stats"))[1]) > round;
      await eventually(refused, { message: "a refusal" });
      for (const other of crowd) other.disconnect();
    }
    await goesOn(load);
    await load.stop();
    expect(load.errors).toEqual([]);
    note({
      scenario: "no room for clients (maxclients) while the connection is lost",
      done: `${rounds} times, ${load.made} calls`,
      found: "0 errors, no restart",
      promise: "recovered without a restart",
    });
  });
});

// Needs a name whose address can be changed: a hosts file of its own, which Linux gives to a process by `unshare`.
if (full) {
  describe("a host name that comes to mean another server while connected", () => {
    it("is followed when the connection to the old one ends", async () => {
      const servers = [await privateRedis(), await privateRedis()];
      const old = await temporaryProxy(servers[0], { host: "127.0.0.2" });
      const next = await temporaryProxy(servers[1], { host: "127.0.0.3", port: old.port });
      const dir = mkdtempSync(join(tmpdir(), "idioteque-hosts-"));
      const hosts = join(dir, "hosts");
      writeFileSync(hosts, "127.0.0.2 redis.example\n");
      try {
        const script = `
          const store = createRedisStore("redis://redis.example:" + args.port, { commandTimeout: 20_000 });
          await store.beginExecution("before");
          console.log("connected");
          for (let index = 0; ; index++) {
            await store.beginExecution("during-" + index);
            if (index % 100 === 0) console.log("on");
            if (await store.isExecutionInProgress("enough")) break;
          }
          console.log("done");
        `;
        const mounted = `mount --bind ${hosts} /etc/hosts && exec "$@"`;
        const within = ["unshare", "--mount", "--map-root-user", "sh", "-c", mounted, "sh"];
        const child = startScript(script, { args: { port: old.port }, within });
        await child.printed("connected");
        // In place: the mount is of the file, not of its name.
        writeFileSync(hosts, "127.0.0.3 redis.example\n");
        old.refuseNew(true);
        old.connections[0].cut();
        const [, admin] = servers.map((server) => temporaryClient(server));
        await eventually(async () => (await admin.dbsize()) > 0, { message: "writes on the new server" });
        await admin.set("enough", "true");
        const outcome = await child.ended;
        expect(outcome, outcome.errors).toMatchObject({ code: 0 });
        expect(next.connections.length).toBe(1);
        note({
          scenario: "DNS name given another address while connected, then the old server ends the connection",
          done: "1 change under load",
          found: "0 errors, the calls go to the new address, no restart",
          promise: "recovered without a restart",
        });
      } finally {
        rmSync(dir, { recursive: true, force: true });
      }
    });
  });
}
