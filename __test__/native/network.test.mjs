// What a store promises while the network between it and its server fails: a proxy in the middle sees to that.
import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { secret } from "../../tooling/secrets.mjs";
import { startScript, suspend } from "../support/child.mjs";
import { ioredisConfiguration } from "../support/inputs.mjs";
import { eventually, sharedRedis } from "../support/redis.mjs";
import { outcomeOf, temporaryProxy, temporaryStore } from "../support/temporary.mjs";

const { url, admin, newId } = sharedRedis();
const configuration = ioredisConfiguration(url);
const atProxy = ({ host, port }) => ({ ...configuration, host, port });

describe("a network that fails", () => {
  it("has calls sent again on a new connection when the old one has become a black hole", async () => {
    const proxy = await temporaryProxy(configuration);
    const store = temporaryStore(atProxy(proxy), { commandTimeout: 4000 });
    const id = newId();
    await store.beginExecution(id);
    proxy.connections[0].hold("toServer", "toClient");
    await Promise.all([
      store.commitExecutionTaskResult(id, "one", 1),
      store.commitExecutionTaskResult(id, "two", 2),
      expect(store.isExecutionInProgress(id)).resolves.toBe(true),
    ]);
    expect(await store.getExecutionTaskResults(id)).toEqual({ one: 1, two: 2 });
    expect(proxy.connections.length).toBe(2);
  });

  it("has another attempt made when a connection opens and then nothing is received", async () => {
    const proxy = await temporaryProxy(configuration);
    proxy.holdNew("toServer");
    const store = temporaryStore(atProxy(proxy), { commandTimeout: 30_000, connectTimeout: 500 });
    const begun = store.beginExecution(newId());
    await eventually(() => proxy.connections.length === 1, { message: "the first attempt" });
    proxy.holdNew();
    await begun;
  });

  it("has another connection made when one ends together with its first answers", async () => {
    const proxy = await temporaryProxy(configuration);
    proxy.holdNew("toServer", "toClient");
    const script = `
      const store = createRedisStore(args.configuration, { commandTimeout: 10_000, readAhead: false });
      for (const id of args.ids) {
        await store.beginExecution(id);
        console.log(await store.isExecutionInProgress(id));
      }
    `;
    const child = startScript(script, { args: { configuration: atProxy(proxy), ids: [newId(), newId()] } });
    // The first connection ends with its first answer, the second one with its second.
    for (const exchanges of [1, 2]) {
      await eventually(() => proxy.connections.length === exchanges, { message: "the connection" });
      const connection = proxy.connections[exchanges - 1];
      for (let exchange = 1; exchange <= exchanges; exchange++) {
        if (exchange > 1) connection.release("toClient", connection.held("toClient").length);
        await eventually(() => connection.held("toServer"), { message: "a question" });
        connection.release("toServer", connection.held("toServer").length);
        await eventually(() => connection.held("toClient"), { message: "an answer" });
      }
      // The answer and the end of the connection are both there when the process looks again.
      await suspend(child.pid);
      connection.release("toClient");
      await connection.endClient();
      if (exchanges === 2) proxy.holdNew();
      process.kill(child.pid, "SIGCONT");
    }
    const outcome = await child.ended;
    expect(outcome, outcome.errors).toMatchObject({ code: 0, lines: ["true", "true"] });
  });

  it("gives up a call whose answer only trickles in, and the call behind it gets its own answer", async () => {
    const proxy = await temporaryProxy(configuration);
    proxy.holdNew("toServer", "toClient");
    // Calls wait for a handshake that logs in; a user without a password takes any.
    const login = { username: "default", password: secret("any") };
    const store = temporaryStore({ ...atProxy(proxy), ...login }, { commandTimeout: 2000, connectTimeout: 30_000 });
    const id = newId();
    await admin.hset(`${id}-results`, { long: JSON.stringify("x".repeat(1000)), short: '"y"' });
    let waiting = true;
    const long = outcomeOf(store.getExecutionTaskResult(id, "long")).finally(() => {
      waiting = false;
    });
    // Half a deadline apart, and yet sent together, because the connection is only now allowed to open.
    await delay(1000);
    const short = store.getExecutionTaskResult(id, "short");
    const [connection] = proxy.connections;
    await eventually(
      () => {
        if (connection.held("toServer").includes(id)) return true;
        for (const way of ["toServer", "toClient"]) connection.release(way, connection.held(way).length);
        return false;
      },
      { message: "the calls at the proxy" },
    );
    connection.release("toServer");
    while (waiting) {
      // A sign of life, so that the connection is kept.
      connection.release("toClient", 1);
      await delay(20);
    }
    expect((await long).error).toMatchObject({ code: "ERR_REDIS_TIMEOUT", taskId: "long" });
    connection.release("toClient");
    expect(await short).toBe("y");
    expect(await store.getExecutionTaskResult(id, "long")).toBe("x".repeat(1000));
    expect(proxy.connections.length).toBe(1);
  });

  it("has calls sent again in the order in which they were made", async () => {
    const proxy = await temporaryProxy(configuration);
    const store = temporaryStore(atProxy(proxy));
    const id = newId();
    await store.beginExecution(id);
    const [connection] = proxy.connections;
    connection.hold("toServer");
    const commits = [];
    for (let index = 0; index < 20; index++) {
      commits.push(store.commitExecutionTaskResult(id, "task", index));
      const all = () => connection.held("toServer").split("EXEC").length > commits.length;
      if (index < 10) await eventually(all, { message: "the commit at the proxy" });
    }
    connection.cutClient();
    await Promise.all(commits);
    expect(await store.getExecutionTaskResult(id, "task")).toBe(19);
  });

  it("has a commit whose answer was lost sent again, and it is there once and whole", async () => {
    const proxy = await temporaryProxy(configuration);
    const store = temporaryStore(atProxy(proxy));
    const id = newId();
    await store.beginExecutionTask(id, "task");
    proxy.connections[0].hold("toClient");
    const commit = store.commitExecutionTaskResult(id, "task", { total: 7 });
    await eventually(() => admin.hexists(`${id}-results`, "task"), { message: "the commit on the server" });
    proxy.connections[0].cut();
    await commit;
    expect(await store.getExecutionTaskResults(id)).toEqual({ task: { total: 7 } });
    expect(await store.isExecutionTaskInProgress(id, "task")).toBe(false);
  });

  it("changes neither hash when a commit is cut in half, and completes it on the next connection", async () => {
    const proxy = await temporaryProxy(configuration);
    const store = temporaryStore(atProxy(proxy));
    const id = newId();
    const parts = ["MULTI", "HSET", "HDEL", "EXEC"];
    for (const [index, part] of parts.entries()) {
      const task = `task-${index}`;
      await store.beginExecutionTask(id, task);
      const connection = proxy.connections.at(-1);
      connection.hold("toServer");
      // Nothing gets through before the cut commit is looked at.
      proxy.holdNew("toServer");
      const commit = store.commitExecutionTaskResult(id, task, index);
      await eventually(() => connection.held("toServer").includes("EXEC"), { message: "the commit at the proxy" });
      connection.release("toServer", connection.held("toServer").indexOf(part) + part.length);
      await connection.endServer();
      expect(await admin.hget(`${id}-results`, task)).toBe(null);
      expect(await admin.hget(`${id}-transactions`, task)).toBe("true");
      await eventually(() => proxy.connections.at(-1) !== connection, { message: "the next connection" });
      proxy.holdNew();
      proxy.connections.at(-1).release("toServer");
      await commit;
      expect(await store.getExecutionTaskResult(id, task)).toBe(index);
      expect(await store.isExecutionTaskInProgress(id, task)).toBe(false);
    }
  });
});
