/**
 * What a server may present, compared with what Node.js makes of it: whatever ioredis takes works, over a connection of the
 * store's own or, where it was made from a client, over that client's methods; and nothing is taken that ioredis refuses. The
 * rows are those of the table in docs/tls.md.
 */
import { writeFileSync } from "node:fs";
import { Redis } from "ioredis";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { createAuthority } from "../../tooling/servers/certificates.mjs";
import { openCertificateFolder } from "../../tooling/servers/openssl.mjs";
import { startTlsEndpoint, startTlsRedis } from "../../tooling/servers/tls.mjs";
import { sharedRedis } from "../support/redis.mjs";
import { outcomeOf, temporaryClient, temporaryStore } from "../support/temporary.mjs";

const { newId } = sharedRedis();
const DAY_MS = 86_400_000;
const ago = (days) => new Date(Date.now() - days * DAY_MS);
/** Node.js wants keys of 112 bits of security since version 24, as OpenSSL's level 2 does. */
const TAKES_WEAK_KEYS = Number(process.versions.node.split(".")[0]) < 24;
/** The rows whose keys Debian's openssl does not let a server have. */
const WEAK = { ciphers: "DEFAULT@SECLEVEL=0" };

let server;
let admin;
let folder;
const endings = [];

beforeAll(async () => {
  folder = openCertificateFolder();
  server = await startTlsRedis(createAuthority());
  admin = temporaryClient(server);
});

afterEach(async () => {
  for (const end of endings.splice(0).reverse()) await end();
});

afterAll(async () => {
  await server?.stop();
  folder?.remove();
});

/**
 * Lets the server present a certificate and its chain, and returns the port.
 *
 * @param {{ cert: string, key: string }} identity
 * @param {object} [endpoint] options of an endpoint of Node's in its place, for what Redis does not do
 */
async function present({ cert, key }, endpoint) {
  if (endpoint !== undefined) {
    const started = await startTlsEndpoint(server, { cert, key, ...endpoint });
    endings.push(started.stop);
    return started.port;
  }
  writeFileSync(server.certFile, cert);
  writeFileSync(server.keyFile, key);
  // Reads both again. Before 7.0 a server takes one setting at a time, and a certificate only with its key.
  await admin.config("SET", "tls-cert-file", server.certFile);
  return server.tlsPort;
}

/** An ioredis client that gives up at the first failure. */
function client(port, { host, ...tls }) {
  const options = { host, port, family: 4, tls, lazyConnect: true, retryStrategy: () => null, maxRetriesPerRequest: 0 };
  const made = new Redis(options);
  made.on("error", () => {});
  endings.push(() => made.disconnect());
  return made;
}

async function use(store) {
  const id = newId();
  await store.commitExecutionTaskResult(id, "task", { ä: [1, null] });
  const result = await store.getExecutionTaskResult(id, "task");
  await store.disposeExecution(id);
  return result;
}

/** Makes a store on the server and says how it fared. */
async function fate(...redisAndOptions) {
  const store = temporaryStore(...redisAndOptions);
  const { value, error } = await outcomeOf(use(store));
  if (error === undefined) expect(value).toEqual({ ä: [1, null] });
  return { error, backend: store.backend };
}

async function check({ made, is, says, endpoint, tls = {} }) {
  const { ca, ...identity } = made();
  const port = await present(identity, endpoint);
  const settings = { host: "localhost", ca, ...tls };
  const quiet = { warnings: false, commandTimeout: 5_000 };

  const byNode = await outcomeOf(client(port, settings).get("key"));
  expect(byNode.error === undefined, `Node.js: ${byNode.error}`).toBe(is !== "refused");

  const { host, ...ofTls } = settings;
  const own = await fate({ host, port, family: 4, tls: ofTls }, quiet);
  expect(own.error === undefined, `natively: ${own.error}`).toBe(is === "native");
  if (own.error !== undefined) {
    expect(own.error.code).toBe("ERR_REDIS_CONNECTION");
    expect(own.error.message).toMatch(says);
    expect(own.error.message).not.toMatch(/client certificate/);
  }

  const live = await fate(client(port, settings), quiet);
  expect(live.error === undefined, `with a client: ${live.error}`).toBe(is !== "refused");
  if (live.error === undefined) expect(live.backend).toBe(is === "native" ? "redis" : "client");

  // Nothing is fallen back on where a native connection was asked for.
  const native = await fate(client(port, settings), { ...quiet, connection: "native" });
  expect(native.error === undefined).toBe(is === "native");
}

const NATIVE = { is: "native" };
const BEYOND = {
  is: "client",
  says: /has a key or a signature that a native connection cannot verify .* or pass a client/,
};
const NOTHING_IN_COMMON = { is: "client", says: /no cipher suite, key exchange or kind of key .* or pass a client/ };
const NOT_TRUSTED = { is: "refused", says: /not from an authority that is trusted/ };
const OTHER_NAME = { is: "refused", says: /is for another name/ };
const EXPIRED = { is: "refused", says: /has expired/ };

const AUTHORITY = ["basicConstraints=critical,CA:TRUE"];
const LEAF = "basicConstraints=CA:FALSE";
const LOCALHOST = "subjectAltName=DNS:localhost";

/** A server's certificate that its authority has issued. */
const issued = (ofLeaf, ofAuthority) => () => {
  const authority = folder.authority(ofAuthority);
  return { ca: authority.cert, ...folder.issue(authority, ofLeaf) };
};

/** A server's certificate that is its own authority. */
const own = (wanted) => () => {
  const made = folder.selfSigned(wanted);
  return { ca: made.cert, ...made };
};

/** A server's certificate with chains of intermediate authorities; `arrange` says who presents and trusts what. */
const chained = (arrange) => () => {
  const root = folder.authority();
  const upper = folder.issue(root, { name: "upper", extensions: AUTHORITY });
  const lower = folder.issue(upper, { name: "lower", extensions: AUTHORITY });
  const leaf = folder.issue(lower);
  return { key: leaf.key, ca: root.cert, ...arrange({ root, upper, lower, leaf }) };
};

const certs = (...made) => made.map(({ cert }) => cert).join("");

describe("a key", () => {
  it.each([
    ["RSA 2048", NATIVE],
    ["RSA 4096", NATIVE],
    ["P-256", NATIVE],
    ["P-384", NATIVE],
    ["P-521", NATIVE],
    ["Ed25519", NATIVE],
    ["RSA 1024", { ...BEYOND, is: TAKES_WEAK_KEYS ? "client" : "refused", endpoint: WEAK }],
    ["RSA-PSS", NOTHING_IN_COMMON],
    ["Ed448", NOTHING_IN_COMMON],
  ])("of a server may be %s", (kind, row) => check({ made: issued({ kind }), ...row }));

  it.each([
    ["RSA 2048", NATIVE],
    ["P-256", NATIVE],
    ["P-384", NATIVE],
    ["P-521", NATIVE],
    ["Ed25519", NATIVE],
    ["RSA-PSS", BEYOND],
    ["Ed448", BEYOND],
    ["secp256k1", BEYOND],
  ])("of an authority may be %s", (kind, row) => check({ made: issued({}, { kind }), ...row }));
});

describe("a signature", () => {
  it.each([
    ["RSA 2048", "sha256", NATIVE],
    ["RSA 2048", "sha384", NATIVE],
    ["RSA 2048", "sha512", NATIVE],
    ["RSA 2048", "sha224", BEYOND],
    ["P-256", "sha384", NATIVE],
    ["P-384", "sha256", NATIVE],
    ["P-256", "sha512", NATIVE],
    ["P-384", "sha512", NATIVE],
    ["P-521", "sha256", NATIVE],
    ["P-521", "sha384", NATIVE],
    ["P-521", "sha512", NATIVE],
    ["RSA 2048", "sha1", { is: "refused", says: /cannot verify/, endpoint: WEAK }],
    ["P-256", "sha1", { is: "refused", says: /cannot verify/, endpoint: WEAK }],
  ])("may be of %s with %s", (kind, digest, row) => check({ made: issued({ digest }, { kind }), ...row }));
});

describe("a self-signed certificate given as its own authority", () => {
  it.each([
    ["is taken, as openssl req -x509 makes it", { made: own(), ...NATIVE }],
    ["is taken without CA", { made: own({ extensions: [LEAF, LOCALHOST] }), ...NATIVE }],
    ["is taken with RSA", { made: own({ kind: "RSA 2048" }), ...NATIVE }],
    ["is taken with P-521", { made: own({ kind: "P-521" }), ...NATIVE }],
    ["is taken with a common name alone", { made: own({ name: "localhost", extensions: AUTHORITY }), ...NATIVE }],
    ["is the client's affair with Ed448", { made: own({ kind: "Ed448" }), ...NOTHING_IN_COMMON }],
    [
      "is refused for another name",
      { made: own({ extensions: [...AUTHORITY, "subjectAltName=DNS:other.test"] }), ...OTHER_NAME },
    ],
    [
      "is refused for clients",
      {
        made: own({ extensions: [LOCALHOST, "extendedKeyUsage=clientAuth"] }),
        is: "refused",
        says: /not meant for servers/,
      },
    ],
    [
      "is refused for certificates only",
      {
        made: own({ extensions: [...AUTHORITY, LOCALHOST, "keyUsage=critical,keyCertSign"] }),
        is: "refused",
        says: /not meant for servers/,
      },
    ],
    ["is refused once it has expired", { made: () => expired(), ...EXPIRED }],
    [
      "is refused if it only looks the same",
      {
        made: () => ({ ...own()(), ca: folder.selfSigned().cert }),
        is: "refused",
        says: /authority itself: if it is self-signed/,
      },
    ],
  ])("%s", (_, row) => check(row));

  const expired = () => {
    const made = createAuthority("expired", { names: ["localhost"], notBefore: ago(2), notAfter: ago(1) });
    return { ca: made.cert, cert: made.cert, key: made.key };
  };
});

describe("a name", () => {
  it.each([
    ["may be an IP address", { made: issued(), tls: { host: "127.0.0.1" }, ...NATIVE }],
    [
      "is no IP address written as a host",
      { made: issued({ extensions: ["subjectAltName=DNS:127.0.0.1"] }), tls: { host: "127.0.0.1" }, ...OTHER_NAME },
    ],
    [
      "is no IP address in the common name",
      { made: issued({ name: "127.0.0.1", extensions: [LEAF] }), tls: { host: "127.0.0.1" }, ...OTHER_NAME },
    ],
    [
      "may be the common name where there is no other",
      { made: issued({ name: "localhost", extensions: [LEAF] }), ...NATIVE },
    ],
    [
      "may be the common name beside IP addresses",
      { made: issued({ name: "localhost", extensions: ["subjectAltName=IP:127.0.0.1"] }), ...NATIVE },
    ],
    [
      "is not the common name where there are others",
      { made: issued({ name: "localhost", extensions: ["subjectAltName=DNS:other.test"] }), ...OTHER_NAME },
    ],
    ["is not another common name", { made: issued({ name: "other.test", extensions: [LEAF] }), ...OTHER_NAME }],
    [
      "may have a wildcard",
      {
        made: issued({ extensions: ["subjectAltName=DNS:*.redis.test"] }),
        tls: { servername: "a.redis.test" },
        ...NATIVE,
      },
    ],
    [
      "may have a wildcard in the common name",
      { made: issued({ name: "*.redis.test", extensions: [LEAF] }), tls: { servername: "a.redis.test" }, ...NATIVE },
    ],
    [
      "is not below a wildcard twice",
      {
        made: issued({ extensions: ["subjectAltName=DNS:*.redis.test"] }),
        tls: { servername: "a.b.redis.test" },
        ...OTHER_NAME,
      },
    ],
    [
      "is the client's affair with part of a wildcard",
      {
        made: issued({ extensions: ["subjectAltName=DNS:a*.redis.test"] }),
        tls: { servername: "ab.redis.test" },
        is: "client",
        says: /another name/,
      },
    ],
    [
      "has to keep to what its authority may name",
      {
        made: issued(
          { extensions: [LOCALHOST] },
          { extensions: [...AUTHORITY, "nameConstraints=permitted;DNS:other.test"] },
        ),
        is: "refused",
        says: /cannot be accepted/,
      },
    ],
    [
      "in the common name has to keep to it as well",
      {
        made: issued(
          { name: "redis.test", extensions: [LEAF] },
          { extensions: [...AUTHORITY, "nameConstraints=permitted;DNS:other.test"] },
        ),
        tls: { servername: "redis.test" },
        is: "refused",
        says: /another name|cannot be accepted/,
      },
    ],
  ])("%s", (_, row) => check(row));
});

describe("a server's certificate", () => {
  it.each([
    ["of version 1 is taken", { made: issued({ name: "localhost", extensions: null }), ...NATIVE }],
    [
      "of version 1 is taken with RSA",
      { made: issued({ name: "localhost", extensions: null, kind: "RSA 2048" }, { kind: "RSA 2048" }), ...NATIVE },
    ],
    [
      "of version 1 is taken with TLS 1.2",
      { made: issued({ name: "localhost", extensions: null }), endpoint: { maxVersion: "TLSv1.2" }, ...NATIVE },
    ],
    [
      "of version 1 is refused for another name",
      { made: issued({ name: "other.test", extensions: null }), ...OTHER_NAME },
    ],
    [
      "of version 1 is refused for an IP address",
      { made: issued({ name: "127.0.0.1", extensions: null }), tls: { host: "127.0.0.1" }, ...OTHER_NAME },
    ],
    [
      "of version 1 is refused from a stranger",
      {
        made: () => ({ ...issued({ name: "localhost", extensions: null })(), ca: folder.authority().cert }),
        ...NOT_TRUSTED,
      },
    ],
    [
      "of version 1 is refused from a stranger of the same name",
      { made: () => stolenName(), is: "refused", says: /cannot verify/ },
    ],
    [
      "of version 1 is the client's affair below an intermediate authority",
      { made: () => belowIntermediate(), is: "client", says: /not from an authority|version 1/ },
    ],
    [
      "of an authority is the client's affair",
      { made: issued({ extensions: [...AUTHORITY, LOCALHOST] }), is: "client", says: /authority itself/ },
    ],
    [
      "for clients is refused",
      {
        made: issued({ extensions: ["extendedKeyUsage=clientAuth", LOCALHOST] }),
        is: "refused",
        says: /not meant for servers/,
      },
    ],
    [
      "for both is taken",
      { made: issued({ extensions: ["extendedKeyUsage=serverAuth,clientAuth", LOCALHOST] }), ...NATIVE },
    ],
    [
      "with something unknown that is critical is refused",
      {
        made: issued({ extensions: ["1.2.3.4.5=critical,ASN1:UTF8String:x", LOCALHOST] }),
        is: "refused",
        says: /cannot be accepted/,
      },
    ],
    [
      "that has expired is refused",
      { made: () => ofAuthority(createAuthority(), { notBefore: ago(2), notAfter: ago(1) }), ...EXPIRED },
    ],
    [
      "that is not valid yet is refused",
      {
        made: () => ofAuthority(createAuthority(), { notBefore: ago(-1), notAfter: ago(-2) }),
        is: "refused",
        says: /not valid yet/,
      },
    ],
  ])("%s", (_, row) => check(row));

  const stolenName = () => {
    const leaf = folder.issue(folder.authority({ name: "same" }), { name: "localhost", extensions: null });
    return { ...leaf, ca: folder.authority({ name: "same" }).cert };
  };

  const belowIntermediate = () => {
    const root = folder.authority();
    const middle = folder.issue(root, { name: "middle", extensions: AUTHORITY });
    const leaf = folder.issue(middle, { name: "localhost", extensions: null });
    return { key: leaf.key, cert: certs(leaf, middle), ca: root.cert };
  };

  const ofAuthority = (authority, wanted) => ({
    ca: authority.cert,
    ...authority.issue({ names: ["localhost"], ...wanted }),
  });

  it("of an authority that has expired is refused", async () => {
    const expired = createAuthority("expired", { notBefore: ago(2), notAfter: ago(1) });
    await check({ made: () => ofAuthority(expired), ...EXPIRED });
  });
});

describe("what is given as an authority", () => {
  it.each([
    ["has to be one", { made: issued({}, { extensions: [LEAF] }), ...NOT_TRUSTED }],
    ["has to say so", { made: issued({}, { extensions: ["subjectKeyIdentifier=hash"] }), ...NOT_TRUSTED }],
    [
      "has to be for certificates",
      { made: issued({}, { extensions: ["basicConstraints=CA:TRUE", "keyUsage=digitalSignature"] }), ...NOT_TRUSTED },
    ],
    [
      "must have nothing critical that is unknown",
      {
        made: issued({}, { extensions: ["basicConstraints=CA:TRUE", "1.2.3.4.5=critical,ASN1:UTF8String:x"] }),
        ...NOT_TRUSTED,
      },
    ],
    ["may keep intermediates out", { made: () => withoutIntermediates(), is: "refused", says: /cannot be accepted/ }],
  ])("%s", (_, row) => check(row));

  const withoutIntermediates = () => {
    const root = folder.authority({ extensions: ["basicConstraints=critical,CA:TRUE,pathlen:0"] });
    const middle = folder.issue(root, { name: "middle", extensions: AUTHORITY });
    const leaf = folder.issue(middle);
    return { ca: root.cert, key: leaf.key, cert: certs(leaf, middle) };
  };
});

describe("a chain", () => {
  it.each([
    ["may be in order", ({ upper, lower, leaf }) => ({ cert: certs(leaf, lower, upper) }), NATIVE],
    ["may be out of order", ({ upper, lower, leaf }) => ({ cert: certs(leaf, upper, lower) }), NATIVE],
    ["may have the root in it", ({ root, upper, lower, leaf }) => ({ cert: certs(leaf, lower, upper, root) }), NATIVE],
    [
      "may have a stranger in it",
      ({ upper, lower, leaf }) => ({ cert: certs(leaf, folder.authority(), lower, upper) }),
      NATIVE,
    ],
    [
      "may be completed by what is given in ca",
      ({ root, upper, lower, leaf }) => ({ cert: leaf.cert, ca: certs(upper, root, lower) }),
      NATIVE,
    ],
    ["may not have gaps", ({ upper, leaf }) => ({ cert: certs(leaf, upper) }), NOT_TRUSTED],
  ])("%s", (_, arrange, row) => check({ made: chained(arrange), ...row }));

  it("may not go through what is no authority", async () => {
    const made = () => {
      const root = folder.authority();
      const middle = folder.issue(root, { name: "middle", extensions: [LEAF] });
      const leaf = folder.issue(middle);
      return { ca: root.cert, key: leaf.key, cert: certs(leaf, middle) };
    };
    await check({ made, is: "refused", says: /cannot be accepted/ });
  });

  it("does not end at an intermediate authority, unless allowPartialTrustChain says so", async () => {
    const { ca, ...identity } = chained(({ upper, lower, leaf }) => ({ cert: certs(leaf, lower), ca: upper.cert }))();
    const port = await present(identity);
    const byNode = await outcomeOf(client(port, { host: "localhost", ca }).get("key"));
    expect(byNode.error).toBeInstanceOf(Error);
    const open = (tls) => fate({ host: "localhost", port, family: 4, tls });
    await expect(open({ ca })).rejects.toThrow(/no certificate that could be an authority: .*allowPartialTrustChain/);
    expect((await open({ ca, allowPartialTrustChain: true })).error).toBe(undefined);
    const stranger = folder.authority().cert;
    expect((await open({ ca: [ca, stranger] })).error.message).toMatch(NOT_TRUSTED.says);
  });
});

describe("a cipher suite of TLS 1.2", () => {
  const suite = (ciphers, kind, row) => ({
    made: issued({ kind }),
    endpoint: { ciphers, maxVersion: "TLSv1.2", dhparam: "auto" },
    ...row,
  });

  it.each([
    ["ECDHE-ECDSA-AES128-GCM-SHA256", "P-256", NATIVE],
    ["ECDHE-ECDSA-AES256-GCM-SHA384", "P-384", NATIVE],
    ["ECDHE-ECDSA-CHACHA20-POLY1305", "Ed25519", NATIVE],
    ["ECDHE-RSA-AES128-GCM-SHA256", "RSA 2048", NATIVE],
    ["ECDHE-RSA-CHACHA20-POLY1305", "RSA 2048", NATIVE],
    ["ECDHE-ECDSA-AES128-GCM-SHA256", "P-521", NOTHING_IN_COMMON],
    ["ECDHE-ECDSA-AES256-SHA384", "P-256", NOTHING_IN_COMMON],
    ["ECDHE-RSA-AES128-SHA256", "RSA 2048", NOTHING_IN_COMMON],
    ["DHE-RSA-AES128-GCM-SHA256", "RSA 2048", NOTHING_IN_COMMON],
    ["AES128-GCM-SHA256", "RSA 2048", NOTHING_IN_COMMON],
    ["AES128-SHA", "RSA 2048", NOTHING_IN_COMMON],
  ])("may be %s with a key of %s", (ciphers, kind, row) => check(suite(ciphers, kind, row)));

  it.each([
    ["X25519", NATIVE],
    ["P-256", NATIVE],
    ["P-384", NATIVE],
    ["P-521", NOTHING_IN_COMMON],
    ["X448", NOTHING_IN_COMMON],
  ])("or of TLS 1.3 may agree on keys with %s", (ecdhCurve, row) =>
    check({ made: issued(), endpoint: { ecdhCurve }, ...row }),
  );
});

describe("a store whose client has to carry its calls", () => {
  it("warns once for each server, also of calls that were made at once", async () => {
    const { ca, ...identity } = issued({ kind: "Ed448" })();
    const port = await present(identity);
    const warnings = [];
    const note = (warning) => warnings.push(warning);
    process.on("warning", note);
    endings.push(() => process.off("warning", note));
    const stores = [1, 2].map(() => temporaryStore(client(port, { host: "localhost", ca })));
    const id = newId();
    await stores[0].beginExecution(id);
    for (const store of stores) {
      const tasks = Array.from({ length: 100 }, (_, index) => `task-${index}`);
      await Promise.all(tasks.map((task) => store.commitExecutionTaskResult(id, task, task)));
      expect(Object.keys(await store.getExecutionTaskResults(id)).sort()).toEqual(tasks.sort());
      expect(store.backend).toBe("client");
      await store.close();
      await expect(store.isExecutionInProgress(id)).rejects.toMatchObject({ code: "ERR_REDIS_CLOSED" });
    }
    const told = warnings.filter(({ code }) => code === "IDIOTEQUE_REDIS_CLIENT");
    expect(told).toHaveLength(1);
    expect(told[0].message).toMatch(new RegExp(`impossible: localhost:${port} has no cipher suite`));
  });

  it("settles calls that were made before that was known, in their order, and a close among them", async () => {
    const { ca, ...identity } = issued({ kind: "Ed448" })();
    const port = await present(identity);
    const store = temporaryStore(client(port, { host: "localhost", ca }), { warnings: false });
    const id = newId();
    const values = Array.from({ length: 50 }, (_, index) => index);
    await Promise.all(values.map((value) => store.commitExecutionTaskResult(id, "task", value)));
    expect(await store.getExecutionTaskResult(id, "task")).toBe(values.at(-1));
    await store.disposeExecution(id);
    const late = temporaryStore(client(port, { host: "localhost", ca }), { warnings: false });
    const pending = outcomeOf(late.isExecutionInProgress(id));
    await late.close();
    expect((await pending).error?.code ?? "none").toMatch(/^(ERR_REDIS_CONNECTION|none)$/);
  });
});
