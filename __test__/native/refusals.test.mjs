// What a store promises when the server answers, and refuses: which refusals are waited out, and which are reported at
// once.
import { rmSync } from "node:fs";
import { inspect } from "node:util";
import { beforeAll, describe, expect, it } from "vitest";
import { everythingOf, secret } from "../../tooling/secrets.mjs";
import { freePort } from "../../tooling/servers/redis-server.mjs";
import { countRefusals } from "../support/connections.mjs";
import { eventually, privateRedis, sharedRedis } from "../support/redis.mjs";
import { rejectionOf, temporaryClient, temporaryProxy, temporaryStore } from "../support/temporary.mjs";

const { newId } = sharedRedis();
// A call that waits for its deadline runs into that of its test: what settles, was settled long before.
const commandTimeout = 30_000;
const atOnce = { timeout: 15_000 };

/** A store with a far deadline. */
const openStore = (redis, options) => temporaryStore(redis, { commandTimeout, ...options });
const at = ({ host, port }) => ({ host, port });

describe("credentials that the server refuses", atOnce, () => {
  const password = secret("right");
  let server;
  let admin;

  beforeAll(async () => {
    server = await privateRedis({ args: ["--requirepass", password] });
    admin = temporaryClient(server, { password });
  });

  it.each([
    ["a wrong password in a URL", "WRONGPASS", () => `redis://:not-${password}@127.0.0.1:${server.port}`],
    ["a wrong password in a configuration", "WRONGPASS", () => ({ ...at(server), password: `not-${password}` })],
    ["an unknown user", "WRONGPASS", () => ({ ...at(server), username: "nobody", password })],
    ["no password", "NOAUTH", () => at(server)],
  ])("are reported at once, without a secret: %s", async (_, reply, redis) => {
    const store = openStore(redis());
    const id = newId();
    const errors = await Promise.all([store.isExecutionInProgress(id), store.beginExecution(id)].map(rejectionOf));
    errors.push(await rejectionOf(store.commitExecutionTaskResult(id, "task", 1)));
    for (const error of errors) {
      expect(error).toMatchObject({ name: "RedisStoreError", code: "ERR_REDIS_REPLY", reply, executionId: id });
      expect(everythingOf(error)).not.toContain(password);
    }
    expect(errors[1].message).toMatch(
      new RegExp(`^Redis refused the connection: ${reply} .* The command had not been sent`),
    );
    expect(inspect(store, { depth: Number.POSITIVE_INFINITY, showHidden: true })).not.toContain(password);
  });

  it("are tried again by the next call, so that a changed password needs no new store", async () => {
    const store = openStore({ ...at(server), username: "rotated", password: secret("second") });
    await admin.acl("SETUSER", "rotated", "on", `>${secret("first")}`, "~*", "+@all");
    expect(await rejectionOf(store.beginExecution(newId()))).toMatchObject({ reply: "WRONGPASS" });
    await admin.acl("SETUSER", "rotated", "resetpass", `>${secret("second")}`);
    await store.beginExecution(newId());
  });

  it("also when they stop being good while the store is in use", async () => {
    await admin.acl("SETUSER", "leaving", "on", `>${secret("of-user")}`, "~*", "+@all");
    const store = openStore({ ...at(server), username: "leaving", password: secret("of-user") });
    const id = newId();
    await store.beginExecution(id);
    await admin.acl("DELUSER", "leaving");
    expect(await rejectionOf(store.isExecutionInProgress(id))).toMatchObject({ reply: "WRONGPASS" });
  });

  it("and so is a database that the server does not have", async () => {
    const store = openStore({ ...at(server), password, db: 99 });
    const error = await rejectionOf(store.beginExecution(newId()));
    expect(error).toMatchObject({ code: "ERR_REDIS_REPLY", reply: "ERR" });
    expect(error.message).toContain("DB index is out of range: the server has no database of that number");
    expect(everythingOf(error)).not.toContain(password);
  });
});

describe("an ACL user", atOnce, () => {
  // What the documentation lists as needed; the last two only where a database or a name is set.
  const NEEDED = ["get", "set", "hget", "hset", "hdel", "hgetall", "unlink", "multi", "exec", "pexpire"];
  const FENCE = ["client|info", "client|kill"];
  const OPTIONAL = ["select", "client|setname"];
  let server;
  let admin;

  beforeAll(async () => {
    server = await privateRedis();
    admin = temporaryClient(server);
  });

  const allow = (user, commands) =>
    admin.acl(
      "SETUSER",
      user,
      "reset",
      "on",
      `>${secret("of-user")}`,
      "~run-*",
      ...commands.map((command) => `+${command}`),
    );
  const as = (username, settings) => ({ ...at(server), username, password: secret("of-user"), ...settings });

  /** Every command of the store. */
  async function everyCall(store, id) {
    await store.beginExecution(id);
    expect(await store.isExecutionInProgress(id)).toBe(true);
    await store.beginExecutionTask(id, "task");
    expect(await store.isExecutionTaskInProgress(id, "task")).toBe(true);
    await store.commitExecutionTaskResult(id, "task", 1);
    expect(await store.getExecutionTaskResult(id, "task")).toBe(1);
    expect(await store.getExecutionTaskResults(id)).toEqual({ task: 1 });
    await store.disposeExecution(id);
  }

  it("can do with the permissions that are documented, database and name included", async () => {
    await allow("documented", [...NEEDED, ...FENCE, ...OPTIONAL]);
    const store = openStore(as("documented", { db: 1, connectionName: "documented" }), {
      ttl: 60_000,
      slidingTtl: true,
    });
    await everyCall(store, "run-1");
    await admin.client("KILL", "USER", "documented");
    await everyCall(store, "run-1");
  });

  it("can do without CLIENT: then only the fence against a late write is missing", async () => {
    await allow("without-client", NEEDED);
    const store = openStore(as("without-client"), { ttl: 60_000, slidingTtl: true });
    await everyCall(store, "run-2");
    await admin.client("KILL", "USER", "without-client");
    await everyCall(store, "run-2");
  });

  it.each(NEEDED)("that may not %s is refused at once", async (command) => {
    const user = `without-${command}`;
    await allow(
      user,
      NEEDED.filter((other) => other !== command),
    );
    const store = openStore(as(user), { ttl: 60_000, readAhead: false });
    const error = await rejectionOf(everyCall(store, "run-3"));
    expect(error).toMatchObject({ code: "ERR_REDIS_REPLY", reply: "NOPERM" });
    expect(error.message).toContain(`'${command}'`);
  });

  it("that may not touch the keys is refused at once, and nothing is written", async () => {
    await allow("elsewhere", NEEDED);
    const store = openStore(as("elsewhere"));
    for (const call of [store.beginExecution("other"), store.commitExecutionTaskResult("other", "task", 1)]) {
      expect(await rejectionOf(call)).toMatchObject({ code: "ERR_REDIS_REPLY", reply: "NOPERM" });
    }
    expect(await admin.exists("other", "other-results", "other-transactions")).toBe(0);
  });
});

describe("a refusal that passes", () => {
  /** Resolves once the server has refused a command with this code. The call is awaited later, also when it fails. */
  async function refusedWith(admin, code, call) {
    call.catch(() => {});
    await eventually(async () => (await countRefusals(admin, code)) > 0, { message: `an answer with ${code}` });
  }

  it.each([
    ["READONLY", "a write", (store, id) => store.beginExecution(id)],
    ["READONLY", "a commit", (store, id) => store.commitExecutionTaskResult(id, "task", 1)],
    ["MASTERDOWN", "a read", (store, id) => store.isExecutionInProgress(id)],
  ])("is waited out: %s, %s to a replica that becomes the primary", async (code, _, call) => {
    const server = await privateRedis();
    const admin = temporaryClient(server);
    const store = openStore(server.url);
    await store.beginExecution(newId());
    await admin.config("SET", "replica-serve-stale-data", "no");
    await admin.replicaof("127.0.0.1", await freePort());
    const waiting = call(store, newId());
    await refusedWith(admin, code, waiting);
    await admin.replicaof("NO", "ONE");
    await waiting;
  });

  it("is waited out: READONLY in the middle of a commit, and then it is there whole", async () => {
    const server = await privateRedis();
    const admin = temporaryClient(server);
    const proxy = await temporaryProxy(server);
    const store = openStore(at(proxy));
    const id = newId();
    await store.beginExecutionTask(id, "task");
    const [connection] = proxy.connections;
    connection.hold("toServer", "toClient");
    const commit = store.commitExecutionTaskResult(id, "task", 1);
    await eventually(() => connection.held("toServer").includes("EXEC"), { message: "the commit at the proxy" });
    connection.release("toServer", connection.held("toServer").indexOf("*1\r\n$4\r\nEXEC"));
    await eventually(() => connection.held("toClient").split("QUEUED").length === 3, { message: "the commit queued" });
    await admin.replicaof("127.0.0.1", await freePort());
    connection.release("toServer");
    connection.release("toClient");
    await refusedWith(admin, "EXECABORT", commit);
    await admin.replicaof("NO", "ONE");
    await commit;
    expect(await store.getExecutionTaskResult(id, "task")).toBe(1);
    expect(await store.isExecutionTaskInProgress(id, "task")).toBe(false);
  });

  it("is waited out: NOREPLICAS, and what was asked later is not overtaken by what was refused", async () => {
    const server = await privateRedis();
    const admin = temporaryClient(server);
    const store = openStore(server.url, { ttl: 60_000 });
    const id = newId();
    await admin.config("SET", "min-replicas-to-write", "1");
    const first = store.commitExecutionTaskResult(id, "task", "first");
    await refusedWith(admin, "NOREPLICAS", first);
    await admin.config("SET", "min-replicas-to-write", "0");
    await Promise.all([first, store.commitExecutionTaskResult(id, "task", "second")]);
    expect(await store.getExecutionTaskResult(id, "task")).toBe("second");
  });

  it("is waited out: NOREPLICAS, and what was asked later and already done is done again behind it", async () => {
    const server = await privateRedis();
    const admin = temporaryClient(server);
    const proxy = await temporaryProxy(server);
    const store = openStore(at(proxy));
    const id = newId();
    await store.isExecutionInProgress(id);
    const [connection] = proxy.connections;
    connection.hold("toServer", "toClient");
    const first = store.commitExecutionTaskResult(id, "task", "first");
    await eventually(() => connection.held("toServer").includes("EXEC"), { message: "the commit at the proxy" });
    const { length } = connection.held("toServer");
    const second = store.commitExecutionTaskResult(id, "task", "second");
    await eventually(() => connection.held("toServer").split("EXEC").length === 3, { message: "both at the proxy" });
    await admin.config("SET", "min-replicas-to-write", "1");
    connection.release("toServer", length);
    await refusedWith(admin, "NOREPLICAS", first);
    await admin.config("SET", "min-replicas-to-write", "0");
    connection.release("toServer");
    await eventually(() => admin.hexists(`${id}-results`, "task"), { message: "the second one on the server" });
    connection.release("toClient");
    await Promise.all([first, second]);
    expect(await store.getExecutionTaskResult(id, "task")).toBe("second");
  });

  it("is waited out: LOADING, while the server reads its data after a restart", async () => {
    // Settings that the server has for its own tests: it takes its time over each key, and answers in between.
    const slowly = ["--key-load-delay", "10000", "--loading-process-events-interval-bytes", "1024"];
    const server = await privateRedis({ args: [...slowly, "--rdbcompression", "no", "--enable-debug-command", "yes"] });
    const admin = temporaryClient(server, { enableReadyCheck: false });
    const store = openStore(server.url);
    const id = newId();
    await store.beginExecution(id);
    await admin.call("DEBUG", "POPULATE", "500", "filler", "2048");
    const restarted = server.restart();
    const loading = () => admin.info("persistence").then((info) => info.includes("loading:1"));
    await eventually(loading, { message: "a server that loads" });
    const began = store.isExecutionInProgress(id);
    await refusedWith(admin, "LOADING", began);
    await admin.config("SET", "key-load-delay", "0");
    expect(await began).toBe(true);
    await restarted;
  });

  it("is waited out: BUSY, while a script runs that does not end", async () => {
    const server = await privateRedis({ args: ["--lua-time-limit", "10"] });
    const admin = temporaryClient(server);
    const proxy = await temporaryProxy(server);
    const store = openStore(at(proxy));
    const id = newId();
    await store.beginExecution(id);
    const script = rejectionOf(temporaryClient(server).eval("while true do end", 0));
    await eventually(async () => (await rejectionOf(admin.ping())).message.startsWith("BUSY"));
    const [connection] = proxy.connections;
    connection.hold("toClient");
    const commit = store.commitExecutionTaskResult(id, "task", 1);
    await eventually(() => connection.held("toClient").includes("-BUSY"), { message: "an answer with BUSY" });
    connection.release("toClient");
    await admin.script("KILL");
    await commit;
    await script;
  });

  it("is waited out: the server has as many clients as it takes", async () => {
    const server = await privateRedis({ args: ["--maxclients", "2"] });
    const [admin, other] = [temporaryClient(server), temporaryClient(server)];
    await Promise.all([admin.ping(), other.ping()]);
    const store = openStore(server.url);
    const begun = store.beginExecution(newId());
    const rejected = () => admin.info("stats").then((stats) => !stats.includes("rejected_connections:0"));
    await eventually(rejected, { message: "a rejected connection" });
    other.disconnect();
    await begun;
  });
});

describe("a refusal that does not pass", atOnce, () => {
  let server;
  let admin;
  let store;

  beforeAll(async () => {
    server = await privateRedis();
    admin = temporaryClient(server);
  });

  it("is reported at once: OOM, with nothing of a commit applied", async () => {
    store = openStore(server.url, { ttl: 60_000 });
    const id = newId();
    await store.beginExecutionTask(id, "task");
    await admin.config("SET", "maxmemory", "1", "maxmemory-policy", "noeviction");
    for (const call of [store.beginExecution(id), store.commitExecutionTaskResult(id, "task", 1)]) {
      const error = await rejectionOf(call);
      expect(error).toMatchObject({ code: "ERR_REDIS_REPLY", reply: "OOM", executionId: id });
      expect(error.message).toContain("maxmemory");
    }
    expect(await store.isExecutionTaskInProgress(id, "task")).toBe(true);
    expect(await store.getExecutionTaskResult(id, "task")).toBe(undefined);
    await admin.config("SET", "maxmemory", "0");
    await store.commitExecutionTaskResult(id, "task", 1);
  });

  it("is reported at once: NOAUTH, whatever its text", async () => {
    // A server that requires a password does not even read what is long.
    const server = await privateRedis({ args: ["--requirepass", secret("long")] });
    store = openStore(at(server));
    const calls = [1, "x".repeat(1024 * 1024)].map((value) => store.commitExecutionTaskResult(newId(), "task", value));
    calls.push(store.isExecutionInProgress("x".repeat(1024 * 1024)));
    for (const error of await Promise.all(calls.map(rejectionOf))) {
      expect(error, error.message).toMatchObject({ code: "ERR_REDIS_REPLY", reply: "NOAUTH" });
    }
  });

  it("is reported at once: MISCONF, with nothing of a commit applied", async () => {
    const unable = await privateRedis();
    const looking = temporaryClient(unable);
    store = openStore(unable.url);
    const id = newId();
    await store.beginExecutionTask(id, "task");
    rmSync(unable.dir, { recursive: true });
    await looking.bgsave();
    const failed = async () => (await looking.info("persistence")).includes("rdb_last_bgsave_status:err");
    await eventually(failed, { message: "a save that fails" });
    const error = await rejectionOf(store.commitExecutionTaskResult(id, "task", 1));
    expect(error).toMatchObject({ code: "ERR_REDIS_REPLY", reply: "MISCONF", executionId: id });
    expect(error.message).toContain("cannot save its data");
    expect(await store.isExecutionTaskInProgress(id, "task")).toBe(true);
    expect(await store.getExecutionTaskResult(id, "task")).toBe(undefined);
  });

  it.each([
    ["beginExecution", (id) => admin.hset(id, "field", "kept"), (id) => id],
    ["isExecutionInProgress", (id) => admin.hset(id, "field", "kept"), (id) => id],
    ["beginExecutionTask", (id) => admin.set(`${id}-transactions`, "kept"), (id) => `${id}-transactions`],
    ["isExecutionTaskInProgress", (id) => admin.set(`${id}-transactions`, "kept"), (id) => `${id}-transactions`],
    ["commitExecutionTaskResult", (id) => admin.set(`${id}-results`, "kept"), (id) => `${id}-results`],
    ["getExecutionTaskResult", (id) => admin.set(`${id}-results`, "kept"), (id) => `${id}-results`],
    ["getExecutionTaskResults", (id) => admin.set(`${id}-results`, "kept"), (id) => `${id}-results`],
  ])("is reported at once: WRONGTYPE of %s, and the key of another type is left alone", async (name, occupy, keyOf) => {
    store = openStore(server.url);
    const id = newId();
    await occupy(id);
    const before = await admin.dumpBuffer(keyOf(id));
    const error = await rejectionOf(store[name](id, "task", 1));
    expect(error).toMatchObject({ code: "ERR_REDIS_REPLY", reply: "WRONGTYPE", executionId: id, key: keyOf(id) });
    expect(await admin.dumpBuffer(keyOf(id))).toEqual(before);
  });

  it("concerns its own call only: the calls around it succeed", async () => {
    store = openStore(server.url);
    const [good, bad] = [newId(), newId()];
    await admin.set(`${bad}-results`, "kept");
    const outcomes = await Promise.allSettled(
      [good, bad, good, bad, good].map((id, index) => store.commitExecutionTaskResult(id, `task-${index}`, index)),
    );
    expect(outcomes.map(({ status }) => status)).toEqual([
      "fulfilled",
      "rejected",
      "fulfilled",
      "rejected",
      "fulfilled",
    ]);
    expect(await store.getExecutionTaskResults(good)).toEqual({ "task-0": 0, "task-2": 2, "task-4": 4 });
  });
});

describe("a refusal that might pass and does not", () => {
  it.each([
    ["READONLY", (admin, port) => admin.replicaof("127.0.0.1", port)],
    ["NOREPLICAS", (admin) => admin.config("SET", "min-replicas-to-write", "1")],
  ])("is named by the call at its deadline: %s", async (reply, begin) => {
    const server = await privateRedis();
    const store = temporaryStore(server.url, { commandTimeout: 700 });
    const id = newId();
    await store.beginExecution(id);
    await begin(temporaryClient(server), await freePort());
    const error = await rejectionOf(store.commitExecutionTaskResult(id, "task", 1));
    expect(error).toMatchObject({ code: "ERR_REDIS_REPLY", reply, executionId: id });
    expect(error.message).toContain("700 ms");
  });
});
