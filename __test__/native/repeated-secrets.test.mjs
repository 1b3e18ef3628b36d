// Servers that repeat in an error what they were sent: Redis does so with an unknown command. No password, user
// name, token or result comes back out of a store that way, and its error still says what was refused.
import { Redis as Upstash } from "@upstash/redis";
import { Cluster, Redis } from "ioredis";
import { Redis as Redis5 } from "ioredis-5";
import { createClient } from "redis";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { everythingOf, SECRET_MARK, secret } from "../../tooling/secrets.mjs";
import { startMasters } from "../../tooling/servers/cluster.mjs";
import { startRestEndpoint } from "../../tooling/servers/rest-endpoint.mjs";
import { startFakeRedis } from "../support/fake-redis.mjs";
import { privateRedis } from "../support/redis.mjs";
import { rejectionOf, temporaryStore } from "../support/temporary.mjs";

// A call that waits for its deadline runs into that of its test: what settles, was settled at once.
const commandTimeout = 30_000;
const host = "127.0.0.1";

const endings = [];
afterAll(async () => {
  for (const end of endings.splice(0).reverse()) await end();
});

async function startFake(answer) {
  const fake = await startFakeRedis(answer);
  endings.push(fake.stop);
  return fake;
}

function expectNoSecret(error) {
  const shown = everythingOf(error);
  expect(shown.includes(SECRET_MARK), shown.slice(0, 2000)).toBe(false);
}

/** What a call was rejected with, which shows nothing of what the store was given to keep to itself. */
async function refusal(call) {
  const error = await rejectionOf(call);
  expectNoSecret(error);
  expect(error).toMatchObject({ name: "RedisStoreError", code: "ERR_REDIS_REPLY" });
  return error;
}

describe("a login that the server repeats when it refuses it", { timeout: 15_000 }, () => {
  const servers = {};
  /** A cluster and a sentinel, which let everybody in and name the server at `port`. */
  let port;
  let cluster;
  let sentinel;

  beforeAll(async () => {
    const hidden = ["--rename-command", "AUTH", ""];
    servers["a server without AUTH"] = await privateRedis({ args: [...hidden, "--requirepass", secret("right")] });
    const refusing = (words) =>
      startFake(({ command }) =>
        command[0] === "AUTH"
          ? `-${words(command).replace(/[\r\n]/g, " ")}\r\n`
          : "-NOAUTH Authentication required.\r\n",
      );
    servers["a server that repeats all of it"] = await refusing((command) => `ERR no such thing: ${command.join(" ")}`);
    servers["a server that quotes the password"] = await refusing((command) => `WRONGPASS not "${command.at(-1)}"`);
    servers["a server that begins with the password"] = await refusing((command) => `${command.at(-1)} is wrong`);
    const address = () => `$${host.length}\r\n${host}\r\n`;
    cluster = await startFake(({ command }) => {
      if (command[0] !== "CLUSTER") return "+OK\r\n";
      if (!/^SLOTS$/i.test(command[1])) return "-ERR unknown subcommand\r\n";
      return `*1\r\n*3\r\n:0\r\n:16383\r\n*2\r\n${address()}:${port}\r\n`;
    });
    sentinel = await startFake(({ command: [, name] }) => {
      if (!/^GET-MASTER/i.test(name)) return "*0\r\n";
      return `*2\r\n${address()}$${String(port).length}\r\n${port}\r\n`;
    });
  });

  const LOGINS = [
    { username: secret("user"), password: secret("password") },
    { password: secret("password") },
    // Redis quotes 128 characters and no more.
    { username: secret("user"), password: secret("password").repeat(20) },
    { password: secret("password").repeat(20) },
    { username: secret("user").repeat(20), password: secret("password").repeat(20) },
    // A line of the protocol cannot hold it as it is.
    { username: secret("user"), password: `${SECRET_MARK}\r\n${SECRET_MARK}` },
  ];

  const inUrl = ({ username = "", password }) => `${encodeURIComponent(username)}:${encodeURIComponent(password)}`;
  const lazy = { lazyConnect: true, retryStrategy: null };

  it.each([
    ["in a URL", (login) => `redis://${inUrl(login)}@${host}:${port}`],
    ["in an ioredis-style configuration", (login) => ({ host, port, ...login })],
    ["in a node-redis-style configuration", (login) => ({ socket: { host, port }, ...login })],
    ["of an ioredis 6 instance", (login) => new Redis({ host, port, ...login, ...lazy })],
    ["of an ioredis 5 instance", (login) => new Redis5({ host, port, ...login, ...lazy })],
    ["of a node-redis 6 client", (login) => createClient({ socket: { host, port }, ...login })],
    [
      "for the sentinels",
      ({ username, password }) => ({
        sentinels: [{ host, port }],
        name: "main",
        ...(username && { sentinelUsername: username }),
        sentinelPassword: password,
      }),
    ],
    ["for the primary", (login) => ({ sentinels: [{ host, port: sentinel.port }], name: "main", ...login })],
    ["for the start-up nodes of a cluster", (login) => [{ host, port, ...login }]],
    ["for another server of the cluster", (login) => [{ host, port: cluster.port, ...login }]],
    [
      "of an ioredis cluster",
      (login) => new Cluster([{ host, port: cluster.port }], { lazyConnect: true, redisOptions: login }),
    ],
  ])("is in no error, which says that the login was refused: %s", async (_, make) => {
    for (const [name, server] of Object.entries(servers)) {
      port = server.port;
      for (const login of LOGINS) {
        const redis = make(login);
        redis.on?.("error", () => {});
        const store = temporaryStore(redis, { commandTimeout });
        const error = await refusal(store.beginExecution("run"));
        expect(error.message, name).toMatch(/\bAUTH\b|username and password/);
        // A password was given, whatever the server says to the next command.
        expect(error.message, name).not.toContain("none was given");
        await store.close();
      }
    }
  });
});

describe("a token that the endpoint repeats when it refuses it", { timeout: 15_000 }, () => {
  const token = secret("token").repeat(10);
  let rest;

  beforeAll(async () => {
    const { url: redisUrl } = await privateRedis();
    rest = await startRestEndpoint({ redisUrl, token });
    endings.push(rest.stop);
  });

  const WORDS = [
    `WRONGPASS invalid token ${token}`,
    `Unauthorized: Bearer ${token}`,
    `ERR no database has the token "${token.slice(0, 128)}"`,
    `${token} is unknown`,
  ];
  afterEach(() => rest.clearFaults());

  describe.each([
    ["a configuration", () => ({ url: rest.url, token })],
    ["a client of Upstash", () => new Upstash({ url: rest.url, token, enableTelemetry: false })],
  ])("given by %s", (_, make) => {
    const open = (timeout) =>
      temporaryStore(make(), { connection: "native", commandTimeout: timeout, readAhead: false });

    it.each([400, 401, 403])("is in no error when the request is refused with status %d", async (status) => {
      const store = open(commandTimeout);
      for (const error of WORDS) {
        // More than one, in case it is asked for again.
        rest.inject({ status, error }, { status, error });
        await refusal(store.isExecutionInProgress("run"));
        rest.clearFaults();
      }
    });

    it.each([429, 500, 503])("is in no error when the deadline passes with status %d", async (status) => {
      const store = open(300);
      for (const error of WORDS) {
        rest.inject(...Array.from({ length: 100 }, () => ({ status, error })));
        expectNoSecret(await rejectionOf(store.isExecutionInProgress("run")));
        rest.clearFaults();
      }
    });

    it("is in no error when the commands in the request are refused", async () => {
      const store = open(commandTimeout);
      for (const error of WORDS) {
        rest.inject({ status: 200, error });
        await refusal(store.isExecutionInProgress("run"));
        rest.inject({ status: 200, body: JSON.stringify([{ error }, { error }]) });
        await Promise.all(["one", "two"].map((id) => refusal(store.isExecutionInProgress(id))));
      }
    });
  });
});

describe("a result that the server repeats because the command is unknown to it", { timeout: 30_000 }, () => {
  const hidden = ["--rename-command", "HSET", ""];
  const VALUES = [secret("result"), secret("result").repeat(20), { field: secret("result") }];
  const STARTS = {
    "one server": async () => (await privateRedis({ args: hidden })).url,
    async "a server of a cluster"() {
      const cluster = await startMasters({ masters: 1, replicas: 0, args: hidden });
      endings.push(cluster.stop);
      return cluster.startup;
    },
    async "a server that hangs up besides"() {
      const { port } = await startFake(({ command: [name, ...args], socket }) => {
        if (name !== "HSET") return "+OK\r\n";
        socket.end(`-ERR unknown command 'HSET', with args beginning with: '${args.join("' '")}' \r\n`);
      });
      return { host, port };
    },
  };

  it.each(Object.entries(STARTS))("is in no error, which names the command: %s", async (_, start) => {
    const redis = await start();
    for (const options of [{}, { hashTags: true }, { ttl: 60_000 }]) {
      const store = temporaryStore(redis, { commandTimeout, ...options });
      for (const value of VALUES) {
        const error = await refusal(store.commitExecutionTaskResult("run", "task", value));
        expect(error).toMatchObject({ reply: "ERR", executionId: "run", taskId: "task" });
        expect(error.message).toContain("HSET");
      }
    }
  });

  it("is in no error, which names the command: an HTTP endpoint", async () => {
    const { url: redisUrl } = await privateRedis();
    const rest = await startRestEndpoint({ redisUrl });
    endings.push(rest.stop);
    const store = temporaryStore({ url: rest.url, token: rest.token }, { commandTimeout });
    for (const value of VALUES) {
      const words = `ERR unknown command 'HSET', with args beginning with: 'run-results' 'task' '${JSON.stringify(value)}'`;
      const items = [{ error: words }, { error: "EXECABORT Transaction discarded because of previous errors." }];
      for (const answer of [
        { status: 400, error: words },
        { status: 200, body: JSON.stringify({ error: words }) },
        { status: 200, body: JSON.stringify(items) },
      ]) {
        // More than one, in case it is asked for again.
        rest.inject(answer, answer);
        const error = await refusal(store.commitExecutionTaskResult("run", "task", value));
        expect(error).toMatchObject({ reply: "ERR", executionId: "run", taskId: "task" });
        expect(error.message).toContain("HSET");
        rest.clearFaults();
      }
    }
  });
});
