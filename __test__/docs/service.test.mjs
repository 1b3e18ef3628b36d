/**
 * The service among the examples: it compiles, keeps orders, says whether it is ready, and ends in order or at its deadline.
 */
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { Agent, createServer, get } from "node:http";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { freePort } from "../../tooling/servers/redis-server.mjs";
import { ROOT } from "../../tooling/setup.mjs";
import { startCollector } from "../support/collector.mjs";
import { eventually, privateRedis } from "../support/redis.mjs";
import { temporaryClient } from "../support/temporary.mjs";

const STEPS = ["check-stock", "charge-payment", "ship-parcel"];

let home;
let server;
let collector;
let admin;
let orders = 0;
const running = new Set();

beforeAll(async () => {
  // In the checkout, where the packages it needs are found, and by its name the package itself.
  mkdirSync(join(ROOT, "target"), { recursive: true });
  home = mkdtempSync(join(ROOT, "target", "service-"));
  cpSync(join(ROOT, "examples/service"), home, {
    recursive: true,
    filter: (path) => !/\/(node_modules|dist)$/.test(path),
  });
  mkdirSync(join(home, "node_modules/@idioteque"), { recursive: true });
  symlinkSync(ROOT, join(home, "node_modules/@idioteque/redis"));
  const compiler = join(ROOT, "node_modules/typescript/bin/tsc");
  await promisify(execFile)(process.execPath, [compiler], { cwd: home }).catch(({ stdout }) => {
    throw new Error(stdout);
  });
  server = await privateRedis();
  admin = temporaryClient(server);
  collector = await startCollector();
});

afterEach(() => {
  for (const child of running) child.kill("SIGKILL");
});

afterAll(async () => {
  await collector.stop();
  rmSync(home, { recursive: true, force: true });
});

/** An order that no other test places. */
function newOrder() {
  orders += 1;
  return `order-${orders}`;
}

/** Starts the service, and resolves when it listens. */
async function start(env = {}) {
  const own = {
    REDIS_URL: server.url,
    PORT: "0",
    STEP_MS: "1",
    OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
    OTEL_EXPORTER_OTLP_PROTOCOL: "http/json",
  };
  const child = spawn(process.execPath, ["dist/main.js"], {
    cwd: home,
    env: { ...process.env, ...own, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  running.add(child);
  const ended = once(child, "exit").then(([code, signal]) => {
    running.delete(child);
    return code ?? signal;
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text) => {
      output += text;
    });
  }
  const events = () => [...output.matchAll(/^\{"event".*$/gm)].map(([line]) => JSON.parse(line));
  const listening = () => events().find(({ event }) => event === "listening");
  // A busy machine takes seconds to load the SDK.
  await eventually(() => listening() ?? child.exitCode !== null, { deadline: 25_000, message: "its listening" });
  if (listening() === undefined) throw new Error(output);
  const url = `http://127.0.0.1:${listening().port}`;
  return {
    url,
    ended,
    events: () => events().map(({ event }) => event),
    signal: (name) => child.kill(name),
    async ask(path, method = "GET") {
      const response = await fetch(url + path, { method, headers: { connection: "close" } });
      return { status: response.status, ...(await response.json()) };
    },
  };
}

/** A connection on which a request was answered, and that is kept for another. */
function idleConnection(url, agent) {
  return new Promise((resolve, reject) => {
    const request = get(url, { agent }, (response) => response.resume().once("end", () => resolve(request.socket)));
    request.once("error", reject);
  });
}

test("an order is kept, and no step of it runs twice", async () => {
  const service = await start();
  const order = newOrder();
  const results = {
    "check-stock": { inStock: true },
    "charge-payment": { payment: "P-1" },
    "ship-parcel": { parcel: "C-1" },
  };
  expect(await service.ask(`/orders/${order}`, "PUT")).toEqual({ status: 200, results, ran: STEPS });
  expect(await service.ask(`/orders/${order}`, "PUT")).toEqual({ status: 200, results, ran: [] });
  expect(await service.ask(`/orders/${order}`)).toEqual({ status: 200, results });
  expect((await service.ask(`/orders/${order}`, "DELETE")).status).toBe(405);
  expect((await service.ask("/")).status).toBe(404);
});

test("an order that was interrupted by the end of its process goes on in another", async () => {
  const order = newOrder();
  const first = await start({ STEP_MS: "50" });
  const interrupted = first.ask(`/orders/${order}`, "PUT").catch(() => {});
  await eventually(() => admin.hexists(`${order}-results`, STEPS[0]), { message: "the first result" });
  first.signal("SIGKILL");
  await Promise.all([interrupted, first.ended]);
  const done = Object.keys(await admin.hgetall(`${order}-results`));
  const second = await start();
  const { ran } = await second.ask(`/orders/${order}`, "PUT");
  expect([...done, ...ran]).toEqual(STEPS);
});

test("it is ready while Redis is there, and alive all the time", async () => {
  const service = await start();
  expect(await service.ask("/ready")).toEqual({ status: 200, ready: true, milliseconds: expect.any(Number) });
  await server.kill();
  await eventually(async () => (await service.ask("/ready")).status === 503, { message: "its not being ready" });
  expect(await service.ask("/live")).toEqual({ status: 200, alive: true });
  await server.restart();
  await eventually(async () => (await service.ask("/ready")).status === 200, { message: "its being ready again" });
});

describe("at a signal to end", () => {
  test("it answers what has begun, lets idle connections go, and closes its store", async () => {
    const service = await start({ STEP_MS: "200" });
    const agent = new Agent({ keepAlive: true });
    const idle = await idleConnection(`${service.url}/live`, agent);
    const order = newOrder();
    const begun = service.ask(`/orders/${order}`, "PUT");
    await eventually(() => admin.exists(order), { message: "the order's beginning" });
    service.signal("SIGTERM");
    expect(await Promise.race([begun, once(idle, "close").then(() => "let go")])).toBe("let go");
    expect(await begun).toMatchObject({ status: 200, ran: STEPS });
    expect(await service.ended).toBe(0);
    expect(service.events()).toEqual(["listening", "stopping", "stopped"]);
    agent.destroy();
    expect(await admin.hlen(`${order}-results`)).toBe(STEPS.length);
  });

  test("it goes on serving for a while, and is not ready", async () => {
    const service = await start({ DRAIN_MS: "2000" });
    service.signal("SIGTERM");
    await eventually(async () => (await service.ask("/ready")).status === 503, { message: "its not being ready" });
    expect(await service.ask(`/orders/${newOrder()}`, "PUT")).toMatchObject({ status: 200, ran: STEPS });
    expect(await service.ended).toBe(0);
  });

  test("it ends in order when nobody collects what was recorded, or takes it and says nothing", async () => {
    const silent = createServer(() => {}).listen(0, "127.0.0.1");
    await once(silent, "listening");
    try {
      for (const port of [await freePort(), silent.address().port]) {
        const service = await start({ OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}`, FLUSH_MS: "200" });
        expect(await service.ask(`/orders/${newOrder()}`, "PUT")).toMatchObject({ status: 200 });
        service.signal("SIGTERM");
        expect(await service.ended).toBe(0);
        expect(service.events()).toEqual(["listening", "stopping", "stopped"]);
      }
    } finally {
      silent.closeAllConnections();
      silent.close();
    }
  });

  test("it ends at its deadline when Redis does not answer", async () => {
    const service = await start({ SHUTDOWN_MS: "500" });
    expect((await service.ask("/ready")).status).toBe(200);
    server.pause();
    try {
      const hanging = service.ask(`/orders/${newOrder()}`, "PUT").catch(() => "cut off");
      await eventually(async () => (await service.ask("/ready")).status === 503, { message: "its not being ready" });
      service.signal("SIGTERM");
      expect(await service.ended).toBe(1);
      expect(service.events()).toEqual(["listening", "stopping", "stopped at the deadline"]);
      expect(await hanging).toBe("cut off");
    } finally {
      server.resume();
    }
  });
});

test("its requests are traced, with the calls to Redis below them, and its metrics are sent", async () => {
  const service = await start();
  await service.ask(`/orders/${newOrder()}`, "PUT");
  service.signal("SIGTERM");
  expect(await service.ended).toBe(0);
  const spans = collector
    .requests("/v1/traces")
    .flatMap(({ resourceSpans }) =>
      resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap(({ spans }) => spans)),
    );
  const request = spans.findLast(({ name }) => name === "PUT /orders/{id}");
  const below = spans.filter(({ parentSpanId }) => parentSpanId === request.spanId).map(({ name }) => name);
  // What the order has already came with its first call, unless it is too old by the time it is asked. With a sliding expiry a task
  // begins in a transaction.
  const written = below.filter((name) => !/^(GET|HGET|HGETALL)$/.test(name));
  expect(written).toEqual(["SET", ...STEPS.flatMap(() => ["MULTI", "MULTI"])]);
  expect(collector.received("/v1/metrics")).toContain("db.client.operation.duration");
});
