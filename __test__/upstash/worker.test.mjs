/**
 * A worker's workflow over HTTP, where each request costs time and each command money: never more commands than the
 * TypeScript package sends, at most half its requests, every step exactly once.
 */
import { setImmediate as nextIteration } from "node:timers/promises";
import { Redis as Upstash } from "@upstash/redis";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { createRedisStore } from "../../index.js";
import { createReferenceStore } from "../../tooling/reference-store.mjs";
import { startRestEndpoint } from "../../tooling/servers/rest-endpoint.mjs";
import { upstashAdapter } from "../../tooling/upstash-adapter.mjs";
import { createWorker } from "../../tooling/workflow/worker.mjs";
import { sharedRedis } from "../support/redis.mjs";
import { unhurried } from "../support/unhurried.mjs";

const STEPS = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"];
const RUNS = 3;

const { url, newId, dump } = sharedRedis();
let rest;

beforeAll(async () => {
  rest = await startRestEndpoint({ redisUrl: url });
});

afterAll(() => rest?.stop());

const releases = [];
afterEach(async () => {
  for (const release of releases.splice(0)) await release();
});

function openStore(options) {
  const store = createRedisStore({ url: rest.url, token: rest.token }, options);
  releases.push(() => store.close());
  return store;
}

/** The reference store over Upstash's own client. */
function openReference() {
  const redis = new Upstash({ url: rest.url, token: rest.token, automaticDeserialization: false });
  return createReferenceStore(upstashAdapter(redis));
}

/** Runs a workflow through a queue that delivers each message in an iteration of its own. Returns what it cost. */
async function runWorkflow(store, mode, define) {
  const id = newId();
  const queue = [];
  const worker = createWorker({
    store,
    dispatcher: { dispatch: (message) => void queue.push(JSON.stringify(message)) },
    mode,
  });
  define(worker);
  rest.requests.length = 0;
  queue.push(JSON.stringify({ id, event: { name: "start" } }));
  while (queue.length > 0) {
    await nextIteration();
    await worker.handle(JSON.parse(queue.shift()));
  }
  const commands = rest.requests.flatMap(({ path, body }) => (path === "/" ? [body] : body));
  expect(await dump(id)).toEqual({
    execution: { type: "none" },
    transactions: { type: "none" },
    results: { type: "none" },
  });
  return { requests: rest.requests.length, commands: commands.length };
}

const sequence = (ran) => (worker) =>
  worker.createFunction({ id: "count", event: "start" }, async (_event, run) => {
    for (const step of STEPS) await run(step, () => ran.push(step) && `result of ${step}`);
  });

describe.each(["ISOLATED", "UNTIL_ERROR"])("a workflow in mode %s", (mode) => {
  it("needs no more commands and far fewer requests than the TypeScript package", async () => {
    const reference = await runWorkflow(openReference(), mode, sequence([]));
    const [first, later] = mode === "ISOLATED" ? [46, 46] : [27, 24];
    // What a caller asks too late only takes more, so of several stores the fewest count.
    const fewest = Array(RUNS).fill({ requests: Number.POSITIVE_INFINITY, commands: Number.POSITIVE_INFINITY });
    await unhurried(async () => {
      const store = openStore();
      await store.isExecutionInProgress("connected");
      for (let run = 0; run < RUNS; run += 1) {
        const ran = [];
        const { requests, commands } = await runWorkflow(store, mode, sequence(ran));
        expect(ran).toEqual(STEPS);
        const least = fewest[run];
        fewest[run] = { requests: Math.min(least.requests, requests), commands: Math.min(least.commands, commands) };
      }
      expect(fewest.map(({ requests }) => requests)).toEqual([first, later, later]);
      for (const { commands } of fewest) expect(commands).toBeLessThanOrEqual(reference.commands);
    });
  });

  it("sends no more commands without read-ahead, either", async () => {
    const reference = await runWorkflow(openReference(), mode, sequence([]));
    const ours = await runWorkflow(openStore({ readAhead: false }), mode, sequence([]));
    expect(ours.commands).toBeLessThanOrEqual(reference.commands);
    // Upstash's client sends calls that are made side by side in one request, too.
    expect(ours.requests).toBeLessThanOrEqual(reference.requests);
  });

  it("runs every step once where requests fail on the way", async () => {
    const ran = [];
    const store = openStore();
    let count = 0;
    const define = (worker) =>
      worker.createFunction({ id: "count", event: "start" }, async (_event, run) => {
        for (const step of STEPS) {
          await run(step, () => {
            ran.push(step);
            const faults = [{ cut: "after" }, { cut: "before" }, { status: 503 }, { status: 429 }];
            rest.inject(faults[count++ % faults.length]);
            return step;
          });
        }
      });
    await runWorkflow(store, mode, define);
    expect(ran).toEqual(STEPS);
    rest.clearFaults();
  });
});
