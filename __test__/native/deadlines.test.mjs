// Every call settles at its own deadline, not before and not much later, however slowly the answers of others come in.
import { createServer } from "node:http";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createRedisStore } from "../../index.js";
import { createAuthority } from "../../tooling/servers/certificates.mjs";
import { NAMES, startTlsEndpoint } from "../../tooling/servers/tls.mjs";
import { startFakeRedis } from "../support/fake-redis.mjs";

const COMMAND_TIMEOUT_MS = 4000;
/** What a busy machine may add. */
const SLACK_MS = 1000;
/** Between two bytes of an answer: less than the silence after which a store leaves a connection. */
const INTERVAL_MS = 1300;
/** As many bytes come before the first deadline, so that nothing else arrives around the later ones. */
const BYTES = 3;
/** When calls are made, in milliseconds after the first ones. */
const MOMENTS = [0, 100, 200, 400, 600];

const endings = [];
afterAll(async () => {
  for (const end of endings.splice(0).reverse()) await end();
});

/** Sends a byte now and then, for as long as the other side listens. */
async function trickle(stream) {
  for (let sent = 0; sent < BYTES && stream.writable; sent += 1) {
    await delay(INTERVAL_MS);
    stream.write("x");
  }
}

/** A server that begins to answer the first command of a store on each connection, and does not come to an end. */
async function startTrickling(words = {}) {
  const begun = new Set();
  const fake = await startFakeRedis(({ command, socket }) => {
    const said = words[command[0]]?.(command);
    if (said !== undefined || begun.has(socket)) return said;
    begun.add(socket);
    trickle(socket);
    return "$100000\r\n";
  });
  endings.push(fake.stop);
  return fake;
}

const handshake = { CLIENT: () => "+OK\r\n", ROLE: () => "*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n" };
const host = "127.0.0.1";

/** Where a cluster has all its slots, and where a sentinel says that the primary is. */
const CLUSTER_OF = (port) => `*1\r\n*3\r\n:0\r\n:16383\r\n*2\r\n$9\r\n${host}\r\n:${port}\r\n`;
const SENTINEL_OF = (port) => `*2\r\n$9\r\n${host}\r\n$${String(port).length}\r\n${port}\r\n`;

const SERVERS = {
  "one server": async () => ({ host, port: (await startTrickling(handshake)).port }),
  async "a server behind TLS"() {
    const authority = createAuthority();
    const endpoint = await startTlsEndpoint(await startTrickling(handshake), authority.issue({ names: NAMES }));
    endings.push(endpoint.stop);
    return { host, port: endpoint.port, tls: { ca: authority.cert } };
  },
  async "a server of a cluster"() {
    const words = ([, name]) => (/^SLOTS$/i.test(name) ? CLUSTER_OF(port) : "-ERR unknown subcommand\r\n");
    const { port } = await startTrickling({ ...handshake, CLUSTER: words });
    return [{ host, port }];
  },
  async "the primary that sentinels lead to"() {
    const { port } = await startTrickling(handshake);
    const words = ([, name]) => (/^GET-MASTER/i.test(name) ? SENTINEL_OF(port) : "*0\r\n");
    const sentinel = await startTrickling({ SENTINEL: words, SUBSCRIBE: () => "*0\r\n" });
    return { sentinels: [{ host, port: sentinel.port }], name: "main" };
  },
  async "an HTTP endpoint"() {
    const server = createServer((_, response) => {
      response.writeHead(200, { "content-type": "application/json" });
      response.write('{"result":"');
      trickle(response);
    }).listen(0, host);
    endings.push(() => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(resolve));
    });
    while (!server.listening) await delay(1);
    return { url: `http://${host}:${server.address().port}`, token: "token" };
  },
};

const CALLS = [
  (store, id) => store.getExecutionTaskResult(id, "task"),
  (store, id) => store.isExecutionInProgress(id),
  (store, id) => store.beginExecutionTask(id, "task"),
  (store, id) => store.commitExecutionTaskResult(id, "task", 1),
];

/** How a call failed, and after how many milliseconds. */
async function outcomeOf(call) {
  const made = performance.now();
  const code = await call().then(
    () => "none",
    (error) => error.code,
  );
  return { code, took: performance.now() - made };
}

/** Makes calls at all moments, and returns what became of each. */
async function callAll(redis) {
  const store = createRedisStore(redis, { commandTimeout: COMMAND_TIMEOUT_MS, readAhead: false });
  endings.push(() => store.close());
  const begun = performance.now();
  const outcomes = [];
  for (const moment of MOMENTS) {
    await delay(begun + moment - performance.now());
    outcomes.push(...CALLS.map((call, index) => outcomeOf(() => call(store, `run-${moment}-${index}`))));
  }
  return Promise.all(outcomes);
}

describe("while answers only trickle in, every call settles at its own deadline", () => {
  const outcomes = {};

  beforeAll(async () => {
    // At the same time: they take a deadline each.
    const all = Object.entries(SERVERS).map(async ([name, start]) => {
      outcomes[name] = await callAll(await start());
    });
    await Promise.all(all);
  });

  it.each(Object.keys(SERVERS))("with %s", (name) => {
    for (const { code, took } of outcomes[name]) {
      expect(code).toBe("ERR_REDIS_TIMEOUT");
      expect(took).toBeGreaterThanOrEqual(COMMAND_TIMEOUT_MS);
      expect(took).toBeLessThan(COMMAND_TIMEOUT_MS + SLACK_MS);
    }
  });
});
