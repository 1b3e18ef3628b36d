// A store and the client it was made from are garbage together, also when the client holds the store: what the store keeps of
// the client is seen by the garbage collector.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startRestEndpoint } from "../../tooling/servers/rest-endpoint.mjs";
import { runScript, startScript } from "../support/child.mjs";
import { privateRedis, sharedRedis } from "../support/redis.mjs";

const { url, newId } = sharedRedis();

/** How the client is made, and how it lets go of its connection. */
const CLIENTS = {
  ioredis: {
    open: `const { Redis } = require("ioredis"); const client = new Redis(args.url);`,
    close: "client.disconnect();",
  },
  "node-redis": {
    open: `const client = await require("redis").createClient({ url: args.url }).connect();`,
    close: "client.destroy();",
  },
  Upstash: {
    open: `const { Redis } = require("@upstash/redis");
      const client = new Redis({ url: args.rest.url, token: args.rest.token, enableTelemetry: false });`,
    close: "",
  },
};

/** How the two hold each other. */
const TIES = {
  "has the store as a property": "client.store = store;",
  "is the key of the store in a WeakMap": "stores.set(client, store);",
  "has one function of the store as a property": "client.begin = store.beginExecution;",
};

const CONNECTIONS = { "the client's own": { connection: "client" }, "a native": { connection: "native" } };

/** Makes a few pairs, uses and forgets them, and counts those that are collected. */
const script = (client, tie, closes) => `
  import { createRequire } from "node:module";
  import { setImmediate } from "node:timers/promises";
  const require = createRequire(args.directory);
  const stores = new WeakMap();
  const alive = new Set();
  const registry = new FinalizationRegistry((name) => alive.delete(name));
  async function use(index) {
    ${client.open}
    const store = createRedisStore(client, args.options);
    ${tie}
    await store.beginExecution(args.id + index);
    if (!(await store.isExecutionInProgress(args.id + index))) throw new Error("a wrong answer");
    ${closes ? "await store.close();" : ""}
    for (const [name, value] of [["client", client], ["store", store]]) {
      alive.add(name + index);
      registry.register(value, name + index);
    }
    ${client.close}
  }
  for (let index = 0; index < 3; index++) await use(index);
  const deadline = Date.now() + 10_000;
  while (alive.size > 0 && Date.now() < deadline) {
    gc();
    await setImmediate();
  }
  console.log("alive: " + [...alive].join());
  process.exit();
`;

const cases = Object.keys(CLIENTS).flatMap((client) =>
  Object.keys(CONNECTIONS).flatMap((connection) => Object.keys(TIES).map((tie) => [client, connection, tie])),
);

let rest;
beforeAll(async () => {
  rest = await startRestEndpoint({ redisUrl: url });
});
afterAll(() => rest?.stop());

describe("is collected with its store", () => {
  it.each(cases)("a client of %s over %s connection that %s", async (client, connection, tie) => {
    const { token, url: endpoint } = rest;
    const args = { url, rest: { url: endpoint, token }, options: CONNECTIONS[connection], directory: import.meta.url };
    for (const closes of [false, true]) {
      const source = script(CLIENTS[client], TIES[tie], closes);
      const outcome = await runScript(source, { args: { ...args, id: newId() }, nodeOptions: ["--expose-gc"] });
      expect(outcome, outcome.errors).toMatchObject({ code: 0, lines: ["alive: "] });
    }
  });
});

/** A function of a store over a client that nothing else holds: it never connects. */
const HELD = `
  import { once } from "node:events";
  import { createRequire } from "node:module";
  import { setImmediate } from "node:timers/promises";
  const { Redis } = createRequire(args.directory)("ioredis");
  const collect = async () => {
    for (let round = 0; round < 20; round++) {
      gc();
      await setImmediate();
    }
  };
  const open = () => {
    const client = new Redis(args.url, { lazyConnect: true });
    const { beginExecution } = createRedisStore(client, { commandTimeout: 30_000 });
    return { beginExecution, client: new WeakRef(client) };
  };
  let { beginExecution, client } = open();
  await beginExecution("execution");
  // Nothing else keeps the process alive while it waits for the test.
  const waiting = setInterval(() => {}, 1000);
`;

describe("what a store knows of its client", () => {
  it("is there for as long as a function of the store is held", async () => {
    const server = await privateRedis();
    const source = `${HELD}
      await collect();
      const killed = once(process, "SIGUSR2");
      console.log("idle");
      await killed;
      await beginExecution("execution");
      console.log(client.deref() !== undefined);
      clearInterval(waiting);
    `;
    const args = { url: server.url, directory: import.meta.url };
    const child = startScript(source, { args, nodeOptions: ["--expose-gc"] });
    await child.printed("idle");
    await server.restart();
    process.kill(child.pid, "SIGUSR2");
    const outcome = await child.ended;
    expect(outcome, outcome.errors).toMatchObject({ code: 0, lines: ["idle", "true"] });
  });

  it("is there for what is pending when none is held, and no longer", async () => {
    const server = await privateRedis();
    const source = `${HELD}
      const paused = once(process, "SIGUSR2");
      console.log("idle");
      await paused;
      const pending = beginExecution("execution");
      beginExecution = undefined;
      await collect();
      console.log("pending");
      await pending;
      console.log("answered");
      const deadline = Date.now() + 10_000;
      while (client.deref() !== undefined && Date.now() < deadline) await collect();
      console.log(client.deref() === undefined);
      clearInterval(waiting);
    `;
    const args = { url: server.url, directory: import.meta.url };
    const child = startScript(source, { args, nodeOptions: ["--expose-gc"] });
    await child.printed("idle");
    server.pause();
    process.kill(child.pid, "SIGUSR2");
    await child.printed("pending");
    await server.kill();
    await server.restart();
    const outcome = await child.ended;
    expect(outcome, outcome.errors).toMatchObject({ code: 0, lines: ["idle", "pending", "answered", "true"] });
  });
});
