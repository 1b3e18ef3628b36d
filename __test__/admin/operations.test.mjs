// The runbook is true: each command in it prints what it says, on a server that has the symptom.
import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createRedisStore } from "../../index.js";
import { startRestEndpoint } from "../../tooling/servers/rest-endpoint.mjs";
import { ROOT } from "../../tooling/setup.mjs";
import { read } from "../support/document.mjs";
import { eventually, privateRedis } from "../support/redis.mjs";
import { temporaryClient } from "../support/temporary.mjs";

const PAGE = "docs/operations.md";
const MAIN = join(ROOT, "lib/cli/main.js");
const [STUCK, LEFT] = ["6a1f0e9c-5b1c-4f4e-9a53-0d6cf6b2b1aa", "f3c7a2d0-9a55-4c58-8d0e-52a4c3a0d1b7"];
const HOUR = 3_600;

let server;
let redis;
let rest;

beforeAll(async () => {
  server = await privateRedis({ appendonly: true });
  redis = temporaryClient(server);
});

afterAll(() => rest?.stop());

async function age(seconds, id) {
  for (const key of [id, `${id}-transactions`, `${id}-results`]) {
    const content = await redis.dumpBuffer(key);
    if (content) await redis.call("RESTORE", key, 0, content, "REPLACE", "IDLETIME", seconds);
  }
}

async function write(options, ids, steps) {
  const store = createRedisStore(server.url, options);
  for (const id of ids) await steps(store, id);
  await store.close();
}

async function hang(store, id) {
  await store.beginExecution(id);
  await store.beginExecutionTask(id, "process-order");
  await store.commitExecutionTaskResult(id, "process-order:get-order", { items: 3 });
  await store.beginExecutionTask(id, "process-order:charge-card");
}

/** What makes the symptom of a section; returns where it is, unless on the server that all share. */
const SYMPTOMS = {
  async "An execution does not go on"() {
    await write({}, [STUCK], hang);
    await age(3 * HOUR, STUCK);
  },
  async "Executions have disappeared"() {
    const other = await privateRedis({
      args: ["--save", "", "--maxmemory-policy", "allkeys-lru", "--maxmemory", "100mb"],
    });
    return { REDIS_URL: other.url };
  },
  async "The server fills up"() {
    await write({}, [STUCK], hang);
    await write({}, [LEFT], (store, id) => store.commitExecutionTaskResult(id, "process-order:send-mail", true));
    await age(9 * 24 * HOUR, LEFT);
  },
  async "Every step is slow"() {
    rest = await startRestEndpoint({ redisUrl: server.url, latency: 15 });
    return { UPSTASH_REDIS_REST_URL: rest.url, UPSTASH_REDIS_REST_TOKEN: rest.token };
  },
  async "Calls fail, or the primary has changed"() {
    const primary = await privateRedis({ args: ["--repl-diskless-sync-delay", "0"] });
    const replica = await privateRedis({ args: ["--replicaof", primary.host, String(primary.port)], appendonly: true });
    const client = temporaryClient(replica);
    const linked = async () => (await client.info("replication")).includes("master_link_status:up");
    await eventually(linked, { message: "the replica's link" });
    return { REDIS_URL: replica.url };
  },
  async "Workers do not see each other's executions"() {
    const begin = (store, id) => store.commitExecutionTaskResult(id, "process-order", 1);
    await write({}, [STUCK], begin);
    await write({ hashTags: true, ttl: HOUR * 1_000 }, [LEFT], begin);
  },
};

/** The commands of a section, and what they print. */
function commandsOf(section) {
  const blocks = [...section.matchAll(/^```console\n(.*?)^```$/gms)].map(([, code]) => code);
  return blocks.flatMap((code) =>
    code
      .split(/^\$ npx @idioteque\/redis /m)
      .slice(1)
      .map((text) => {
        const [command, ...output] = text.trimEnd().split("\n");
        return { command, output: output.join("\n") };
      }),
  );
}

/** What differs between servers and moments, made the same. */
function normalised(text) {
  return (
    text
      .replace(/\bRedis \d+\.\d+\.\d+|\bValkey \d+\.\d+\.\d+/g, "Redis")
      .replace(/\b\d+(\.\d+)?( ?)(B|K|KiB|MiB)\b/g, "1B")
      .replace(/bytes +[\d ]+/g, "bytes 1 ")
      .replace(/\b\d+(\.\d+)? ms\b/g, "1 ms")
      .replace(/127\.0\.0\.1:\d{2,}/g, "127.0.0.1:6379")
      .replace(/\b[1-9] of 10000\b/g, "1 of 10000")
      .replace(/\(\d %\)/g, "(1 %)")
      // What is in an orphan is read since Redis 7.2.
      .replace(/ \? /g, " 1 ")
      .replace(/ +/g, " ")
      .trim()
  );
}

async function run(command, env) {
  const { stdout, stderr } = await promisify(execFile)(process.execPath, [MAIN, ...command.split(" ")], {
    env: { PATH: process.env.PATH, ...env },
  }).catch((error) => error);
  return `${stdout}${stderr}`;
}

const sections = read(PAGE)
  .split(/^## /m)
  .map((text) => ({ title: text.split("\n", 1)[0], commands: commandsOf(text) }));

describe.each(sections.filter(({ commands }) => commands.length > 0))("$title", ({ title, commands }) => {
  test("its commands print what it says", async () => {
    await redis.flushall();
    const env = (await SYMPTOMS[title]?.()) ?? { REDIS_URL: server.url };
    for (const { command, output } of commands) {
      expect(normalised(await run(command, env)), command).toBe(normalised(output));
    }
  });
});

test("every symptom is in the runbook", () => {
  expect(sections.map(({ title }) => title)).toEqual(expect.arrayContaining(Object.keys(SYMPTOMS)));
});
