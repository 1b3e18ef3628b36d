/**
 * The way to an HTTP endpoint: HTTP/2 where it is offered, TLS that is always verified, and proxies that the environment
 * names.
 */
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { createConnection } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { createRedisStore } from "../../index.js";
import { createAuthority } from "../../tooling/servers/certificates.mjs";
import { startRestEndpoint } from "../../tooling/servers/rest-endpoint.mjs";
import { startProxy } from "../support/proxy.mjs";
import { eventually, sharedRedis } from "../support/redis.mjs";

const { url, newId } = sharedRedis();
const NAMES = ["127.0.0.1", "rest.test"];
const authority = createAuthority();
let plain;
let tls;
let both;
let directory;
let caFile;

beforeAll(async () => {
  const certificate = authority.issue({ names: NAMES });
  plain = await startRestEndpoint({ redisUrl: url });
  tls = await startRestEndpoint({ redisUrl: url, tls: certificate });
  both = await startRestEndpoint({ redisUrl: url, tls: certificate, http2: true });
  directory = await mkdtemp(join(tmpdir(), "idioteque-rest-"));
  caFile = join(directory, "ca.pem");
  await writeFile(caFile, authority.cert);
});

afterAll(async () => {
  await Promise.all([plain?.stop(), tls?.stop(), both?.stop()]);
  if (directory) await rm(directory, { recursive: true });
});

const releases = [];
afterEach(async () => {
  vi.unstubAllEnvs();
  for (const release of releases.splice(0)) await release();
});

function open(endpoint, { host, ...options } = {}) {
  const address = new URL(endpoint.url);
  if (host) address.hostname = host;
  const store = createRedisStore({ url: address.href, token: endpoint.token }, options);
  releases.push(() => store.close());
  return store;
}

const trusting = () => vi.stubEnv("NODE_EXTRA_CA_CERTS", caFile);

describe("TLS", () => {
  it("is verified with the authorities of NODE_EXTRA_CA_CERTS", async () => {
    trusting();
    expect(await open(tls).isExecutionInProgress(newId())).toBe(false);
    expect(tls.requests.at(-1).httpVersion).toBe("1.1");
  });

  it("refuses, at once, an authority that is unknown and a certificate for another name", async () => {
    const unknown = open(tls, { connectTimeout: 4001 }).isExecutionInProgress(newId());
    await expect(unknown).rejects.toMatchObject({ code: "ERR_REDIS_CONNECTION" });
    await expect(unknown).rejects.toThrow("not from an authority that is trusted");
    trusting();
    const other = open(tls, { host: "localhost" }).isExecutionInProgress(newId());
    await expect(other).rejects.toThrow("is for another name");
  });

  it("never falls back to plaintext", async () => {
    trusting();
    const address = plain.url.replace("http:", "https:");
    const store = createRedisStore({ url: address, token: plain.token }, { commandTimeout: 500 });
    releases.push(() => store.close());
    const before = plain.requests.length;
    await expect(store.isExecutionInProgress(newId())).rejects.toMatchObject({ code: "ERR_REDIS_CONNECTION" });
    expect(plain.requests).toHaveLength(before);
  });
});

describe("HTTP/2", () => {
  it("is spoken where it is offered, all requests over one connection", async () => {
    trusting();
    const store = open(both);
    await store.isExecutionInProgress(newId());
    const before = both.connections;
    both.inject({ delay: 300 }, { delay: 300 });
    const turns = [];
    for (let turn = 0; turn < 5; turn += 1) {
      turns.push(store.isExecutionInProgress(newId()));
      await new Promise(setImmediate);
    }
    expect(await Promise.all(turns)).toEqual(Array(5).fill(false));
    expect(both.connections).toBe(before);
    expect(both.requests.at(-1).httpVersion).toBe("2.0");
  });

  it.each([{ cut: "before" }, { cut: "after" }, { status: 503 }])("tries again after %o", async (fault) => {
    trusting();
    const id = newId();
    const store = open(both);
    both.inject(fault);
    await store.beginExecution(id);
    both.inject(fault);
    await store.commitExecutionTaskResult(id, "task", 1);
    both.inject(fault);
    expect(await store.getExecutionTaskResults(id)).toEqual({ task: 1 });
    await store.disposeExecution(id);
  });
});

describe("a connection that takes everything and brings nothing any more", () => {
  /** A store whose connections go through a proxy. */
  async function openBehindProxy(endpoint) {
    trusting();
    const { hostname: host, port } = new URL(endpoint.url);
    const proxy = await startProxy({ host, port: Number(port) });
    releases.push(() => proxy.stop());
    const address = `https://${proxy.host}:${proxy.port}`;
    const store = createRedisStore({ url: address, token: endpoint.token }, { commandTimeout: 2000, readAhead: false });
    releases.push(() => store.close());
    return { proxy, store };
  }

  it.each([
    ["HTTP/1.1", () => tls],
    ["HTTP/2", () => both],
  ])("is left to what was sent over it: %s", async (_, endpoint) => {
    const { proxy, store } = await openBehindProxy(endpoint());
    const [asked, written, other] = [newId("asked"), newId("written"), newId("other")];

    await store.beginExecution(asked);
    for (const connection of proxy.connections) connection.hold("toServer", "toClient");
    expect(await store.isExecutionInProgress(asked)).toBe(true);

    for (const connection of proxy.connections) connection.hold("toServer", "toClient");
    const { roundTrips } = store.stats();
    const outcome = store.beginExecution(written).catch((error) => error);
    await eventually(() => store.stats().roundTrips > roundTrips, { message: "a request of its own" });
    expect(await store.isExecutionInProgress(other)).toBe(false);
    expect(await outcome).toMatchObject({
      code: "ERR_REDIS_TIMEOUT",
      message: expect.stringContaining("may have been applied"),
    });
    await store.beginExecution(written);
    expect(await store.isExecutionInProgress(written)).toBe(true);
  });

  it.each([
    ["HTTP/1.1", () => tls],
    ["HTTP/2", () => both],
  ])(
    "is left by a process that only pings, each time for less than such a connection is waited for: %s",
    async (_, endpoint) => {
      const { proxy, store } = await openBehindProxy(endpoint());
      await store.isExecutionInProgress(newId());
      for (const connection of proxy.connections) connection.hold("toServer", "toClient");
      await expect(store.ping({ timeout: 200 })).rejects.toMatchObject({ code: "ERR_REDIS_TIMEOUT" });
      const answered = () => store.ping({ timeout: 200 }).then(Boolean, () => false);
      await eventually(answered, { deadline: 10_000, message: "a ping that is answered" });
    },
  );
});

/** An HTTP proxy to which every host is this one. Records what it is asked for. */
async function startHttpProxy({ login, refuse } = {}) {
  const asked = [];
  const authorised = (headers) =>
    !login || headers["proxy-authorization"] === `Basic ${Buffer.from(login).toString("base64")}`;
  const server = createServer(async (request, response) => {
    asked.push(request.url);
    if (!authorised(request.headers)) return response.writeHead(407).end();
    const target = new URL(request.url);
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const { authorization, "content-type": type, "upstash-encoding": encoding } = request.headers;
    const answer = await fetch(`http://127.0.0.1:${target.port}${target.pathname}`, {
      method: request.method,
      headers: { authorization, "content-type": type, "upstash-encoding": encoding },
      body: Buffer.concat(chunks),
    });
    response.writeHead(answer.status).end(Buffer.from(await answer.arrayBuffer()));
  });
  const sockets = new Set();
  server.on("connection", (socket) => sockets.add(socket.on("error", () => {})));
  server.on("connect", (request, socket, head) => {
    asked.push(`CONNECT ${request.url}`);
    socket.on("error", () => {});
    if (refuse) return socket.end("HTTP/1.1 403 Forbidden\r\n\r\n");
    if (!authorised(request.headers)) return socket.end("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n");
    const target = createConnection({ host: "127.0.0.1", port: Number(request.url.split(":").at(-1)) }, () => {
      socket.write("HTTP/1.1 200 Connection established\r\n\r\n");
      target.write(head);
      target.pipe(socket).pipe(target);
    });
    sockets.add(target.on("error", () => socket.destroy()));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  releases.push(async () => {
    server.close();
    for (const socket of sockets) socket.destroy();
    await once(server, "close");
  });
  return { address: `127.0.0.1:${server.address().port}`, asked };
}

describe("a proxy that the environment names", () => {
  it("opens a tunnel for https://, in which TLS is verified end to end", async () => {
    trusting();
    const proxy = await startHttpProxy({ login: "user:hunter2" });
    vi.stubEnv("HTTPS_PROXY", `http://user:hunter2@${proxy.address}`);
    expect(await open(both, { host: "rest.test" }).isExecutionInProgress(newId())).toBe(false);
    expect(proxy.asked).toEqual([`CONNECT rest.test:${new URL(both.url).port}`]);
    expect(both.requests.at(-1).httpVersion).toBe("2.0");
    expect(both.requests.at(-1).headers["proxy-authorization"]).toBeUndefined();
    const other = open(both, { host: "other.test" }).isExecutionInProgress(newId());
    await expect(other).rejects.toThrow("is for another name");
  });

  it("is asked for the whole URL with http://, and does not see it again", async () => {
    const proxy = await startHttpProxy({ login: "user:hunter2" });
    vi.stubEnv("http_proxy", `http://user:hunter2@${proxy.address}`);
    expect(await open(plain, { host: "rest.test" }).isExecutionInProgress(newId())).toBe(false);
    expect(proxy.asked).toHaveLength(1);
    expect(proxy.asked[0]).toMatch(/^http:\/\/rest\.test:\d+\/pipeline$|^http:\/\/rest\.test:\d+\/$/);
  });

  it("is passed by for what NO_PROXY names, and for this machine", async () => {
    trusting();
    const proxy = await startHttpProxy();
    vi.stubEnv("HTTPS_PROXY", `http://${proxy.address}`);
    vi.stubEnv("HTTP_PROXY", `http://${proxy.address}`);
    expect(await open(tls, { connectTimeout: 4002 }).isExecutionInProgress(newId())).toBe(false);
    expect(await open(plain, { connectTimeout: 4002 }).isExecutionInProgress(newId())).toBe(false);
    vi.stubEnv("NO_PROXY", "rest.test");
    const away = open(plain, { host: "rest.test", commandTimeout: 300 }).isExecutionInProgress(newId());
    await expect(away).rejects.toMatchObject({ code: "ERR_REDIS_CONNECTION" });
    expect(proxy.asked).toEqual([]);
  });

  it("that requires a login, refuses, or cannot be used is reported without its password", async () => {
    trusting();
    const attempt = async (proxy) => {
      vi.stubEnv("HTTPS_PROXY", proxy);
      const call = open(tls, { host: "rest.test", commandTimeout: 700 }).isExecutionInProgress(newId());
      return call.then(
        () => expect.fail("it was answered"),
        (error) => {
          expect(`${error.message} ${error.cause}`).not.toContain("hunter2");
          return error;
        },
      );
    };
    const { address } = await startHttpProxy({ login: "user:other" });
    expect((await attempt(`http://user:hunter2@${address}`)).message).toContain("requires a login");
    const { address: refusing } = await startHttpProxy({ refuse: true });
    expect((await attempt(`http://user:hunter2@${refusing}`)).message).toContain("did not open a tunnel");
    expect((await attempt("http://user:hunter2@127.0.0.1:1")).message).toContain("ECONNREFUSED 127.0.0.1:1");
    const unusable = await attempt("socks5://user:hunter2@127.0.0.1:1080");
    expect(unusable).toMatchObject({ code: "ERR_REDIS_CONFIG" });
    expect(unusable.message).toContain("http://");
  });
});
