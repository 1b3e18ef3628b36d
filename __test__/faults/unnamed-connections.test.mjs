// A new connection has no name (`CLIENT INFO`) while its server refuses everything for the moment. A write over a connection
// without a name could not be fenced off when its bytes arrive late; so it waits for the name, unless there is none to be had.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createAuthority } from "../../tooling/servers/certificates.mjs";
import { NAMES, startTlsEndpoint } from "../../tooling/servers/tls.mjs";
import { startFakeRedis } from "../support/fake-redis.mjs";
import { refusedWith } from "../support/proxy.mjs";
import { eventually, privateRedis } from "../support/redis.mjs";
import { outcomeOf, rejectionOf, temporaryClient, temporaryProxy, temporaryStore } from "../support/temporary.mjs";
import { startCluster } from "../support/topologies.mjs";

const commandTimeout = 30_000;
const host = "127.0.0.1";
const REFUSALS = [
  "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.",
  "LOADING Redis is loading the dataset in memory",
  "NOAUTH Authentication required.",
];
const TIMES = 2;

const endings = [];
afterAll(async () => {
  for (const end of endings.splice(0).reverse()) await end();
});

let ids = 0;
const newId = () => `run-${++ids}`;
const at = ({ port }) => ({ host, port });

let server;
let cluster;
beforeAll(async () => {
  server = await privateRedis();
  cluster = await startCluster();
  endings.push(cluster.stop);
});

/**
 * Has the server refuse a command for the first few times, and stops the path of the first write to an execution just
 * before the write.
 *
 * @param {import("../support/proxy.mjs").Proxy} proxy
 * @param {string} id
 * @param {string} words the beginning of the command
 * @param {(asked: number) => string | undefined} refusal how it is refused, by how often it was asked for before
 */
function meddle(proxy, id, words, refusal) {
  const seen = { asked: 0, stalled: undefined };
  proxy.translate = (command, connection) => {
    if (command.join(" ").toUpperCase().startsWith(words)) {
      const error = refusal(seen.asked++);
      if (error !== undefined) return refusedWith(error);
    }
    if (command[0] === "SET" && command[1] === id && seen.stalled === undefined) {
      seen.stalled = connection;
      connection.hold("toServer");
    }
  };
  return seen;
}

const firstTimes = (error) => (asked) => (asked < TIMES ? error : undefined);

/** Makes a call again for as long as the server requires a login, which is reported at once. */
async function insist(call) {
  for (;;) {
    const { error } = await outcomeOf(call());
    if (error === undefined) return;
    if (error.reply !== "NOAUTH") throw error;
  }
}

/** Begins an execution over a path that stalls, disposes of it over another one, and then lets the first bytes arrive. */
async function disposeAheadOfStalled(store, id, seen, admin) {
  const begun = insist(() => store.beginExecution(id));
  const { stalled } = await eventually(() => seen.stalled && seen, { message: "the write at the proxy" });
  expect(await admin.exists(id)).toBe(0);
  stalled.cutClient();
  await begun;
  expect(await admin.exists(id)).toBe(1);
  await insist(() => store.disposeExecution(id));
  stalled.release("toServer");
  await stalled.endServer();
  expect(await admin.exists(id)).toBe(0);
}

/** Ways to a server behind a proxy, which are given that proxy. */
const WAYS = {
  "one server": at,
  "one server that is logged in to": (proxy) => ({ ...at(proxy), username: "default", password: "any" }),
  async "one server behind TLS"(proxy) {
    const authority = createAuthority();
    const endpoint = await startTlsEndpoint(proxy, authority.issue({ names: NAMES }));
    endings.push(endpoint.stop);
    return { ...at(endpoint), tls: { ca: authority.cert } };
  },
  async "the primary that sentinels lead to"(proxy) {
    const text = (words) => `$${words.length}\r\n${words}\r\n`;
    const primary = `*2\r\n${text(host)}${text(String(proxy.port))}`;
    const sentinel = await startFakeRedis(({ command: [, name] }) => (/^GET/i.test(name) ? primary : "*0\r\n"));
    endings.push(sentinel.stop);
    return { sentinels: [at(sentinel)], name: "main" };
  },
  async "a server of a cluster"(proxy) {
    await temporaryClient(cluster).config("SET", "cluster-announce-port", proxy.port);
    return [at(proxy)];
  },
};
const behind = (name) => (name === "a server of a cluster" ? cluster : server);

describe("a write that was stalled on a connection whose name was refused at first, and was disposed of since", () => {
  describe.each(REFUSALS)("with %s", (error) => {
    it.each(Object.entries(WAYS))("does not come back: %s", async (name, open) => {
      const id = newId();
      const proxy = await temporaryProxy(behind(name));
      const seen = meddle(proxy, id, "CLIENT INFO", firstTimes(error));
      const store = temporaryStore(await open(proxy), { commandTimeout });
      await disposeAheadOfStalled(store, id, seen, temporaryClient(behind(name)));
      expect(seen.asked).toBeGreaterThan(TIMES);
    });
  });

  it("does not come back: the server was busy with a script", async () => {
    const busy = await privateRedis({ args: ["--lua-time-limit", "10"] });
    const admin = temporaryClient(busy);
    const proxy = await temporaryProxy(busy);
    proxy.holdNew("toClient");
    const script = rejectionOf(temporaryClient(busy).eval("while true do end", 0));
    await eventually(async () => (await rejectionOf(admin.ping())).message.startsWith("BUSY"));
    const id = newId();
    const seen = meddle(proxy, id, "CLIENT INFO", () => undefined);
    const store = temporaryStore(at(proxy), { commandTimeout });
    const read = store.isExecutionInProgress(id);
    await eventually(() => proxy.connections[0]?.held("toClient").includes("-BUSY"), { message: "a refusal" });
    proxy.holdNew();
    proxy.connections[0].release("toClient");
    await admin.script("KILL");
    await script;
    expect(await read).toBe(false);
    await disposeAheadOfStalled(store, id, seen, admin);
  });

  it("does not come back: the server required a password for a moment", async () => {
    const locked = await privateRedis();
    const admin = temporaryClient(locked);
    await admin.config("SET", "requirepass", "for a moment");
    const id = newId();
    const proxy = await temporaryProxy(locked);
    const seen = meddle(proxy, id, "CLIENT INFO", () => undefined);
    const store = temporaryStore(at(proxy), { commandTimeout });
    expect(await rejectionOf(store.isExecutionInProgress(id))).toMatchObject({ reply: "NOAUTH" });
    await admin.config("SET", "requirepass", "");
    await disposeAheadOfStalled(store, id, seen, admin);
  });
});

describe("the fence against a write that comes back", () => {
  describe.each(REFUSALS)("is put up all the same when it is refused at first with %s", (error) => {
    it.each(Object.entries(WAYS))("%s", async (name, open) => {
      const id = newId();
      const proxy = await temporaryProxy(behind(name));
      const seen = meddle(proxy, id, "CLIENT KILL", firstTimes(error));
      const store = temporaryStore(await open(proxy), { commandTimeout });
      await disposeAheadOfStalled(store, id, seen, temporaryClient(behind(name)));
      expect(seen.asked).toBeGreaterThan(TIMES);
    });
  });
});

describe("a server that has no name for a connection", () => {
  const AT_ONCE_MS = 1000;

  it.each([
    "ERR unknown subcommand or wrong number of arguments for 'INFO'. Try CLIENT HELP.",
    "ERR unknown command 'CLIENT', with args beginning with: 'INFO' ",
    "ERR unsupported command",
    "NOPERM this user has no permissions to run the 'client|info' command",
  ])("has writes done at once, on the first connection and on the next: %s", async (error) => {
    for (const [name, open] of Object.entries(WAYS)) {
      const id = newId();
      const proxy = await temporaryProxy(behind(name));
      const seen = meddle(proxy, "none", "CLIENT", () => error);
      const store = temporaryStore(await open(proxy), { commandTimeout });
      for (const result of ["first", "second"]) {
        const made = performance.now();
        await store.commitExecutionTaskResult(id, "task", result);
        expect(performance.now() - made, name).toBeLessThan(AT_ONCE_MS);
        expect(seen.asked).toBeGreaterThan(0);
        for (const connection of proxy.connections) connection.cut();
      }
      expect(await store.getExecutionTaskResult(id, "task")).toBe("second");
    }
  });
});

describe("a server that refuses everything until the deadline", () => {
  it("is named in the error of a write that waits for the id of its connection", async () => {
    const busy = await privateRedis({ args: ["--lua-time-limit", "10"] });
    const admin = temporaryClient(busy);
    const script = rejectionOf(temporaryClient(busy).eval("while true do end", 0));
    await eventually(async () => (await rejectionOf(admin.ping())).message.startsWith("BUSY"));
    const store = temporaryStore(at(busy), { commandTimeout: 700 });
    const id = newId();
    const error = await rejectionOf(store.beginExecution(id));
    expect(error).toMatchObject({ code: "ERR_REDIS_REPLY", reply: "BUSY", executionId: id });
    await admin.script("KILL");
    await script;
    await store.beginExecution(id);
  });
});
