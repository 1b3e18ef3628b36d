// TLS: who is trusted, who is not and what is said then, names, client certificates, and connections that come back.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { inspect } from "node:util";
import { Redis } from "ioredis";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { createRedisStore } from "../../index.js";
import { secret } from "../../tooling/secrets.mjs";
import { createAuthority } from "../../tooling/servers/certificates.mjs";
import { HOST, NAMES, startTlsEndpoint, startTlsRedis } from "../../tooling/servers/tls.mjs";
import { countConnections } from "../support/connections.mjs";
import { eventually, sharedRedis } from "../support/redis.mjs";
import { rejectionOf, temporaryClient, temporaryStore } from "../support/temporary.mjs";
import { IOREDIS, NODE_REDIS } from "../support/tls-inputs.mjs";

const { newId } = sharedRedis();
const authority = createAuthority();
const stranger = createAuthority("stranger");
const ca = authority.cert;
/** Longer than a test may take: what rejects all the same was rejected at once. */
const PATIENT = { commandTimeout: 600_000 };

let server;
let admin;
const endings = [];

beforeAll(async () => {
  server = await startTlsRedis(authority);
  admin = temporaryClient(server);
});

afterEach(async () => {
  for (const end of endings.splice(0).reverse()) await end();
  delete process.env.NODE_EXTRA_CA_CERTS;
});

afterAll(() => server?.stop());

const at = (port, tls, rest) => ({ host: HOST, port, tls, ...rest });

/** An endpoint with a certificate of its own in front of the server; it ends after the test. */
async function endpoint({ signedBy = authority, options, ...wanted } = {}) {
  const { cert, key } = signedBy.issue({ names: NAMES, ...wanted });
  const started = await startTlsEndpoint(server, { cert, key, ...options });
  endings.push(started.stop);
  return started;
}

async function works(store) {
  const id = newId();
  await store.beginExecution(id);
  expect(await admin.get(id)).toBe("true");
  await store.disposeExecution(id);
}

async function refusal(...redisAndOptions) {
  const error = await rejectionOf(temporaryStore(...redisAndOptions).isExecutionInProgress(newId()));
  expect(error).toMatchObject({ name: "RedisStoreError", code: "ERR_REDIS_CONNECTION" });
  return error;
}

describe("the authorities that are trusted", () => {
  it.each([
    ["a string", () => ca],
    ["a Buffer", () => Buffer.from(ca)],
    ["a Uint8Array", () => new Uint8Array(Buffer.from(ca))],
    ["one of an array", () => [stranger.cert, Buffer.from(ca)]],
    ["one of several in a text", () => `${stranger.cert}\nA comment.\n${ca}`],
  ])("may be given as %s", async (_, given) => {
    await works(temporaryStore(at(server.tlsPort, { ca: given() })));
  });

  it("are those in NODE_EXTRA_CA_CERTS besides", async () => {
    process.env.NODE_EXTRA_CA_CERTS = server.caFile;
    await works(temporaryStore(server.tlsUrl));
    await works(temporaryStore(at(server.tlsPort, true)));
    await works(temporaryStore({ url: server.tlsUrl, database: 0 }));
  });

  it("are not those in NODE_EXTRA_CA_CERTS where others are given", async () => {
    process.env.NODE_EXTRA_CA_CERTS = server.caFile;
    const error = await refusal(at(server.tlsPort, { ca: stranger.cert }), PATIENT);
    expect(error.message).toMatch(/not from an authority that is trusted/);
  });

  it("are no others, and waiting calls are rejected at once", async () => {
    for (const redis of [server.tlsUrl, at(server.tlsPort, {}), at(server.tlsPort, { ca: stranger.cert })]) {
      const error = await refusal(redis, PATIENT);
      expect(error.message).toContain(`${HOST}:${server.tlsPort} is not from an authority that is trusted: give`);
      expect(inspect(error)).toMatch(/cause.*UnknownIssuer/s);
    }
  });

  it("are named with the file that could not be read, which is otherwise left out", async () => {
    process.env.NODE_EXTRA_CA_CERTS = join(server.dir, "missing.pem");
    await works(temporaryStore(at(server.tlsPort, { ca })));
    const error = await refusal(server.tlsUrl, PATIENT);
    expect(error.message).toMatch(/NODE_EXTRA_CA_CERTS names .*missing\.pem, which is left out: No such file/);
  });

  it("are asked again at the next call: a file that has been put right is enough", async () => {
    const file = join(server.dir, "late.pem");
    process.env.NODE_EXTRA_CA_CERTS = file;
    const store = temporaryStore(server.tlsUrl, PATIENT);
    await rejectionOf(store.isExecutionInProgress(newId()));
    writeFileSync(file, ca);
    await works(store);
  });
});

describe("a certificate that is not accepted", () => {
  it("is one for another name", async () => {
    const { port } = await endpoint({ names: ["redis.test"] });
    const error = await refusal(at(port, { ca }), PATIENT);
    expect(error.message).toContain(`${HOST}:${port} is for another name`);
    expect(String(error.cause)).toContain("redis.test");
  });

  it("is one without any name but the common one", async () => {
    const { port } = await endpoint({ name: HOST, names: [] });
    expect((await refusal(at(port, { ca }), PATIENT)).message).toContain("subjectAltName");
  });

  it("is one that has expired, or is not valid yet", async () => {
    const day = 86_400_000;
    const expired = await endpoint({ notBefore: new Date(Date.now() - 2 * day), notAfter: new Date(Date.now() - day) });
    expect((await refusal(at(expired.port, { ca }), PATIENT)).message).toMatch(/has expired/);
    const early = await endpoint({ notBefore: new Date(Date.now() + day), notAfter: new Date(Date.now() + 2 * day) });
    expect((await refusal(at(early.port, { ca }), PATIENT)).message).toMatch(/is not valid yet/);
  });
});

describe("the server's name", () => {
  it("is the host, and servername where that is given", async () => {
    const { port, names } = await endpoint({ names: ["localhost", "redis.test"] });
    await works(temporaryStore({ host: "localhost", port, tls: { ca } }));
    await works(temporaryStore(at(port, { ca, servername: "redis.test" })));
    expect(names).toEqual(["localhost", "redis.test"]);
    expect((await refusal(at(port, { ca, servername: "other.test" }), PATIENT)).message).toMatch(/another name/);
  });

  it("is not sent where it is an IP address, and verified all the same", async () => {
    const { port, names } = await endpoint({ names: [HOST] });
    await works(temporaryStore(at(port, { ca })));
    expect(names).toEqual([false]);
  });
});

describe("the protocol's version", () => {
  it.each([
    ["TLSv1.3", {}],
    ["TLSv1.2", { maxVersion: "TLSv1.2" }],
    ["TLSv1.3", { minVersion: "TLSv1.3" }],
  ])("is %s with %o", async (expected, versions) => {
    const { port, protocols } = await endpoint();
    await works(temporaryStore(at(port, { ca, ...versions })));
    expect(protocols).toEqual([expected]);
  });

  it("is named where there is none in common", async () => {
    const { port } = await endpoint({ options: { maxVersion: "TLSv1.2" } });
    const error = await refusal(at(port, { ca, minVersion: "TLSv1.3" }), PATIENT);
    expect(error.message).toMatch(/accepts no version of TLS that is supported here/);
  });
});

describe("what is not TLS", () => {
  it("is never spoken to in plaintext, and named", async () => {
    const error = await rejectionOf(
      temporaryStore(at(server.port, { ca }), { commandTimeout: 1_000, connectTimeout: 300 }).isExecutionInProgress(
        "a",
      ),
    );
    expect(error.code).toMatch(/^ERR_REDIS_(CONNECTION|TIMEOUT)$/);
    expect(error.message).toMatch(/plaintext port/);
  });

  it("is reported at once where it answers with something else", async () => {
    const { createServer } = await import("node:net");
    const smtp = createServer((socket) =>
      socket
        .on("error", () => {})
        .resume()
        .end("220 mail.test ESMTP\r\n"),
    );
    endings.push(() => new Promise((resolve) => smtp.close(resolve)));
    await new Promise((resolve) => smtp.listen(0, HOST, resolve));
    expect((await refusal(at(smtp.address().port, { ca }), PATIENT)).message).toMatch(/does not speak TLS/);
  });
});

describe.each([
  ["TLS 1.3", {}],
  ["TLS 1.2", { maxVersion: "TLSv1.2" }],
])("a server that wants client certificates, with %s", (_, versions) => {
  let strict;

  beforeAll(async () => {
    strict = await startTlsRedis(authority, { clients: "yes" });
  });

  afterAll(() => strict?.stop());

  it("is given one", async () => {
    const { cert, key } = authority.issue({ name: "worker" });
    for (const identity of [
      { cert, key },
      { cert: [Buffer.from(cert)], key: [Buffer.from(key)] },
    ]) {
      const store = temporaryStore(at(strict.tlsPort, { ca, ...identity, ...versions }));
      const id = newId();
      await store.beginExecution(id);
      expect(await store.isExecutionInProgress(id)).toBe(true);
    }
  });

  it("refuses those who have none, which is reported at once", async () => {
    const error = await refusal(at(strict.tlsPort, { ca, ...versions }), PATIENT);
    expect(error.message).toMatch(/asked for a client certificate: give it one in `cert` and `key`/);
  });

  it("refuses one of another authority, which is reported at once", async () => {
    const { cert, key } = stranger.issue({ name: "worker" });
    const error = await refusal(at(strict.tlsPort, { ca, cert, key, ...versions }), PATIENT);
    expect(error.message).toMatch(/does not accept the client certificate/);
  });
});

describe("instances with TLS", () => {
  const tlsOptions = () => ({ ca, servername: "localhost" });

  /** How the server sees the connections of that name: each by the port it came in at. */
  async function portsOf(name) {
    const list = await admin.client("LIST");
    const lines = list.split("\n").filter((line) => line.includes(` name=${name} `));
    return lines.map((line) => Number(line.match(/ laddr=\S+:(\d+) /)[1]));
  }

  it.each(IOREDIS)("of %s give their settings to a native connection", async (_, Client) => {
    const connectionName = newId("name").replaceAll(/\W/g, "-");
    const client = new Client(server.tlsUrl, { tls: tlsOptions(), connectionName, lazyConnect: true });
    endings.push(() => client.disconnect());
    const store = temporaryStore(client, { connection: "native" });
    expect(store.backend).toBe("redis");
    await works(store);
    expect(client.status).toBe("wait");
    expect(await portsOf(connectionName)).toEqual([server.tlsPort]);
  });

  it.each(NODE_REDIS)("of %s give their settings to a native connection", async (_, create) => {
    const name = newId("name").replaceAll(/\W/g, "-");
    const client = create({ url: server.tlsUrl, name, socket: { tls: true, ...tlsOptions() } });
    const store = temporaryStore(client, { connection: "native" });
    expect(store.backend).toBe("redis");
    await works(store);
    expect(client.isOpen).toBe(false);
    expect(await portsOf(name)).toEqual([server.tlsPort]);
  });

  it("trust what NODE_EXTRA_CA_CERTS names, too", async () => {
    process.env.NODE_EXTRA_CA_CERTS = server.caFile;
    const client = new Redis(server.tlsUrl, { lazyConnect: true });
    endings.push(() => client.disconnect());
    await works(temporaryStore(client, { connection: "native" }));
  });

  it.each([
    ["rejectUnauthorized", { rejectUnauthorized: false }],
    ["checkServerIdentity", { checkServerIdentity: () => undefined }],
    ["ciphers", { ciphers: "ECDHE-RSA-AES128-GCM-SHA256" }],
    ["host", { host: "elsewhere.test" }],
  ])("keep their own methods where they need %s, or say so when told not to", (key, tls) => {
    const client = new Redis(server.tlsUrl, { tls: { ca, ...tls }, lazyConnect: true });
    endings.push(() => client.disconnect());
    expect(createRedisStore(client).backend).toBe("client");
    expect(() => createRedisStore(client, { connection: "native" })).toThrow(`\`tls.${key}\``);
  });

  it("keep their own methods where Node.js is told to verify nobody, which a configuration does not follow", async () => {
    const made = () => {
      const client = new Redis(server.tlsUrl, { tls: { ca: stranger.cert }, lazyConnect: true });
      client.on("error", () => {});
      endings.push(() => client.disconnect());
      return client;
    };
    process.env.NODE_TLS_REJECT_UNAUTHORIZED = "0";
    endings.push(() => delete process.env.NODE_TLS_REJECT_UNAUTHORIZED);
    const store = temporaryStore(made());
    expect(store.backend).toBe("client");
    await works(store);
    expect(createRedisStore(made(), { connection: "native" }).backend).toBe("redis");
    const error = await refusal(at(server.tlsPort, { ca: stranger.cert }), PATIENT);
    expect(error.message).toMatch(/not from an authority that is trusted/);
    process.env.NODE_TLS_REJECT_UNAUTHORIZED = "1";
    expect(createRedisStore(made()).backend).toBe("redis");
  });

  it.each(NODE_REDIS)("of %s do the same", (_, create) => {
    const client = create({ url: server.tlsUrl, socket: { tls: true, rejectUnauthorized: false } });
    expect(createRedisStore(client).backend).toBe("client");
    expect(() => createRedisStore(client, { connection: "native" })).toThrow("`socket.rejectUnauthorized`");
  });
});

describe("a connection in TLS", () => {
  it("is shared by stores with equal settings, and by no others", async () => {
    const { cert, key } = authority.issue({ name: "worker" });
    const connectionName = newId("name").replaceAll(/\W/g, "-");
    const open = (tls) => temporaryStore(at(server.tlsPort, tls, { connectionName }));
    const stores = [
      { ca },
      { ca: Buffer.from(ca) },
      { ca, servername: "localhost" },
      { ca, cert, key },
      { ca, cert, key },
    ];
    for (const store of stores.map(open)) await works(store);
    expect(await countConnections(admin, connectionName)).toBe(3);
  });

  it("carries the user, the password, the database and the name", async () => {
    await admin.acl("SETUSER", "worker", "on", `>${secret("pässword")}`, "~*", "+@all");
    const { tlsPort: port } = server;
    const store = temporaryStore({
      socket: { host: HOST, port, tls: true, ca },
      username: "worker",
      password: secret("pässword"),
      database: 3,
      name: "with-login",
    });
    await store.isExecutionInProgress(newId());
    expect(await admin.client("LIST")).toMatch(/name=with-login .*db=3 .*user=worker/);
  });

  it("carries values of 5 MB and many calls at once", async () => {
    const store = temporaryStore(at(server.tlsPort, { ca }));
    const id = newId();
    const large = "é".repeat(2_500_000);
    await store.commitExecutionTaskResult(id, "large", large);
    expect((await store.getExecutionTaskResult(id, "large")) === large).toBe(true);
    const tasks = Array.from({ length: 5_000 }, (_, index) => `task-${index}`);
    await Promise.all(tasks.map((task) => store.commitExecutionTaskResult(id, task, task)));
    const results = await store.getExecutionTaskResults(id);
    expect(tasks.every((task) => results[task] === task)).toBe(true);
    expect(results.large === large).toBe(true);
    await store.disposeExecution(id);
  });

  it("comes back after the server was killed, and after it has been cut", async () => {
    const own = await startTlsRedis(authority, { args: ["--appendonly", "yes", "--appendfsync", "always"] });
    endings.push(own.stop);
    const store = temporaryStore(at(own.tlsPort, { ca }), { commandTimeout: 30_000 });
    const id = newId();
    await store.beginExecution(id);
    await own.kill();
    const tasks = Array.from({ length: 100 }, (_, index) => `task-${index}`);
    const meanwhile = tasks.map((task) => store.commitExecutionTaskResult(id, task, task));
    await own.restart();
    await Promise.all(meanwhile);
    const killer = temporaryClient(own);
    expect(Number(await killer.client("KILL", "TYPE", "normal", "SKIPME", "yes"))).toBeGreaterThan(0);
    expect(Object.keys(await store.getExecutionTaskResults(id)).length).toBe(tasks.length);
    await eventually(async () => (await store.isExecutionInProgress(id)) === true);
  });
});
