// An ACL user with exactly the permissions that the documents list can do everything, on one server, behind sentinels and in
// a cluster, and is refused nothing but what warnings are made of.
import { readFileSync } from "node:fs";
import { Cluster, Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createRedisStore } from "../../index.js";
import { startMasters } from "../../tooling/servers/cluster.mjs";
import { MASTER, replicasOf, startSentinels } from "../../tooling/servers/sentinels.mjs";
import { everyCall } from "../support/methods.mjs";
import { eventually, privateRedis } from "../support/redis.mjs";
import { moveSlots } from "../support/resharding.mjs";

const PASSWORD = "opensesame";
const page = readFileSync(new URL("../../docs/topologies.md", import.meta.url), "utf8");
const wireFormat = readFileSync(new URL("../../docs/keys-and-wire-format.md", import.meta.url), "utf8");

/** A list of the page, by the text before it. */
function listed(words) {
  const line = page.split("\n").find((line) => line.startsWith(`- ${words}: \``));
  if (!line) throw new Error(`docs/topologies.md has no list "${words}"`);
  return line.slice(line.indexOf("`") + 1, line.lastIndexOf("`")).split(" ");
}

const needed = listed("Every server");
const wanted = listed("Every server, where it may be had");
const ofLaterServers = listed("Every server but Redis 7.0, which refuses the rule, where it may be had");

const endings = [];
afterAll(async () => {
  for (const end of endings.splice(0).reverse()) await end();
});

/** Makes the user on a server and resets the server's ACL log. */
async function allow(admin, ...rules) {
  await admin.call("ACL", "SETUSER", "worker", "reset", "on", `>${PASSWORD}`, "-@all", ...rules);
  await admin.call("ACL", "LOG", "RESET");
}

/** What it is useful to have on a server of its version. */
async function useful(admin) {
  const is70 = /^redis_version:7\.0\./m.test(await admin.info("server"));
  return is70 ? wanted : [...wanted, ...ofLaterServers];
}

/** What a server is asked about itself, for warnings, once a connection has been idle for a second. Redis 6 names no subcommands. */
const FOR_WARNINGS = ["info", "config|get", "config"];

/** What a server has refused besides: the objects, such as the names of commands. */
async function refused(admin) {
  const entries = await admin.call("ACL", "LOG");
  const objects = entries.map((entry) => entry[entry.indexOf("object") + 1]);
  return objects.filter((object) => !FOR_WARNINGS.includes(object));
}

const STYLES = [{ ttl: 60_000, slidingTtl: true }, { ttl: 60_000 }, {}, { hashTags: true }, { readAhead: false }];

/** Makes all eight calls, in every style of writing, and returns the codes of what was refused. */
async function callEverything(input) {
  const refusals = new Set();
  for (const options of STYLES) {
    const store = createRedisStore(input, options);
    const calls = everyCall(store, "run-1");
    // Twice: whether calls carry reads is decided by the first time.
    for (const call of [...calls, ...calls]) await call().catch((error) => refusals.add(error.reply ?? error.code));
    await store.close();
  }
  return [...refusals];
}

describe("on one server", () => {
  let server;
  let admin;
  const input = (more) => ({ host: server.host, port: server.port, username: "worker", password: PASSWORD, ...more });

  beforeAll(async () => {
    server = await privateRedis();
    admin = new Redis(server.url);
    endings.push(() => admin.disconnect());
  });

  it("the list is enough", async () => {
    await allow(admin, "~*", ...needed);
    expect(await callEverything(input())).toEqual([]);
  });

  it.each(needed)("%s is needed", async (rule) => {
    await allow(admin, "~*", ...needed.filter((other) => other !== rule));
    expect(await callEverything(input())).toEqual(["NOPERM"]);
  });

  it("with the optional commands nothing is refused, a new connection in the place of a lost one included", async () => {
    await allow(admin, "~*", ...needed, ...(await useful(admin)));
    expect(await callEverything(input({ db: 1, connectionName: "workers" }))).toEqual([]);
    const store = createRedisStore(input({ db: 1, connectionName: "workers" }));
    endings.push(() => store.close());
    await store.beginExecution("run-2");
    // Under way while the connection is lost, so that the next one has something to cut off.
    await admin.client("PAUSE", 500);
    const commit = store.commitExecutionTaskResult("run-2", "task", 1);
    await admin.client("KILL", "USER", "worker");
    await commit;
    expect(await refused(admin)).toEqual([]);
  });

  it("the line of one server is enough, and says the same", async () => {
    const line = wireFormat.split("\n").find((line) => line.startsWith("ACL SETUSER worker "));
    const rules = line.split(" ").slice(3);
    expect(rules.filter((rule) => rule.startsWith("+")).sort()).toEqual([...needed, ...wanted].sort());
    // Channels have permissions since Redis 6.2.
    const known = await admin.call("ACL", "SETUSER", "other", "resetchannels").catch(() => undefined);
    const words = rules.map((rule) => (rule === ">password" ? `>${PASSWORD}` : rule));
    await allow(admin, ...words.filter((rule) => known || rule !== "resetchannels"), ...(await useful(admin)));
    expect(await callEverything(input({ db: 1, connectionName: "workers" }))).toEqual([]);
    expect(await refused(admin)).toEqual([]);
  });
});

describe("behind sentinels", () => {
  it("the lists are enough, also to follow a failover, and nothing is refused", async () => {
    const set = await startSentinels({ replicas: 1 });
    endings.push(set.stop);
    const admins = set.servers.map(({ url }) => new Redis(url));
    endings.push(() => admins.forEach((admin) => void admin.disconnect()));
    const extra = listed("The servers behind sentinels, where it may be had");
    for (const admin of admins) await allow(admin, "~*", ...needed, ...(await useful(admin)), ...extra);
    for (const { ask } of set.sentinels) await allow({ call: ask }, ...listed("The sentinels"));
    const input = {
      sentinels: set.addresses,
      name: MASTER,
      username: "worker",
      password: PASSWORD,
      sentinelUsername: "worker",
      sentinelPassword: PASSWORD,
    };
    expect(await callEverything(input)).toEqual([]);
    const store = createRedisStore(input, { commandTimeout: 30_000 });
    endings.push(() => store.close());
    await store.beginExecution("run-3");
    const ready = async () => (await Promise.all(set.sentinels.map(replicasOf))).every((count) => count === 1);
    await eventually(ready, { deadline: 30_000, message: "a replica that is well" });
    const before = await set.primary();
    await set.sentinels[0].ask("SENTINEL", "FAILOVER", MASTER);
    await eventually(async () => (await set.primary()) !== before, { deadline: 30_000, message: "the failover" });
    await store.commitExecutionTaskResult("run-3", "task", 1);
    expect(await callEverything(input)).toEqual([]);
    const all = [...admins, ...set.sentinels.map(({ ask }) => ({ call: ask }))];
    expect((await Promise.all(all.map(refused))).flat()).toEqual([]);
  });
});

describe("in a cluster", () => {
  it("the lists are enough, also while a slot moves, and nothing is refused", async () => {
    const cluster = await startMasters({ replicas: 0 });
    endings.push(cluster.stop);
    for (const { admin } of cluster.masters) {
      await allow(admin, "~*", ...needed, ...(await useful(admin)), ...listed("The servers of a cluster"));
    }
    const reader = new Cluster(cluster.startup);
    endings.push(() => reader.disconnect());
    const input = cluster.startup.map((node) => ({ ...node, username: "worker", password: PASSWORD }));
    expect(await callEverything(input)).toEqual([]);

    // A key that does not exist any more where its slot is, is asked for where the slot goes.
    const [from, to] = cluster.masters;
    const id = await idOn(reader, 16_384 / 3 - 1);
    const slot = await reader.cluster("KEYSLOT", `{${id}}`);
    await to.admin.call("CLUSTER", "SETSLOT", slot, "IMPORTING", await from.admin.call("CLUSTER", "MYID"));
    await from.admin.call("CLUSTER", "SETSLOT", slot, "MIGRATING", await to.admin.call("CLUSTER", "MYID"));
    const store = createRedisStore(input, { hashTags: true });
    endings.push(() => store.close());
    await store.beginExecution(id);
    expect(await store.isExecutionInProgress(id)).toBe(true);
    await moveSlots(cluster.masters, from, to, [slot]);
    expect(await store.isExecutionInProgress(id)).toBe(true);
    expect((await Promise.all(cluster.masters.map(({ admin }) => refused(admin)))).flat()).toEqual([]);
  });
});

/** An execution whose slot is below a limit. */
async function idOn(reader, limit) {
  for (let index = 0; index < 1_000; index += 1) {
    if ((await reader.cluster("KEYSLOT", `{run-${index}}`)) < limit) return `run-${index}`;
  }
  throw new Error("no execution is in those slots");
}
