// What is to be seen of a store that turned out to need the methods of the client that it was made from: the calls from before and
// after are counted together, and each is published once.
import { tracingChannel } from "node:diagnostics_channel";
import { Redis } from "ioredis";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { openCertificateFolder } from "../../tooling/servers/openssl.mjs";
import { startTlsEndpoint } from "../../tooling/servers/tls.mjs";
import { sharedRedis } from "../support/redis.mjs";
import { rejectionOf, temporaryStore } from "../support/temporary.mjs";

const { url, newId } = sharedRedis();
const calls = tracingChannel("idioteque-redis:call");

let folder;
let endpoint;
let ca;
const endings = [];

beforeAll(async () => {
  folder = openCertificateFolder();
  const { cert, key } = folder.selfSigned({ kind: "Ed448" });
  ca = cert;
  const { hostname, port } = new URL(url);
  endpoint = await startTlsEndpoint({ host: hostname, port: Number(port) }, { cert, key });
});

afterEach(() => {
  for (const end of endings.splice(0)) end();
});

afterAll(async () => {
  await endpoint?.stop();
  folder?.remove();
});

/** A store of a client whose server has a key that only OpenSSL can do. */
function openStore() {
  const client = new Redis({ host: "localhost", port: endpoint.port, family: 4, tls: { ca }, lazyConnect: true });
  client.on("error", () => {});
  endings.push(() => client.disconnect());
  return temporaryStore(client, { warnings: false });
}

it("counts each call once, whoever made it", async () => {
  const store = openStore();
  await rejectionOf(store.beginExecution(""));
  const ids = Array.from({ length: 5 }, newId);
  const begun = Promise.all(ids.map((id) => store.beginExecution(id)));
  expect(store.stats()).toMatchObject({ calls: 6, errors: 1, pending: 5 });
  await begun;
  expect(store.backend).toBe("client");
  await store.isExecutionInProgress(ids[0]);
  await rejectionOf(store.beginExecution(5));
  expect(store.stats()).toMatchObject({ backend: "client", calls: 8, errors: 2, pending: 0, pendingBytes: 0 });
});

it("publishes each call once, those that were handed over among them, with what is known of it", async () => {
  const store = openStore();
  const published = [];
  const note = (name) => (context) => published.push([name, { ...context }]);
  const handlers = { start: note("start"), asyncEnd: note("asyncEnd") };
  calls.subscribe(handlers);
  endings.push(() => calls.unsubscribe(handlers));
  const [handedOver, carried] = [newId(), newId()];
  await store.beginExecution(handedOver);
  await store.disposeExecution(handedOver);
  await store.beginExecution(carried);
  expect(published.map(([name, { call }]) => `${name} ${call}`)).toEqual([
    ...["start beginExecution", "asyncEnd beginExecution"],
    ...["start disposeExecution", "asyncEnd disposeExecution"],
    ...["start beginExecution", "asyncEnd beginExecution"],
  ]);
  const ended = published.filter(([name]) => name === "asyncEnd").map(([, context]) => context);
  // The client does not tell how often it sent a call: an error of it may quote the command.
  expect(ended.map(({ attempts }) => attempts)).toEqual([undefined, undefined, undefined]);
  expect(ended.map(({ backend, command }) => `${backend} ${command}`)).toEqual([
    "redis SET",
    "client PIPELINE DEL",
    "client SET",
  ]);
});
