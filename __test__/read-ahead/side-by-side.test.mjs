/**
 * Calls about one execution that have not waited for each other, as steps in a `Promise.all` and messages that are handled at once make
 * them: the last of a turn carries what comes next for all of them, and it is no older than any answer beside it.
 */
import { setImmediate as nextIteration } from "node:timers/promises";
import { Redis } from "ioredis";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { createRedisStore } from "../../index.js";
import { startRestEndpoint } from "../../tooling/servers/rest-endpoint.mjs";
import { createWorker } from "../../tooling/workflow/worker.mjs";
import { ioredisConfiguration } from "../support/inputs.mjs";
import { METHODS } from "../support/methods.mjs";
import { recordCommands } from "../support/monitor.mjs";
import { sharedRedis } from "../support/redis.mjs";
import { startSequencer } from "../support/sequencer.mjs";
import { startCluster } from "../support/topologies.mjs";
import { unhurried } from "../support/unhurried.mjs";

const { url, admin, newId } = sharedRedis();
const servers = {};

beforeAll(async () => {
  [servers.cluster, servers.rest, servers.sequencer] = await Promise.all([
    startCluster(),
    startRestEndpoint({ redisUrl: url }),
    startSequencer(ioredisConfiguration(url)),
  ]);
  servers.clusterAdmin = new Redis(servers.cluster.url);
  servers.commands = await recordCommands(admin);
  servers.clusterCommands = await recordCommands(servers.clusterAdmin);
});

const releases = [];
afterEach(async () => {
  for (const release of releases.splice(0).reverse()) await release();
});

afterAll(async () => {
  servers.commands?.stop();
  servers.clusterCommands?.stop();
  servers.clusterAdmin?.disconnect();
  await Promise.all([servers.cluster?.stop(), servers.rest?.stop(), servers.sequencer?.stop()]);
});

/** A store that is closed after the test, has a connection, and has seen that answers to calls side by side come together. */
async function openStore(redis, options) {
  const store = createRedisStore(redis, options);
  releases.push(() => store.close());
  await Promise.all([1, 2].map(() => store.isExecutionInProgress("connected")));
  return store;
}

/** Turns of the event loop in which the answers to calls side by side gather. */
const KEPT_TURNS = 30;

/** Where one transaction may be on all keys of an execution. */
const TOGETHER = [
  ["one server", () => ({ redis: url, monitor: servers.commands, other: admin })],
  [
    "HTTP requests",
    () => ({ redis: { url: servers.rest.url, token: servers.rest.token }, monitor: servers.commands, other: admin }),
  ],
  ["a cluster with hash tags", () => ({ ...inCluster(), options: { hashTags: true } })],
];

function inCluster() {
  const [host, port] = new URL(servers.cluster.url).host.split(":");
  return { redis: [{ host, port: Number(port) }], monitor: servers.clusterCommands, other: servers.clusterAdmin };
}

/** A caller of a store that knows an execution with the tasks `marked` and `done`, in a turn of its own. */
async function openCaller({ redis, monitor, other, options }, more) {
  const store = await openStore(redis, { ...options, ...more });
  const id = newId();
  const key = options?.hashTags ? `{${id}}` : id;
  await other.set(key, "true");
  await other.hset(`${key}-transactions`, "marked", "true");
  await other.hset(`${key}-results`, "done", "1");
  await store.getExecutionTaskResults(id);
  await nextIteration();
  await monitor.take();
  /** What was sent since this was last asked, without what holds it together and without the id. */
  const sent = async () => {
    const commands = (await monitor.take()).filter(([, word]) => word?.includes(id));
    return commands.map(([name, word, task]) => [name, word.replace(key, ""), task].filter(Boolean).join(" "));
  };
  return { id, store, sent };
}

const TASKS = ["marked", "done", "new"];
const results = ({ store, id }) => Promise.all(TASKS.map((task) => store.getExecutionTaskResult(id, task)));
const marks = ({ store, id }) => Promise.all(TASKS.map((task) => store.isExecutionTaskInProgress(id, task)));
const RESULTS = TASKS.map((task) => `HGET -results ${task}`);

describe.each(TOGETHER)("over %s", (_, connect) => {
  it("the last question for a result carries the marks of all", () =>
    unhurried(async () => {
      const caller = await openCaller(connect());
      expect(await results(caller)).toEqual([undefined, 1, undefined]);
      expect(await marks(caller)).toEqual([true, false, false]);
      expect(await caller.sent()).toEqual([...RESULTS.slice(0, 2), "HGETALL -transactions", RESULTS[2]]);
    }));

  it.each([
    ["getExecutionTaskResults", ["HGETALL -transactions", "HGETALL -results", "GET"]],
    ["isExecutionInProgress", ["HGETALL -transactions", "GET"]],
    ["isExecutionTaskInProgress", ["HGETALL -transactions", "HGET -transactions other"]],
    ["beginExecutionTask", ["HSET -transactions other", "HGETALL -transactions"]],
    ["commitExecutionTaskResult", ["HSET -results other", "HDEL -transactions other", "HGETALL -transactions"]],
  ])("%s carries them when it is the last", (name, commands) =>
    unhurried(async () => {
      const caller = await openCaller(connect());
      await Promise.all([results(caller), caller.store[name](caller.id, "other", 1)]);
      expect(await marks(caller)).toEqual([true, false, false]);
      expect(await caller.sent()).toEqual([...RESULTS, ...commands]);
    }),
  );

  it("a write before questions for results carries nothing", () =>
    unhurried(async () => {
      const caller = await openCaller(connect());
      const { id, store } = caller;
      const write = async () => {
        await store.commitExecutionTaskResult(id, "other", 1);
        expect(await store.isExecutionInProgress(id)).toBe(true);
      };
      // Until it carries the answer.
      for (let time = 0; time < 2; time += 1) await write();
      await caller.sent();
      await Promise.all([store.commitExecutionTaskResult(id, "other", 1), results(caller)]);
      expect(await marks(caller)).toEqual([true, false, false]);
      expect(await caller.sent()).toEqual([
        "HSET -results other",
        "HDEL -transactions other",
        ...RESULTS.slice(0, 2),
        "HGETALL -transactions",
        RESULTS[2],
      ]);
    }));

  it("nothing is carried for a caller who does not ask for marks, or reads nothing ahead", async () => {
    const caller = await openCaller(connect());
    await results(caller);
    await nextIteration();
    await caller.sent();
    await results(caller);
    expect(await caller.sent()).toEqual(RESULTS);
    const plain = await openCaller(connect(), { readAhead: false });
    const ahead = await openStore(connect().redis, connect().options);
    // Over one connection, so that the one comes right behind the other.
    await Promise.all([ahead.getExecutionTaskResult(plain.id, "marked"), results(plain)]);
    expect(await plain.sent()).toEqual([RESULTS[0], ...RESULTS]);
  });

  it("the call of another store carries nothing for questions that are not its own", async () => {
    const caller = await openCaller(connect());
    const other = await openStore(connect().redis, connect().options);
    await Promise.all([results(caller), other.isExecutionInProgress(caller.id)]);
    expect(await caller.sent()).toEqual([...RESULTS, "GET"]);
  });
});

it("across slots each question is a command of its own", async () => {
  const caller = await openCaller(inCluster());
  expect(await results(caller)).toEqual([undefined, 1, undefined]);
  expect(await marks(caller)).toEqual([true, false, false]);
  expect(await caller.sent()).toEqual([...RESULTS, ...TASKS.map((task) => `HGET -transactions ${task}`)]);
});

it("marks are no older than the results that were asked for beside them", () =>
  unhurried(async () => {
    const { sequencer } = servers;
    // Answers are handed out together.
    sequencer.delayAnswers(() => KEPT_TURNS);
    releases.push(() => sequencer.delayAnswers(() => 0));
    const store = await openStore(sequencer.url);
    const id = newId();
    await store.getExecutionTaskResults(id);
    await nextIteration();
    // Another worker dispatches each task as soon as its result has been read.
    sequencer.afterEach(async ({ command: [name, key, task] }) => {
      if (name === "HGET" && key === `${id}-results`) await admin.hset(`${id}-transactions`, task, "true");
    });
    releases.push(() => sequencer.afterEach(() => {}));
    const tasks = ["a", "b", "c"];
    await Promise.all(tasks.map((task) => store.getExecutionTaskResult(id, task)));
    const passed = sequencer.passed.length;
    const answers = await Promise.all(tasks.map((task) => store.isExecutionTaskInProgress(id, task)));
    expect(sequencer.passed.length, "commands so far").toBe(passed);
    // The last is of the moment in which its result was read.
    expect(answers).toEqual([true, true, false]);
  }));

describe("messages of one execution that are handled at once", () => {
  /** How many commands the TypeScript package sends for a call. */
  const plain = (name) => ({ commitExecutionTaskResult: 2, disposeExecution: 3 })[name] ?? 1;

  it.each([0, 2])("send no more commands than their calls would, with %d ms of work in each", (work) =>
    unhurried(async () => {
      const store = await openStore(url);
      for (let run = 0; run < 3; run += 1) {
        const id = newId();
        let allowed = 0;
        const count = (name, args) => {
          allowed += plain(name);
          return store[name](...args);
        };
        const counted = Object.fromEntries(METHODS.map((name) => [name, (...args) => count(name, args)]));
        const queue = [{ id, event: { name: "start" } }];
        const worker = createWorker({ store: counted, dispatcher: { dispatch: (message) => queue.push(message) } });
        worker.createFunction({ id: "fan", event: "start" }, async (_event, step) => {
          const end = performance.now() + work;
          while (performance.now() < end);
          await Promise.all(["a", "b", "c", "d", "e"].map((name) => step(name, () => name)));
        });
        await servers.commands.take();
        while (queue.length > 0) {
          await nextIteration();
          await Promise.all(queue.splice(0).map((message) => worker.handle(structuredClone(message))));
        }
        const sent = (await servers.commands.take()).filter(([, key]) => key?.startsWith(id));
        expect(sent.length, `in workflow ${run + 1}`).toBeLessThanOrEqual(allowed);
      }
    }),
  );
});
