// An ioredis instance that was passed: the store connects with its settings, or calls its methods where it must.
import { Redis } from "ioredis";
import { Redis as Redis5 } from "ioredis-5";
import { afterEach, describe, expect, it, vi } from "vitest";
import { createRedisStore } from "../../index.js";
import { secret } from "../../tooling/secrets.mjs";
import { privateRedis, sharedRedis } from "../support/redis.mjs";

const { url, newId } = sharedRedis();

const opened = [];

/** A client of the shared server and a store over it, both closed after the test. */
function open(Client, options, storeOptions, at = url) {
  const client = typeof Client === "function" ? new Client(at, { lazyConnect: true, ...options }) : Client;
  const store = createRedisStore(client, storeOptions);
  opened.push({ client, store });
  return { client, store };
}

afterEach(async () => {
  for (const { client, store } of opened.splice(0)) {
    await store.close();
    client.disconnect();
  }
});

/** Whether the client itself, wherever it is connected to, sees the execution under the same id. */
async function sharesWith(client, store) {
  const id = newId();
  await store.beginExecution(id);
  const seen = await client.get(id);
  await store.disposeExecution(id);
  return seen === "true" && (await client.get(id)) === null;
}

/** As much of a connector of one's own as it takes to make an instance. */
class Connector {
  constructor(options) {
    this.options = options;
  }
  check() {
    return true;
  }
  disconnect() {}
}

describe.each([
  ["ioredis 6", Redis],
  ["ioredis 5", Redis5],
])("an instance of %s", (_, Client) => {
  it("is not connected for the store", async () => {
    const { client, store } = open(Client);
    await store.isExecutionInProgress(newId());
    expect(client.status).toBe("wait");
  });

  it("stays open when the store is closed", async () => {
    const { client, store } = open(Client);
    await client.connect();
    await store.beginExecution(newId());
    await store.close();
    expect(await client.ping()).toBe("PONG");
  });

  it.each([
    ["its database", { db: 3 }],
    ["its key prefix", { keyPrefix: "adopted:" }],
    ["both, and its name", { db: 2, keyPrefix: "é:", connectionName: "worker" }],
  ])("gives the store %s", async (_label, options) => {
    const { client, store } = open(Client, options);
    expect(store.backend).toBe("redis");
    expect(await sharesWith(client, store)).toBe(true);
  });

  it("gives the store the database that select() chose, not the one in its options", async () => {
    const { client, store } = open(Client, { db: 3 });
    await client.select(4);
    expect(await sharesWith(client, store)).toBe(true);
    expect(store.backend).toBe("redis");
  });

  it("leaves its key prefix to an option of the store", async () => {
    const { client, store } = open(Client, { keyPrefix: "theirs:" }, { keyPrefix: "ours:" });
    const id = newId();
    await store.beginExecution(id);
    const plain = client.duplicate({ keyPrefix: "" });
    expect(await plain.get(`ours:${id}`)).toBe("true");
    await plain.del(`ours:${id}`);
    plain.disconnect();
  });

  it("gives the store its user and password", async () => {
    const server = await privateRedis({ args: ["--requirepass", secret("p@ss: /word")] });
    const { client, store } = open(Client, { password: secret("p@ss: /word") }, {}, server.url);
    expect(await sharesWith(client, store)).toBe(true);
    await client.acl("SETUSER", "worker", "on", `>${secret("other pässword")}`, "~*", "+@all");
    const user = open(
      Client,
      { username: "worker", password: secret("other pässword"), connectionName: "by-name" },
      {},
      server.url,
    );
    await user.store.isExecutionInProgress(newId());
    expect(await client.client("LIST")).toMatch(/name=by-name .*user=worker/);
  });

  it("is recognised by its settings, not by its class", () => {
    class Custom extends Client {}
    expect(open(Custom).store.backend).toBe("redis");
  });

  it.each([
    ["a method has been replaced", (client) => Object.assign(client, { hset: client.hset.bind(client) })],
    ["a spy sits on a method", (client) => vi.spyOn(client, "hget") && client],
    [
      "sendCommand has been replaced",
      (client) => Object.assign(client, { sendCommand: client.sendCommand.bind(client) }),
    ],
    ["it is behind a proxy", (client) => new Proxy(client, {})],
  ])("keeps its own methods where %s", async (_label, change) => {
    const { client } = open(Client);
    const { store } = open(change(client));
    expect(store.backend).toBe("client");
    expect(await sharesWith(client, store)).toBe(true);
    const spied = vi.isMockFunction(client.hget);
    await store.getExecutionTaskResult(newId(), "task");
    if (spied) expect(client.hget).toHaveBeenCalledOnce();
  });

  it("keeps its own methods where its class overrides one", async () => {
    const seen = vi.fn();
    class Custom extends Client {
      get(...args) {
        seen(...args);
        return super.get(...args);
      }
    }
    const { store } = open(Custom);
    expect(store.backend).toBe("client");
    const id = newId();
    await store.isExecutionInProgress(id);
    expect(seen).toHaveBeenCalledExactlyOnceWith(id);
  });

  it.each([
    ["TLS without verification", { tls: { rejectUnauthorized: false } }],
    ["Sentinel with TLS for the sentinels alone", { sentinels: [{ port: 1 }], name: "main", tls: {} }],
    ["a connector of its own", { Connector }],
    ["a decision about reconnecting", { reconnectOnError: () => true }],
  ])("keeps its own methods where it needs %s, or is refused under connection: native", (_label, options) => {
    const client = new Client({ lazyConnect: true, ...options });
    expect(createRedisStore(client).backend).toBe("client");
    expect(() => createRedisStore(client, { connection: "native" })).toThrow(TypeError);
    client.disconnect();
  });

  it("keeps its own methods as a cluster that translates addresses, or is refused under connection: native", () => {
    const cluster = new Client.Cluster([{ host: "127.0.0.1", port: 1 }], { lazyConnect: true, natMap: {} });
    expect(createRedisStore(cluster).backend).toBe("client");
    expect(() => createRedisStore(cluster, { connection: "native" })).toThrow(TypeError);
    cluster.disconnect();
  });
});
