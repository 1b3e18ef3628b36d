// A host name with several addresses of which the first is of no use: the others are tried within the same attempt, and it costs
// the next attempt nothing.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startRestEndpoint } from "../../tooling/servers/rest-endpoint.mjs";
import { startScript } from "../support/child.mjs";
import { startProxy } from "../support/proxy.mjs";
import { privateRedis } from "../support/redis.mjs";
import { note } from "../support/scale.mjs";
import { SENTINEL_MASTER, startTopologies } from "../support/topologies.mjs";

const [USELESS, USEFUL] = ["127.0.0.2", "127.0.0.3"];

/** Takes connections and says nothing. */
async function startSilence(port) {
  const sockets = new Set();
  const server = createServer((socket) => sockets.add(socket.on("error", () => {})));
  server.listen(port, USELESS);
  await once(server, "listening");
  return () => {
    for (const socket of sockets) socket.destroy();
    server.close();
  };
}

/** An address that drops packets: a queue for one connection, which is full. */
async function startSwallowing(port) {
  const script = `
    import socket, sys, time
    server = socket.socket()
    server.bind(("${USELESS}", ${port}))
    server.listen(0)
    queued = socket.create_connection(("${USELESS}", ${port}))
    print("full", flush=True)
    time.sleep(60)
  `;
  const child = spawn("python3", ["-c", dedent(script)], { stdio: ["ignore", "pipe", "inherit"] });
  await once(child.stdout, "data");
  return () => child.kill("SIGKILL");
}

const dedent = (script) => script.replaceAll(/^ {4}/gm, "").trim();

const STORE = `
  const timed = async (call) => {
    const begun = performance.now();
    await call();
    return Math.round(performance.now() - begun);
  };
  const took = [];
  for (const commandTimeout of [20_000, 20_001]) {
    const store = createRedisStore(args.redis, { commandTimeout, connectTimeout: 10_000 });
    took.push(await timed(() => store.beginExecution("run")));
    await store.close();
  }
  console.log(JSON.stringify(took));
`;

// Needs a name with several addresses: a hosts file of its own, which Linux gives to a process by `unshare`.
describe("a host name with two addresses", () => {
  let servers;
  let topologies;
  let rest;
  let dir;

  beforeAll(async () => {
    topologies = await startTopologies();
    const redis = await privateRedis();
    rest = await startRestEndpoint({ redisUrl: redis.url });
    const portOf = (url) => Number(new URL(url).port);
    const host = "redis.example";
    servers = {
      "a server": [redis.port, (port) => `redis://${host}:${port}`],
      "a start-up node of a cluster": [portOf(topologies.clusterUrl), (port) => [{ host, port }]],
      "a sentinel": [topologies.sentinel.port, (port) => ({ sentinels: [{ host, port }], name: SENTINEL_MASTER })],
      "an HTTP endpoint": [portOf(rest.url), (port) => ({ url: `http://${host}:${port}`, token: rest.token })],
    };
    dir = mkdtempSync(join(tmpdir(), "idioteque-hosts-"));
    writeFileSync(join(dir, "hosts"), `${USELESS} ${host}\n${USEFUL} ${host}\n`);
  });

  afterAll(async () => {
    await Promise.all([topologies?.stop(), rest?.stop()]);
    if (dir) rmSync(dir, { recursive: true, force: true });
  });

  async function timesOf(kind, startUseless) {
    const [port, input] = servers[kind];
    const proxy = await startProxy({ host: "127.0.0.1", port }, { host: USEFUL });
    const stop = await startUseless(proxy.port);
    try {
      const mounted = `mount --bind ${join(dir, "hosts")} /etc/hosts && exec "$@"`;
      const within = ["unshare", "--mount", "--map-root-user", "sh", "-c", mounted, "sh"];
      const outcome = await startScript(STORE, { args: { redis: input(proxy.port) }, within }).ended;
      expect(outcome, outcome.errors).toMatchObject({ code: 0 });
      return JSON.parse(outcome.lines.at(-1));
    } finally {
      await stop();
      await proxy.stop();
    }
  }

  it.each(["a server", "a start-up node of a cluster", "a sentinel", "an HTTP endpoint"])(
    "of %s, the first of which swallows packets: the second is tried within the attempt, and first at the next one",
    async (kind) => {
      const [first, next] = await timesOf(kind, startSwallowing);
      expect(first).toBeLessThan(1_200);
      expect(next).toBeLessThan(240);
      note({
        scenario: `${kind}: host name with two addresses, of which the first swallows packets`,
        done: "1 connection, and another one",
        found: `connected after ${first} ms, then after ${next} ms`,
        promise: "the second address is tried after 250 ms, and first at the next connection",
      });
    },
  );

  it.each(["a server", "a start-up node of a cluster", "a sentinel"])(
    "of %s, at the first of which nothing answers: the next attempt begins with the second",
    async (kind) => {
      const [first, next] = await timesOf(kind, startSilence);
      expect(first).toBeLessThan(4_000);
      expect(next).toBeLessThan(240);
      note({
        scenario: `${kind}: host name with two addresses, of which the first takes connections and says nothing`,
        done: "1 connection, and another one",
        found: `connected after ${first} ms, then after ${next} ms`,
        promise: "the next attempt begins with the second address",
      });
    },
  );
});
