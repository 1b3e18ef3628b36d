// Which thread loads the package first, whether others come after it, and how they end, is all the same: nothing crashes,
// and the addon stays in memory. Each process here is one that only a crash would end early.
import { execFile } from "node:child_process";
import { mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join, sep } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { runScript } from "../support/child.mjs";
import { startFakeRedis } from "../support/fake-redis.mjs";
import { withoutNodelete } from "../support/loader-flags.mjs";
import { builtAddon, installCopy } from "../support/package-copy.mjs";

const require = createRequire(import.meta.url);
const INDEX = fileURLToPath(new URL("../../index.js", import.meta.url));
const BODY = fileURLToPath(new URL("../support/loading-worker.cjs", import.meta.url));
const VITEST_DEADLINE_MS = 50_000;

const DOES = ["loads it", "makes a store", "makes calls"];
/** How a thread ends, and the exit status that shows that. */
const ENDS = { "by itself": 0, "by process.exit()": 7, "by worker.terminate()": 1 };
const KINDS = DOES.flatMap((does) => Object.keys(ENDS).map((ends) => ({ does, ends })));

// A server that runs wherever the tests do, also on Windows.
const ANSWERS = { CLIENT: "+OK\r\n", GET: "$4\r\ntrue\r\n", HGETALL: "*0\r\n" };
let fake;
let redis;
beforeAll(async () => {
  fake = await startFakeRedis(({ command: [name] }) => ANSWERS[name] ?? `-ERR unknown command '${name}'\r\n`);
  redis = `redis://${fake.host}:${fake.port}`;
});
afterAll(() => fake.stop());

/** The beginning of a script whose own thread has not loaded the package: a worker thread from its start to its end. */
const RUN_WORKER = `
  import { once } from "node:events";
  import { createRequire } from "node:module";
  import { Worker } from "node:worker_threads";
  async function runWorker(kind) {
    const worker = new Worker(args.body, { workerData: { ...args, ...kind }, execArgv: [] });
    const exit = once(worker, "exit");
    if (kind.ends === "by worker.terminate()") {
      await once(worker, "message");
      await worker.terminate();
    }
    return (await exit)[0];
  }
`;

/** Runs a script in a process whose main thread does not load the package by itself. */
async function runWithWorkers(script, args) {
  const outcome = await runScript(RUN_WORKER + script, {
    args: { index: INDEX, body: BODY, redis, ...args },
    imports: false,
  });
  expect(outcome, outcome.errors).toMatchObject({ signal: null, code: 0 });
  return outcome.lines;
}

describe.each(KINDS)("where each worker thread $does and ends $ends, and no other thread loads it", (kind) => {
  it("they come one after another", async () => {
    const script = `
      const codes = [];
      for (let round = 0; round < 6; round++) codes.push(await runWorker(args.kind));
      console.log(codes.join());
    `;
    expect(await runWithWorkers(script, { kind })).toEqual([Array(6).fill(ENDS[kind.ends]).join()]);
  });

  it("they come four at a time", async () => {
    const script = `
      const codes = [];
      for (let round = 0; round < 3; round++) {
        codes.push(...(await Promise.all(Array.from({ length: 4 }, () => runWorker(args.kind)))));
      }
      console.log(codes.join());
    `;
    expect(await runWithWorkers(script, { kind })).toEqual([Array(12).fill(ENDS[kind.ends]).join()]);
  });
});

describe("where the main thread loads it too", () => {
  it.each([
    ["before every worker thread", 0],
    ["when the first of them has ended", 1],
    ["when all of them have ended", KINDS.length],
  ])("%s", async (_, position) => {
    const script = `
      const load = () => createRequire(args.index)(args.index).createRedisStore(args.redis);
      const codes = [];
      let store;
      for (const kind of args.kinds) {
        if (codes.length === args.position) store = load();
        codes.push(await runWorker(kind));
        await store?.isExecutionInProgress("run");
      }
      store ??= load();
      console.log(codes.join(), await store.isExecutionInProgress("run"));
    `;
    const codes = KINDS.map(({ ends }) => ENDS[ends]).join();
    expect(await runWithWorkers(script, { kinds: KINDS, position })).toEqual([`${codes} true`]);
  });
});

describe("pools of worker threads", () => {
  it("Piscina ends an idle thread and starts another", async () => {
    // One thread: of several, Piscina may keep one that no task has come to.
    const script = `
      import { setTimeout as delay } from "node:timers/promises";
      import { Piscina } from "piscina";
      const { task: filename, redis } = args;
      const pool = new Piscina({ filename, minThreads: 0, maxThreads: 1, idleTimeout: 20, execArgv: [] });
      const threads = new Set();
      for (let round = 0; round < 6; round++) {
        const { threadId, answer } = await pool.run({ redis });
        console.log(answer);
        threads.add(threadId);
        while (pool.threads.length > 0) await delay(5);
      }
      console.log(threads.size, "threads");
      await pool.destroy();
    `;
    const task = new URL("../support/piscina-task.mjs", import.meta.url).href;
    expect(await runWithWorkers(script, { task })).toEqual([...Array(6).fill("true"), "6 threads"]);
  });

  it("vitest starts a thread for every test file", async () => {
    const root = realpathSync(mkdtempSync(join(tmpdir(), "idioteque-redis-")));
    onTestFinished(() => rmSync(root, { recursive: true }));
    for (let file = 0; file < 6; file++) {
      const source = `
        import { createRedisStore } from ${JSON.stringify(pathToFileURL(INDEX).href)};
        test("calls", async () => {
          expect(await createRedisStore(${JSON.stringify(redis)}).isExecutionInProgress("run")).toBe(true);
        });
      `;
      writeFileSync(join(root, `${file}.test.mjs`), source);
    }
    const vitest = join(dirname(require.resolve("vitest/package.json")), "vitest.mjs");
    const args = [vitest, "run", "--globals", "--pool=threads", "--maxWorkers=1", "--root", root, "--dir", root];
    const options = { cwd: root, env: { ...process.env, NO_COLOR: "1" }, timeout: VITEST_DEADLINE_MS };
    const { stdout } = await promisify(execFile)(process.execPath, args, options);
    expect(stdout).toMatch(/Test Files +6 passed/);
  });
});

describe("when the only worker thread that has loaded it has ended", () => {
  // Of two copies, because systems that unload an addon may do so only when the next one is closed.
  it.each(DOES)("the addon is still in memory, where the thread %s", async (does) => {
    const { target, bytes } = builtAddon();
    const addon = withoutNodelete(bytes);
    const copies = [1, 2].map(() => installCopy({ packages: { [target]: addon } }).home);
    const script = `
      for (const copy of args.copies) await runWorker({ index: copy, does: args.does, ends: "by itself" });
      process.report.excludeNetwork = true;
      for (const path of process.report.getReport().sharedObjects) console.log(path);
    `;
    const inMemory = await runWithWorkers(script, { copies, does });
    for (const copy of copies) {
      // Its temporary directory: how the path before that is spelled may differ.
      const [directory] = copy.split(sep).slice(-4);
      expect(inMemory.some((path) => path.includes(directory) && path.endsWith(".node"))).toBe(true);
    }
  });
});
