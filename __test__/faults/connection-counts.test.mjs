// How many connections a store makes to a server that is silent, refuses connections or ends them: few, however long that lasts,
// and no fleet of stores becomes a storm.
import { once } from "node:events";
import { createServer } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { afterEach, describe, expect, it } from "vitest";
import { secret } from "../../tooling/secrets.mjs";
import { startScript } from "../support/child.mjs";
import { bulk } from "../support/fake-topologies.mjs";
import { eventually, privateRedis } from "../support/redis.mjs";
import { note, times } from "../support/scale.mjs";
import { outcomeOf, temporaryClient, temporaryStore } from "../support/temporary.mjs";
import { startCluster } from "../support/topologies.mjs";

const HOST = "127.0.0.1";

const endings = [];
afterEach(async () => {
  for (const end of endings.splice(0).reverse()) await end();
});

/** A server that takes connections, and counts them: `open` at a time, `most` of those, and all that were `made`. */
async function startCounting(onConnection = () => {}) {
  const counted = { port: 0, open: 0, most: 0, made: 0 };
  const sockets = new Set();
  const server = createServer((socket) => {
    sockets.add(socket);
    counted.made += 1;
    counted.open += 1;
    counted.most = Math.max(counted.most, counted.open);
    socket.on("error", () => {}).on("data", () => {});
    socket.on("close", () => {
      sockets.delete(socket);
      counted.open -= 1;
    });
    onConnection(socket);
  });
  server.listen(0, HOST);
  await once(server, "listening");
  endings.push(async () => {
    for (const socket of sockets) socket.destroy();
    server.close();
    await once(server, "close");
  });
  counted.port = server.address().port;
  return counted;
}

describe("a server that takes connections and never says a word", () => {
  const INPUTS = {
    "one server": ({ port }) => ({ host: HOST, port }),
    "a server that wants a password": ({ port }) => ({ host: HOST, port, password: secret("any") }),
    "a node of a cluster": ({ port }) => [{ host: HOST, port }],
    "a sentinel": ({ port }) => ({ sentinels: [{ host: HOST, port }], name: "main" }),
  };
  /** Of one store at a time, whatever its time limits. */
  const MOST_OPEN = 3;
  const WATCHED_MS = 9000;

  it.each([
    ["far limits", { connectTimeout: 60_000, commandTimeout: 10_000 }, 10],
    ["a far limit for connecting", { connectTimeout: 60_000, commandTimeout: 1000 }, 20],
  ])("has few connections open at a time, and few made: %s", async (_, options, mostMade) => {
    const servers = await Promise.all(Object.keys(INPUTS).map(() => startCounting()));
    const inputs = Object.values(INPUTS);
    const stores = servers.map((server, index) => temporaryStore(inputs[index](server), options));
    let watching = true;
    for (const store of stores) {
      (async () => {
        while (watching) await outcomeOf(store.beginExecution("run"));
      })();
    }
    await delay(WATCHED_MS);
    watching = false;
    const found = servers.map(({ most, made }) => ({ most, made }));
    for (const [index, { most, made }] of found.entries()) {
      const name = `${Object.keys(INPUTS)[index]}: ${JSON.stringify(found)}`;
      expect(most, name).toBeLessThanOrEqual(MOST_OPEN);
      expect(made, name).toBeLessThanOrEqual(mostMade);
    }
  });
});

describe("a server that is silent for a while, and then answers", () => {
  const COMMAND_TIMEOUT_MS = 4000;
  /** Longer than a store waits before it makes another connection. */
  const SILENT_MS = 2800;
  const STORES = 4;

  it.each([
    ["one server", 1, () => privateRedis(), ({ host, port }) => ({ host, port })],
    // The other nodes are asked whether another one has taken its place, and here it is the only one.
    ["a node of a cluster", 2, startCluster, ({ host, port }) => [{ host, port }]],
  ])("answers all calls over the connection it has, and others are closed: %s", async (_, most, start, inputOf) => {
    const server = await start();
    endings.push(() => server.stop());
    const admin = temporaryClient(server);
    const stores = Array.from({ length: STORES }, (_, index) =>
      temporaryStore(inputOf(server), { commandTimeout: COMMAND_TIMEOUT_MS + index, readAhead: false }),
    );
    await Promise.all(stores.map((store, index) => store.beginExecution(`run-${index}`)));
    const madeBefore = await countMade(admin);
    const openBefore = (await admin.client("LIST")).trim().split("\n").length;

    server.pause();
    const calls = stores.flatMap((store, index) => [
      store.isExecutionInProgress(`run-${index}`),
      store.commitExecutionTaskResult(`run-${index}`, "task", index),
    ]);
    await delay(SILENT_MS);
    server.resume();
    await Promise.all(calls);
    await eventually(async () => (await admin.client("LIST")).trim().split("\n").length === openBefore, {
      message: "the other connections being closed",
    });
    const made = (await countMade(admin)) - madeBefore;
    expect(made).toBeLessThanOrEqual(most * STORES);
    for (const [index, store] of stores.entries())
      expect(await store.getExecutionTaskResult(`run-${index}`, "task")).toBe(index);
  });

  const countMade = async (admin) => Number((await admin.info("stats")).match(/total_connections_received:(\d+)/)[1]);
});

describe("many stores, with calls waiting", () => {
  const STORES = times(100, 500);
  const FIRST_MS = 3000;
  const WATCHED_MS = 4000;
  /** Attempts of a store in the first three seconds, in which pauses grow from 50 ms, and the shortest of the later ones. */
  const MOST_FIRST = 10;
  const SHORTEST_PAUSE_MS = 900;

  const script = `
    const stores = Array.from({ length: args.stores }, (_, index) =>
      createRedisStore({ host: args.host, port: args.port }, { commandTimeout: 60_000 + index, readAhead: false }));
    for (const store of stores) store.beginExecution("run").catch(() => {});
    console.log("waiting");
    setTimeout(() => process.exit(), 30_000);
  `;

  const info = bulk(`id=1 addr=${HOST}:1 name= db=0\n`);
  const SERVERS = {
    "ends connections at once": (socket) => socket.destroy(),
    "takes the handshake and hangs up": (socket) => socket.once("data", () => socket.end(info)),
  };

  it.each(Object.keys(SERVERS))("make few attempts to connect to a server that %s", async (name) => {
    const server = await startCounting(SERVERS[name]);
    const child = startScript(script, { args: { host: HOST, port: server.port, stores: STORES } });
    await child.printed("waiting");
    await delay(FIRST_MS);
    const first = server.made;
    await delay(WATCHED_MS);
    const later = server.made - first;
    process.kill(child.pid, "SIGKILL");
    await child.ended;
    expect(first).toBeGreaterThanOrEqual(STORES);
    expect(first).toBeLessThanOrEqual(STORES * MOST_FIRST);
    expect(later).toBeLessThanOrEqual(STORES * (1 + WATCHED_MS / SHORTEST_PAUSE_MS));
    note({
      scenario: `${STORES} stores, a server that ${name}`,
      done: `watched for ${FIRST_MS + WATCHED_MS} ms`,
      found: `${first} attempts in the first ${FIRST_MS} ms, then ${Math.round((later * 1000) / WATCHED_MS)} a second`,
      promise: `at most ${MOST_FIRST} attempts of each store at first, then one in ${SHORTEST_PAUSE_MS} ms`,
    });
  });
});
