// The command line: what it prints on pipes and terminals, its exit statuses, what it asks before it changes anything.
import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stripVTControlCharacters } from "node:util";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { createRedisStore } from "../../index.js";
import { createRedisAdmin } from "../../lib/admin.js";
import { startMasters } from "../../tooling/servers/cluster.mjs";
import { startRestEndpoint } from "../../tooling/servers/rest-endpoint.mjs";
import { ROOT } from "../../tooling/setup.mjs";
import { eventually, privateRedis } from "../support/redis.mjs";
import { temporaryClient } from "../support/temporary.mjs";
import { SENTINEL_MASTER, startSentinel } from "../support/topologies.mjs";

const require = createRequire(import.meta.url);
const { Output, Progress, cutTo, padEnd, widthOf } = require("../../lib/cli/terminal.js");
const { asJson, duration, printable, printableJson, readDuration, size } = require("../../lib/cli/units.js");
const commands = require("../../lib/cli/commands.js");

const MAIN = join(ROOT, "lib/cli/main.js");
const COMMANDS = ["doctor", "list", "show", "count", "release", "dispose", "sweep"];

let server;
let redis;
let store;
let dir;

beforeAll(async () => {
  server = await privateRedis({ appendonly: true });
  redis = temporaryClient(server);
  store = createRedisStore(server.url);
  dir = mkdtempSync(join(tmpdir(), "idioteque-redis-cli-"));
});

beforeEach(() => redis.flushall());

afterAll(async () => {
  await store.close();
  rmSync(dir, { recursive: true, force: true });
});

/** Starts the command line on pipes. */
function start(args, { env = { REDIS_URL: server.url }, input } = {}) {
  const child = spawn(process.execPath, [MAIN, ...args], { env: { PATH: process.env.PATH, ...env } });
  const output = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"]) {
    child[name].setEncoding("utf8").on("data", (text) => {
      output[name] += text;
    });
  }
  child.stdin.on("error", () => {}).end(input ?? "");
  const ended = once(child, "close").then(([status, signal]) => ({ status, signal, ...output }));
  return { child, output, ended };
}

const run = (args, options) => start(args, options).ended;

/** An execution with a step that is done, and one in progress. */
async function begin(id = randomUUID()) {
  await store.beginExecution(id);
  await store.beginExecutionTask(id, "order:charge-card");
  await store.commitExecutionTaskResult(id, "order:get-order", { x: 1 });
  return id;
}

async function orphan() {
  const id = randomUUID();
  await store.commitExecutionTaskResult(id, "late", 1);
  return id;
}

describe("help", () => {
  test("names every command, and each has its own with examples and permissions", async () => {
    const { status, stdout, stderr } = await run(["--help"]);
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    for (const command of COMMANDS) {
      expect(stdout).toMatch(new RegExp(`^ {2}${command} +\\S`, "m"));
      const help = await run([command, "--help"]);
      expect(help.status).toBe(0);
      expect(help.stdout).toMatch(new RegExp(`^Usage: idioteque-redis ${command}`));
      expect(help.stdout).toMatch(new RegExp(`Examples:\n  idioteque-redis ${command}`));
      expect(help.stdout).toContain("Permissions beyond the store's: +");
      expect(Math.max(...help.stdout.split("\n").map((line) => line.length))).toBeLessThanOrEqual(80);
    }
  });

  test("is not what a word of JavaScript's own has, and of no command is a wrong use", async () => {
    for (const word of ["constructor", "toString", "nope"]) {
      const { status, stdout, stderr } = await run(["help", word]);
      expect({ status, stdout }).toEqual({ status: 2, stdout: "" });
      expect(stderr).toMatch(/^idioteque-redis: the executions[\s\S]*Usage: idioteque-redis COMMAND/);
    }
    expect((await run(["constructor"])).stderr).toContain("Try: idioteque-redis --help");
    expect(await run(["help", "list"])).toMatchObject({ status: 0, stdout: expect.stringContaining("list") });
  });

  test("without a command is an error, and the version is that of the package", async () => {
    expect(await run([])).toMatchObject({ status: 2, stdout: "", stderr: expect.stringContaining("Usage:") });
    const { version } = require("../../package.json");
    expect(await run(["--version"])).toMatchObject({ status: 0, stdout: `${version}\n` });
  });
});

describe("permissions", () => {
  const OF_STORE =
    "+get +set +hget +hset +hdel +hgetall +unlink +pexpire +multi +exec +select +client|info +client|kill";

  test.each([
    ["doctor", () => []],
    ["list", () => []],
    ["list", () => ["--orphans"]],
    ["show", (id) => [id, "--values"]],
    ["count", () => []],
    ["release", (id) => [id, "order:charge-card", "--yes"]],
    ["dispose", (id) => [id, "--yes"]],
    ["sweep", () => ["--older-than", "0s", "--stuck", "--yes"]],
  ])("of %s are those of the store and those that its help names", async (command, args) => {
    const id = await begin();
    await orphan();
    await store.beginExecution(randomUUID());
    const help = (await run([command, "--help"])).stdout.replace(/\n(?! *\n)/g, " ");
    const [, named] = /Permissions beyond the store's: ((?:\+\S+ ?)+)/.exec(help);
    const rules = `${OF_STORE} ${named.replaceAll(";", "")}`.split(" ").filter(Boolean);
    // A server that does not know a command has nothing to permit.
    const known = rules.filter((rule) => rule !== "+client|no-touch");
    await redis.call("ACL", "LOG", "RESET");
    await redis.call("ACL", "SETUSER", "ops", "reset", "on", ">secret", "~*", "-@all", ...known);
    await redis.call("ACL", "SETUSER", "ops", "+client|no-touch").catch(() => {});
    const env = { REDIS_URL: server.url.replace("//", "//ops:secret@") };
    const { status, stdout, stderr } = await run([command, ...args(id)], { env });
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    if (command === "doctor") expect(stdout).not.toMatch(/^[·✗]/m);
    const refused = await redis.call("ACL", "LOG");
    expect(refused.map((entry) => entry[entry.indexOf("object") + 1]).filter((name) => !/no-touch/.test(name))).toEqual(
      [],
    );
  });
});

describe("exit statuses", () => {
  test.each([
    [["lst"], 'there is no command "lst"'],
    [["list", "--foo"], "Unknown option '--foo'"],
    [["list", "extra"], 'takes no argument "extra"'],
    [["show"], "needs an execution"],
    [["release", "id"], "needs an execution and a task"],
    [["list", "--older-than", "7"], "--older-than must be a duration"],
    [["list", "--limit", "-1"], "--limit"],
    [["sweep"], "sweep needs --older-than"],
    [["list", "--url", "nonsense://host"], "nonsense"],
    [["list", "--url", "redis://a", "--config", "b"], "exclude each other"],
    [["list", "--config", "/nowhere"], "ENOENT"],
    [["toString"], "no command"],
  ])("%j is a wrong use: 2", async (args, words) => {
    const { status, stdout, stderr } = await run(args);
    expect({ status, stdout }).toEqual({ status: 2, stdout: "" });
    expect(stderr).toContain(words);
    expect(stderr).not.toMatch(/^\s+at /m);
  });

  test("nowhere to connect to is a wrong use, a server that does not answer is 3", async () => {
    expect(await run(["list"], { env: {} })).toMatchObject({ status: 2, stderr: expect.stringContaining("REDIS_URL") });
    const refused = await run(["list", "--url", "redis://user:hunter2@127.0.0.1:1"]);
    expect(refused).toMatchObject({
      status: 3,
      stderr: "idioteque-redis: ECONNREFUSED 127.0.0.1:1: is Redis running?\n",
    });
    const debugged = await run(["doctor", "--debug", "--url", "redis://127.0.0.1:1"]);
    expect(debugged.stderr).toMatch(/^\[RedisStoreError: .*\] \{\n {2}code: 'ERR_REDIS_CONNECTION',\n {2}\[cause\]/m);
  });

  test("a wrong password is 3, and not shown", async () => {
    await redis.call("ACL", "SETUSER", "ops", "reset", "on", ">secret", "~*", "+@all");
    const { status, stderr } = await run(["list"], { env: { REDIS_URL: server.url.replace("//", "//ops:hunter2@") } });
    expect(status).toBe(3);
    expect(stderr).toContain("WRONGPASS");
    expect(stderr).not.toContain("hunter2");
  });

  test("a problem that the doctor finds is 1", async () => {
    expect(await run(["doctor"])).toMatchObject({
      status: 0,
      stdout: expect.stringMatching(/^✓ version +(Redis|Valkey) /),
    });
    await redis.config("SET", "maxmemory-policy", "allkeys-lru");
    const { status, stdout } = await run(["doctor"]);
    expect(status).toBe(1);
    expect(stdout).toMatch(/^✗ eviction +allkeys-lru.*\n +→ set maxmemory-policy to noeviction$/m);
    const { ok, checks } = JSON.parse((await run(["doctor", "--json"])).stdout);
    expect(ok).toBe(false);
    expect(checks.find(({ name }) => name === "eviction").status).toBe("problem");
    await redis.config("SET", "maxmemory-policy", "noeviction");
  });
});

describe("what is printed", () => {
  test("list has a line for each execution, and JSON has as many", async () => {
    const [id, left] = [await begin(), await orphan()];
    const { status, stdout, stderr } = await run(["list"]);
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    const lines = stdout.trimEnd().split("\n");
    expect(lines[0]).toMatch(/^EXECUTION +RESULTS +SIZE +IDLE +TTL +IN PROGRESS$/);
    expect(lines).toHaveLength(3);
    expect(lines.find((line) => line.startsWith(id))).toMatch(/ 1 +\d+B +\d+s +- +1: order:charge-card$/);
    expect(lines.find((line) => line.startsWith(left))).toMatch(/orphan$/);
    const json = (await run(["list", "--json"])).stdout.trim().split("\n").map(JSON.parse);
    expect(json.map((summary) => summary.id).sort()).toEqual([id, left].sort());
    expect((await run(["list", "--orphans", "--json"])).stdout).toContain(left);
    expect((await run(["list", "--match", "nothing*"])).stdout).toBe("No executions found.\n");
  });

  test("show has the steps as a tree, a page at a time, with values when asked", async () => {
    const id = await begin();
    const { stdout } = await run(["show", id, "--values"]);
    expect(stdout).toContain("2 tasks: 1 done, 1 in progress");
    expect(stdout).toMatch(/^ {2}order\n● {3}charge-card +in progress\n✓ {3}get-order +7B {2}\{"x":1\}\n$/m);
    const page = await run(["show", id, "--limit", "1"]);
    expect(page.stdout).toContain("… 1 more task: --offset 1");
    expect((await run(["show", id, "--limit", "1", "--offset", "1"])).stdout).toContain("get-order");
    expect(JSON.parse((await run(["show", id, "--json"])).stdout)).toMatchObject({ id, total: 2 });
    expect(await run(["show", "nothing"])).toMatchObject({ status: 1, stdout: expect.stringContaining("nothing of") });
  });

  test("count counts", async () => {
    await Promise.all([begin(), begin(), orphan()]);
    const sums = JSON.parse((await run(["count", "--json"])).stdout);
    expect(sums).toMatchObject({ executions: 2, inProgress: 2, orphans: 1, bytes: expect.any(Number) });
    expect((await run(["count"])).stdout).toMatch(/^executions +2\nwith tasks in progress +2\norphans +1\nbytes +\d/);
  });

  test("characters that control a terminal are escaped", async () => {
    const id = `run\u001b[2J\u202e\n${randomUUID()}`;
    await store.beginExecution(id);
    await store.commitExecutionTaskResult(id, "step\u0007\u009b31m", "\u001b]0;title\u0007");
    for (const args of [["list"], ["show", id, "--values"]]) {
      const { stdout } = await run(args);
      expect(stdout).toContain("run\\u001b[2J\\u202e\\n");
      expect(stdout).not.toMatch(/[^\P{Cc}\n]|\p{Cf}/u);
      const json = (await run([...args, "--json"])).stdout;
      expect(json).not.toMatch(/[^\P{Cc}\n]|\p{Cf}/u);
      expect(JSON.parse(json).id).toBe(id);
    }
  });
});

describe("what changes something", () => {
  test("is only said without --yes, and nobody to ask", async () => {
    const [id, left] = [await begin(), await orphan()];
    for (const [args, words] of [
      [["release", id, "order:charge-card"], "is in progress"],
      [["dispose", id], "is to be deleted: 2 tasks, 1 mark"],
      [["sweep", "--older-than", "0s"], "1 execution (orphans of 0s and more) to be deleted"],
    ]) {
      const { status, stdout } = await run(args);
      expect(status).toBe(1);
      expect(stdout).toContain(words);
      expect(stdout).toContain("Nothing was changed: --yes does it.");
    }
    expect(await redis.exists(id, `${id}-transactions`, `${id}-results`, `${left}-results`)).toBe(4);
  });

  test("is done with --yes", async () => {
    const [id, left] = [await begin(), await orphan()];
    const released = await run(["release", id, "order:charge-card", "--yes"]);
    expect(released).toMatchObject({ status: 0, stdout: expect.stringContaining("nothing here delivers it") });
    expect(await store.isExecutionTaskInProgress(id, "order:charge-card")).toBe(false);
    expect(await run(["release", id, "order:charge-card", "--yes"])).toMatchObject({ status: 1 });
    const swept = await run(["sweep", "--older-than", "0s", "--yes"]);
    expect(swept).toMatchObject({ status: 0, stdout: expect.stringMatching(/^1 execution deleted/) });
    expect(await redis.exists(`${left}-results`)).toBe(0);
    const disposed = await run(["dispose", id, "nothing", "--yes", "--json"]);
    expect(disposed.status).toBe(1);
    expect(JSON.parse(disposed.stdout)).toEqual({ disposed: [id], dryRun: false });
    expect(await redis.dbsize()).toBe(0);
  });
});

describe("where to connect", () => {
  test("comes from standard input, so that passwords are not among the arguments", async () => {
    const id = await begin();
    const { status, stdout } = await run(["list", "--url", "-", "--json"], { env: {}, input: `${server.url}\n` });
    expect(status).toBe(0);
    expect(JSON.parse(stdout).id).toBe(id);
    expect(await run(["list", "--url", "-"], { env: {} })).toMatchObject({ status: 2 });
  });

  test("comes from the environment of Upstash", async () => {
    const id = await begin();
    const rest = await startRestEndpoint({ redisUrl: server.url });
    const env = { UPSTASH_REDIS_REST_URL: rest.url, UPSTASH_REDIS_REST_TOKEN: rest.token };
    expect((await run(["list", "--json"], { env })).stdout).toContain(id);
    await rest.stop();
  });

  test("is a cluster, or a configuration in a file, which no error repeats", async () => {
    const [cluster, watched] = await Promise.all([startMasters({ replicas: 0 }), startSentinel()]);
    const id = randomUUID();
    const ofCluster = createRedisStore(cluster.startup, { keyPrefix: "shop:", hashTags: true });
    await ofCluster.commitExecutionTaskResult(id, "task", 1);
    await ofCluster.beginExecution(id);
    const options = ["--prefix", "shop:", "--hash-tags", "--json"];
    const byFlag = await run(["list", "--cluster", ...options], { env: { REDIS_URL: cluster.masters[0].server.url } });
    expect(JSON.parse(byFlag.stdout)).toMatchObject({ id, results: 1 });
    const plain = await run(["list"], { env: { REDIS_URL: cluster.masters[0].server.url } });
    expect(plain.status).toBe(0);

    const file = join(dir, "redis.json");
    writeFileSync(file, JSON.stringify({ sentinels: [watched.sentinel], name: SENTINEL_MASTER }));
    expect(await run(["count", "--config", file], { env: {} })).toMatchObject({ status: 0 });
    writeFileSync(file, '{ "password": "hunter2" ');
    const broken = await run(["count", "--config", file], { env: {} });
    expect(broken).toMatchObject({ status: 2, stderr: expect.not.stringContaining("hunter2") });
    await ofCluster.close();
    await Promise.all([cluster.stop(), watched.stop()]);
  });
});

describe("Ctrl-C", () => {
  test("ends a long scan", async () => {
    await redis.eval("for i = 1, 300000 do redis.call('SET', 'session:' .. i, i) end", 0);
    const { child, ended } = start(["list"]);
    const scanning = async () => /cmdstat_scan/.test(await redis.info("commandstats"));
    await redis.config("RESETSTAT");
    await eventually(scanning, { message: "a scan" });
    child.kill("SIGINT");
    expect(await ended).toMatchObject({ status: 130, stdout: "", stderr: "" });
  });

  test("ends --watch, which has looked more than once", async () => {
    await begin();
    const { child, output, ended } = start(["list", "--watch", "--interval", "50ms"]);
    await eventually(() => output.stdout.match(/EXECUTION/g)?.length >= 3, { message: "three looks" });
    child.kill("SIGINT");
    expect(await ended).toMatchObject({ status: 0, stderr: "" });
    expect(output.stdout).not.toContain("\u001b");
  });
});

test.each(["0s", "25d", "often"])("--interval %s is a wrong use", async (interval) => {
  const { status, stderr } = await run(["list", "--watch", "--interval", interval]);
  expect({ status, stderr }).toEqual({ status: 2, stderr: expect.stringContaining("--interval must be ") });
});

test.skipIf(process.platform !== "linux")("what cannot be written is said, and is no success", async () => {
  const child = spawn("/bin/sh", ["-c", `"$0" "${MAIN}" --version > /dev/full`, process.execPath]);
  let said = "";
  child.stderr.setEncoding("utf8").on("data", (text) => {
    said += text;
  });
  const [status] = await once(child, "close");
  expect({ status, said }).toEqual({ status: 3, said: expect.stringMatching(/^idioteque-redis: ENOSPC/) });
});

test("an execution that is named twice is one", async () => {
  const id = await begin();
  const { status, stdout } = await run(["dispose", id, id, "--yes"]);
  expect(status).toBe(0);
  expect(stdout.match(/is to be deleted/g)).toHaveLength(1);
});

test("a pipe whose reader has enough ends it quietly", async () => {
  for (let count = 0; count < 30; count += 1) await begin();
  const { child, ended } = start(["list", "--watch", "--interval", "1ms"]);
  await once(child.stdout, "data");
  child.stdout.destroy();
  expect(await ended).toMatchObject({ status: 0, stderr: "" });
});

describe("a terminal", () => {
  /** A terminal that keeps what is written to it. */
  function terminal({ columns, colours = true }) {
    const written = [];
    return {
      stream: {
        isTTY: true,
        columns,
        hasColors: () => colours,
        write: (text) => written.push(text) > 0,
      },
      text: () => written.join(""),
    };
  }

  async function perform(command, { ids = [], values = {}, ...look }) {
    const [out, err] = [terminal(look), terminal(look)];
    const admin = createRedisAdmin(server.url);
    const session = { admin, ids, values, out: new Output(out.stream), err: new Output(err.stream) };
    await commands[command]({ ...session, progress: new Progress(session.err) });
    await admin.close();
    return out.text();
  }

  test.each([80, 200])("of %d columns is not written beyond its edge, and ids are whole", async (columns) => {
    const id = await begin();
    for (let step = 0; step < 30; step += 1)
      await store.beginExecutionTask(id, `order:a-step-with-a-long-name-${step}`);
    await store.commitExecutionTaskResult(id, "order:large", "x".repeat(500));
    await redis.config("SET", "maxmemory-policy", "allkeys-lru");
    for (const [command, ids, values] of [
      ["list", [], {}],
      ["show", [id], { values: true }],
      ["doctor", [], {}],
    ]) {
      const text = stripVTControlCharacters(await perform(command, { ids, values, columns }));
      expect(Math.max(...text.split("\n").map((line) => line.length)), command).toBeLessThanOrEqual(columns);
      if (command !== "doctor") expect(text).toContain(id);
      if (command === "list") expect(text).toMatch(/31: .*…\n$/);
    }
    await redis.config("SET", "maxmemory-policy", "noeviction");
  });

  test("has colours, unless it or NO_COLOR says no", async () => {
    await orphan();
    expect(await perform("list", { columns: 80 })).toContain("\u001b[33morphan");
    expect(await perform("list", { columns: 80, colours: false })).not.toContain("\u001b");
    expect(await perform("doctor", { columns: 80 })).toContain("\u001b[32m✓");
    expect((await run(["list"], { env: { REDIS_URL: server.url, FORCE_COLOR: "1" } })).stdout).not.toContain("\u001b");
  });

  test("is told of progress on one line, which is taken away", () => {
    const { stream, text } = terminal({ columns: 20 });
    const progress = new Progress(new Output(stream));
    progress.end();
    expect(text()).toBe("");
    progress.shownAt = Number.NEGATIVE_INFINITY;
    progress.show("a line that is longer than that");
    progress.end();
    expect(text()).toBe("\r\u001b[2Ka line that is lon…\r\u001b[2K");
  });
});

describe("units", () => {
  test("durations are read and written", () => {
    const read = {
      "500ms": 500,
      "90s": 90_000,
      "10m": 600_000,
      "1.5h": 5_400_000,
      "7d": 604_800_000,
      "2w": 1_209_600_000,
    };
    for (const [text, ms] of Object.entries(read)) expect(readDuration(text)).toBe(ms);
    for (const text of ["", "7", "d", "-7d", "7 d", "7D", "1e3s"]) expect(readDuration(text)).toBe(undefined);
    const written = [
      [0, "0s"],
      [98_499, "98s"],
      [99_500, "2m"],
      [3_600_000, "60m"],
      [36_000_000, "10h"],
    ];
    for (const [ms, text] of [...written, [7 * 86_400_000, "7d"], [undefined, "?"]]) expect(duration(ms)).toBe(text);
  });

  test("sizes have at most four characters and a unit", () => {
    for (const [bytes, text] of [
      [0, "0B"],
      [1_023, "1023B"],
      [1_024, "1.0K"],
      [1_536, "1.5K"],
      [10_239, "10K"],
      [2 ** 30, "1.0G"],
    ]) {
      expect(size(bytes)).toBe(text);
    }
    expect(size(undefined)).toBe("?");
  });

  test("texts are printable, and the same text is never printed for two", () => {
    expect(printable("a\\n\n\t\u0000\u{e0041}é")).toBe("a\\\\n\\n\\t\\u0000\\u{e0041}é");
    expect(printable("\ud800")).toBe("\\ud800");
    const value = { "\u009b\u{e0041}": "é\u202e\n" };
    expect(asJson(value)).toBe('{"\\u009b\\udb40\\udc41":"é\\u202e\\n"}');
    expect(JSON.parse(asJson(value))).toEqual(value);
    // As it is stored, so that it can be copied.
    expect(printableJson('{"a\\n":"\\"\u202e"}')).toBe('{"a\\n":"\\"\\u202e"}');
  });

  test("a text is cut behind its colours", () => {
    expect(cutTo("\u001b[31mabcdef\u001b[39m", 4)).toBe("\u001b[31mabc…\u001b[39m");
    expect(cutTo("abc", 3)).toBe("abc");
  });

  test("characters of two columns count twice, and accents not at all", () => {
    expect(widthOf("a漢👍e\u0301")).toBe(6);
    expect(padEnd("漢", 4)).toBe("漢  ");
    for (let width = 1; width < 8; width += 1)
      expect(widthOf(cutTo("a漢字e\u0301字", width))).toBeLessThanOrEqual(width);
    expect(cutTo("a漢字", 4)).toBe("a漢…");
    expect(cutTo("a漢字", 5)).toBe("a漢字");
  });
});
