// Servers that say what no Redis server says: every call ends in a typed error by its deadline, memory stays bounded, the
// process lives, and no call is answered with what was meant for another.
import { setTimeout as delay } from "node:timers/promises";
import { afterEach, describe, expect, it } from "vitest";
import { runScript } from "../support/child.mjs";
import { startFakeRedis } from "../support/fake-redis.mjs";
import { createRandom } from "../support/random.mjs";
import { outcomeOf, rejectionOf, temporaryStore } from "../support/temporary.mjs";

const COMMAND_TIMEOUT_MS = 1000;
/** What a busy machine may add to a deadline. */
const SLACK_MS = 10_000;
/** What a call that fails may leave in memory. The largest of the replies here would take gigabytes. */
const MAX_GROWTH_MB = 150;

const fakes = [];
afterEach(() => Promise.all(fakes.splice(0).map((fake) => fake.stop())));

/** A server whose handshake is in order, and which answers each command of a store with `hostile`. */
async function startHostile(hostile) {
  const fake = await startFakeRedis((exchange) =>
    exchange.command[0] === "CLIENT" ? "+OK\r\n" : typeof hostile === "function" ? hostile(exchange) : hostile,
  );
  fakes.push(fake);
  return fake;
}

/** Makes every kind of call in a process of its own, and returns how they ended, how long that took, and how much memory. */
const CALL_ALL = `
  const memory = () => process.resourceUsage().maxRSS / 1024;
  const store = createRedisStore(args.redis, { commandTimeout: args.commandTimeout, readAhead: args.readAhead });
  const before = memory();
  const begun = performance.now();
  const calls = {
    beginExecution: store.beginExecution("run"),
    isExecutionInProgress: store.isExecutionInProgress("run"),
    beginExecutionTask: store.beginExecutionTask("run", "task"),
    isExecutionTaskInProgress: store.isExecutionTaskInProgress("run", "task"),
    commitExecutionTaskResult: store.commitExecutionTaskResult("run", "task", 1),
    getExecutionTaskResult: store.getExecutionTaskResult("run", "task"),
    getExecutionTaskResults: store.getExecutionTaskResults("run"),
    disposeExecution: store.disposeExecution("run"),
  };
  const endings = {};
  for (const [name, call] of Object.entries(calls)) {
    endings[name] = await call.then(
      (value) => "fulfilled with " + JSON.stringify(value),
      (error) => error.name + " " + error.code,
    );
  }
  const took = performance.now() - begun;
  await store.close();
  console.log(JSON.stringify({ endings, took, grown: memory() - before }));
`;

async function callAll(redis, { readAhead = false } = {}) {
  const args = { redis, readAhead, commandTimeout: COMMAND_TIMEOUT_MS };
  const { code, signal, lines, errors } = await runScript(CALL_ALL, { args });
  expect({ code, signal }, errors).toEqual({ code: 0, signal: null });
  const report = JSON.parse(lines[0]);
  expect(report.took).toBeLessThan(COMMAND_TIMEOUT_MS + SLACK_MS);
  expect(report.grown).toBeLessThan(MAX_GROWTH_MB);
  return report.endings;
}

/** Writes for as long as the other side listens. */
function pour(socket, bytes) {
  if (socket.listenerCount("drain") > 0) return;
  const more = () => {
    while (socket.writable && socket.write(bytes));
  };
  socket.on("drain", more);
  more();
}

/** What a server may answer, from what is only strange to what is meant to harm. */
const HOSTILE = [
  ["nothing", undefined],
  ["a reply nested 100 000 deep", "*1\r\n".repeat(100_000)],
  ["the head of a string of 512 MB", "$536870912\r\n"],
  ["the head of a string of 500 MB, and no more", "$500000000\r\n"],
  ["a string of a negative length", "$-7\r\n"],
  ["an array of a negative length", "*-3\r\n"],
  ["a length that is no number", "$0x10\r\n"],
  ["a length beyond 64 bits", "$99999999999999999999\r\n"],
  ["an array of 2^31 values", "*2147483648\r\n"],
  ["a map of 2^31 entries", "%2147483648\r\n"],
  ["arrays that each promise as much as is allowed", "*16000000\r\n".repeat(10)],
  ["a string that is longer than it said", "$3\r\nabcdef\r\n"],
  ["a line that does not end", ({ socket }) => pour(socket, Buffer.alloc(64 * 1024, "x").fill("+", 0, 1))],
  ["half a reply, and then the end", ({ socket }) => void socket.end("*2\r\n$4\r\ntr")],
  ["the end", ({ socket }) => void socket.destroy()],
  ["pushes that nobody subscribed to", ">2\r\n$10\r\ninvalidate\r\n*0\r\n"],
  ["a web page", "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"],
  ["TLS", Buffer.from([0x15, 3, 3, 0, 2, 2, 70])],
  ["an array of arrays", "*2\r\n*1\r\n*0\r\n*1\r\n*0\r\n"],
];

describe("a server that answers with", () => {
  it.each(HOSTILE)("%s", async (_, hostile) => {
    const { host, port } = await startHostile(hostile);
    for (const [name, ending] of Object.entries(await callAll({ host, port }))) {
      expect(ending, name).toMatch(/^RedisStoreError ERR_REDIS_(CONNECTION|TIMEOUT|REPLY)$/);
    }
  });

  it("two replies for each command is believed where its first reply could be right, and no further", async () => {
    const { host, port } = await startHostile("$4\r\ntrue\r\n$4\r\ntrue\r\n");
    const fits = {
      beginExecution: undefined,
      isExecutionInProgress: true,
      isExecutionTaskInProgress: true,
      getExecutionTaskResult: true,
    };
    for (const [name, ending] of Object.entries(await callAll({ host, port }))) {
      const isRejected = /^RedisStoreError ERR_REDIS_(CONNECTION|TIMEOUT|REPLY)$/.test(ending);
      expect(isRejected || (name in fits && ending === `fulfilled with ${fits[name]}`), `${name}: ${ending}`).toBe(
        true,
      );
    }
  });

  it("random bytes", async () => {
    const seed = Math.floor(Math.random() * 2 ** 32);
    const { pick } = createRandom(seed);
    const pieces = ["$", "*", "+", "-", ":", "%", ">", "1", "9", "-1", "\r\n", "\r\n", "\r\n", "true", "\0", "\xff"];
    const { host, port } = await startHostile(() => {
      const said = Array.from({ length: 40 }, () => pick(pieces)).join("");
      return Buffer.from(`${said}\x00`, "latin1");
    });
    for (const [name, ending] of Object.entries(await callAll({ host, port }, { readAhead: true }))) {
      expect(ending, `${name}, seed ${seed}`).toMatch(/^RedisStoreError ERR_REDIS_|^fulfilled/);
    }
  });
});

describe("a reply of the wrong type", () => {
  /** What no call of this name may take for its answer. */
  const WRONG = {
    beginExecution: [":1\r\n", "*0\r\n"],
    isExecutionInProgress: [":1\r\n", "*0\r\n"],
    beginExecutionTask: ["+OK\r\n", "$-1\r\n"],
    isExecutionTaskInProgress: [":1\r\n", "*0\r\n"],
    commitExecutionTaskResult: [":1\r\n", "$-1\r\n", "*-1\r\n", "+OK\r\n"],
    getExecutionTaskResult: [":1\r\n", "*0\r\n"],
    getExecutionTaskResults: [":1\r\n", "$4\r\ntrue\r\n", "*2\r\n*0\r\n*0\r\n"],
    disposeExecution: ["+OK\r\n", "$-1\r\n", "*0\r\n"],
  };

  it.each(Object.entries(WRONG))("is not taken for the answer to %s", async (name, wrong) => {
    let said;
    const { host, port } = await startHostile(() => said);
    const store = temporaryStore({ host, port }, { readAhead: false });
    for (said of wrong) {
      const error = await rejectionOf(store[name]("run", "task", 1));
      expect(error, said).toMatchObject({ code: "ERR_REDIS_REPLY", reply: "UNEXPECTED", executionId: "run" });
    }
  });
});

describe("a handshake that is answered with", () => {
  it.each([
    ["a number", ":1\r\n"],
    ["a line of nonsense", "$9\r\nid= addr=\r\n"],
    ["nothing at all", undefined],
    ["what is not the protocol", "hello\r\n"],
    ["two replies", "+OK\r\n+OK\r\n"],
    ["a deep reply", "*1\r\n".repeat(100_000)],
  ])("%s ends calls in an error, or does not matter", async (_, said) => {
    const fake = await startFakeRedis(({ command }) => (command[0] === "GET" ? "$4\r\ntrue\r\n" : said));
    fakes.push(fake);
    const login = { username: "worker", password: "hunter2" };
    for (const settings of [{}, login]) {
      const store = temporaryStore({ host: fake.host, port: fake.port, ...settings }, { commandTimeout: 1000 });
      const begun = performance.now();
      const ending = await store.isExecutionInProgress("run").catch((error) => error.code);
      expect([true, "ERR_REDIS_CONNECTION", "ERR_REDIS_TIMEOUT"]).toContain(ending);
      expect(performance.now() - begun).toBeLessThan(COMMAND_TIMEOUT_MS + SLACK_MS);
    }
  });
});

describe("a server that says too much", () => {
  it("is left when a reply comes that nothing asked for, so that later ones are not taken for others", async () => {
    let socketOfFirst;
    const fake = await startHostile(({ command, socket }) => {
      socketOfFirst ??= socket;
      // Each result is its own task id, so that an answer can be distinguished from the next.
      return command[0] === "HGET" ? `$${command[2].length + 2}\r\n"${command[2]}"\r\n` : undefined;
    });
    const store = temporaryStore({ host: fake.host, port: fake.port }, { readAhead: false });
    expect(await store.getExecutionTaskResult("run", "one")).toBe("one");
    socketOfFirst.write('$7\r\n"other"\r\n');
    // It has arrived when the server notices that it has been left.
    while (!socketOfFirst.destroyed) await delay(5);
    expect(await store.getExecutionTaskResult("run", "two")).toBe("two");
    expect(fake.connections).toBe(2);
  });

  it("has no message of a push taken for an answer", async () => {
    const push = '>3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$7\r\n"other"\r\n';
    const fake = await startHostile(({ command }) => `${push}$${command[2].length + 2}\r\n"${command[2]}"\r\n`);
    const store = temporaryStore({ host: fake.host, port: fake.port }, { readAhead: false, commandTimeout: 500 });
    const error = await rejectionOf(store.getExecutionTaskResult("run", "one"));
    expect(error.code).toBe("ERR_REDIS_CONNECTION");
  });
});

describe("an answer larger than can be read", () => {
  const TOO_LARGE = '*4\r\n$3\r\n"a"\r\n$1\r\n1\r\n$3\r\n"b"\r\n$536870912\r\n';

  it("fails its own call at once, with the key, and the others are made again", async () => {
    const fake = await startHostile(({ command: [name, key] }) => {
      if (name === "HGETALL") return key === "large-results" ? TOO_LARGE : "*2\r\n$4\r\ntask\r\n$1\r\n1\r\n";
      return "$4\r\ntrue\r\n";
    });
    const store = temporaryStore({ host: fake.host, port: fake.port }, { readAhead: false });
    const ids = ["before", "large", "after"];
    const [before, large, after] = await Promise.all(ids.map((id) => outcomeOf(store.getExecutionTaskResults(id))));
    expect([before.value, after.value]).toEqual([{ task: 1 }, { task: 1 }]);
    expect(large.error).toMatchObject({ name: "RedisStoreError", code: "ERR_REDIS_REPLY", key: "large-results" });
    expect(large.error.message).toContain('"large-results" is larger than 512 MB');
    expect(await store.isExecutionInProgress("large")).toBe(true);
    expect(fake.connections).toBe(2);
  });

  it("does not fail a call that only carried the question along", async () => {
    const fake = await startHostile(({ command: [name] }) => {
      if (name === "HGETALL") return TOO_LARGE;
      return name === "SET" ? "$-1\r\n" : "$4\r\ntrue\r\n";
    });
    const store = temporaryStore({ host: fake.host, port: fake.port });
    await store.beginExecution("large");
    expect(await store.isExecutionInProgress("large")).toBe(true);
  });
});
