// An HTTP endpoint that refuses for now, or answers while this process has no time: what goes on meanwhile, and what is tried again.
import { once } from "node:events";
import { createServer } from "node:http";
import { setTimeout as delay } from "node:timers/promises";
import { afterEach, describe, expect, it } from "vitest";
import { createRedisStore } from "../../index.js";
import { startScript, suspend } from "../support/child.mjs";
import { eventually } from "../support/redis.mjs";
import { temporaryStore } from "../support/temporary.mjs";

const HOST = "127.0.0.1";
const TOKEN = "token";

const endings = [];
afterEach(async () => {
  for (const end of endings.splice(0).reverse()) await end();
});

/** An endpoint that answers each request as the test wants: `commands` are those of the request. */
async function startEndpoint(answer) {
  const server = createServer(async (request, response) => {
    const parts = [];
    for await (const part of request) parts.push(part);
    const body = JSON.parse(Buffer.concat(parts).toString());
    const isOne = typeof body[0] === "string";
    const reply = (of) => response.end(JSON.stringify(isOne ? of(body) : body.map(of)));
    answer({ commands: isOne ? [body] : body, reply, response });
  });
  server.listen(0, HOST);
  await once(server, "listening");
  endings.push(async () => {
    server.closeAllConnections();
    server.close();
    await once(server, "close");
  });
  return { url: `http://${HOST}:${server.address().port}`, token: TOKEN };
}

const isRead = ([name]) => ["GET", "HGET", "HGETALL", "HKEYS"].includes(name);
const nothing = ([name]) => ({ result: name === "HGETALL" ? [] : null });

describe("an endpoint that refuses for now", () => {
  it("NOREPLICAS: is asked by one write now and then, and reads go on", async () => {
    const writes = [];
    let refuses = true;
    const endpoint = await startEndpoint(({ commands, reply }) => {
      const some = commands.filter((command) => !isRead(command));
      if (some.length > 0) writes.push(some.length);
      reply((command) => {
        if (isRead(command)) return nothing(command);
        return refuses ? { error: "NOREPLICAS Not enough good replicas to write." } : { result: 1 };
      });
    });
    const store = temporaryStore(endpoint, { readAhead: false });
    const marks = Promise.all(
      Array.from({ length: 100 }, (_, index) => store.beginExecutionTask(`run-${index}`, "task")),
    );
    await eventually(() => writes.length > 0, { message: "a refusal" });
    // One after the other: each would wait for a pause that concerned it.
    for (let round = 0; round < 100; round += 1) await store.isExecutionInProgress(`other-${round}`);
    const before = writes.length;
    for (let asked = before; asked < before + 3; asked = writes.length) {
      await store.isExecutionInProgress("other");
    }
    expect(before, "reads do not wait until writes are tried").toBeLessThan(5);
    expect(writes.slice(1)).toEqual(writes.slice(1).fill(1));
    refuses = false;
    await marks;
  });

  it.each([503, 429])("with status %i and a body that never ends: is asked again", async (status) => {
    let requests = 0;
    const endpoint = await startEndpoint(({ reply, response }) => {
      requests += 1;
      if (requests > 1) return reply(() => ({ result: 1 }));
      response.writeHead(status, { "content-length": "100" }).write("{");
    });
    const store = temporaryStore(endpoint);
    await store.beginExecutionTask("run", "task");
    expect(requests).toBe(2);
  });

  it("with a body without end: little of it is kept", async () => {
    let [requests, sent] = [0, 0];
    const endpoint = await startEndpoint(({ reply, response }) => {
      requests += 1;
      if (requests > 1) return reply(() => ({ result: 1 }));
      const more = () => {
        do sent += 65_536;
        while (!response.destroyed && response.write(Buffer.alloc(65_536)));
      };
      response.writeHead(503).on("drain", more);
      more();
    });
    await temporaryStore(endpoint).beginExecutionTask("run", "task");
    expect(sent).toBeLessThan(32 * 1024 * 1024);
  });
});

it("results that one request asks for and that do not come are asked for one by one", async () => {
  const endpoint = await startEndpoint(({ commands, reply }) => {
    if (commands.length === 1) reply(nothing);
  });
  const store = temporaryStore(endpoint, { commandTimeout: 2000, readAhead: false });
  const ids = Array.from({ length: 20 }, (_, index) => `run-${index}`);
  await Promise.all(ids.map((id) => store.getExecutionTaskResults(id)));
});

describe("answers that have a reply to every command and do not end", () => {
  const [finish, unended, trickling] = [
    (response, text) => response.end(text),
    (response, text) => response.write(text),
    (response, text) => {
      response.write(text);
      const timer = setInterval(() => response.write(" "), 20);
      response.once("close", () => clearInterval(timer));
    },
  ];

  it.each([
    ["nothing more comes", unended],
    ["white space comes", trickling],
  ])("do not keep later calls from being sent, nor close() from resolving: %s", async (_, endless) => {
    // More than there are requests under way at once.
    const answers = 40;
    let requests = 0;
    const endpoint = await startEndpoint(({ commands, response }) => {
      requests += 1;
      const text = JSON.stringify(commands.map(() => ({ result: 1 })));
      (requests <= answers ? endless : finish)(response, text);
    });
    // All of them in less time than an end is waited for.
    const store = createRedisStore(endpoint, { commandTimeout: 700, readAhead: false, warnings: false });
    for (let index = 0; index <= answers; index += 1)
      await store.commitExecutionTaskResult("run", `task-${index}`, index);
    await store.close();
    expect(requests).toBe(answers + 1);
  });

  it("answer pings, and refuse", async () => {
    const endpoint = await startEndpoint(({ commands, response }) => {
      const [[name]] = commands;
      if (name !== "PING") response.writeHead(400);
      response.write(JSON.stringify(name === "PING" ? { result: "PONG" } : { error: "ERR not today" }));
    });
    const store = temporaryStore(endpoint);
    expect(await store.ping()).toBeGreaterThan(0);
    await expect(store.beginExecution("run")).rejects.toMatchObject({
      code: "ERR_REDIS_REPLY",
      message: expect.stringContaining("not today"),
    });
  });

  it("leave the last of the requests under way at once to another store, also behind a call that waits", async () => {
    const endpoint = await startEndpoint(({ commands, reply }) => {
      if (!JSON.stringify(commands).includes("hangs")) reply(() => ({ result: 1 }));
    });
    const options = { commandTimeout: 3000, readAhead: false, warnings: false };
    const [busy, other] = [createRedisStore(endpoint, options), createRedisStore(endpoint, options)];
    const outcomes = [];
    const hang = (index) => outcomes.push(busy.beginExecutionTask(`hangs-${index}`, "task").catch((error) => error));
    for (let sent = 0; sent < 15; sent += 1) {
      hang(sent);
      await eventually(() => busy.stats().roundTrips > sent, { message: "a request of its own" });
    }
    hang(15);
    let isOver = false;
    Promise.race(outcomes).then(() => {
      isOver = true;
    });
    await other.beginExecutionTask("run", "task");
    expect(isOver, "the other store waited for those that hang").toBe(false);
    await Promise.all(outcomes);
    await Promise.all([busy.close(), other.close()]);
  });
});

describe("a process that is stopped past the deadline of its calls", () => {
  const script = `
    const store = createRedisStore(args.redis, { commandTimeout: 1000, readAhead: false });
    const outcomes = await Promise.allSettled([
      store.getExecutionTaskResult("run", "read"),
      store.beginExecutionTask("other", "written"),
    ]);
    console.log(JSON.stringify(outcomes.map(({ value = "done", reason }) => reason?.message ?? value)));
    process.exit();
  `;

  it("has them answered by what came meanwhile", async () => {
    const held = [];
    const endpoint = await startEndpoint(({ reply }) => {
      const result = Buffer.from('"read"').toString("base64");
      held.push(() => reply(([name]) => ({ result: name === "HGET" ? result : 1 })));
    });
    const child = startScript(script, { args: { redis: endpoint } });
    await eventually(() => held.length > 0, { message: "both calls at the endpoint" });
    await suspend(child.pid);
    for (const answer of held) answer();
    await delay(1500);
    process.kill(child.pid, "SIGCONT");
    const { lines, errors } = await child.ended;
    expect(lines, errors).toEqual([JSON.stringify(["read", "done"])]);
  });
});
