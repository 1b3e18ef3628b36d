// Another Redis at the address of a cluster's node: it is told nothing and believed nothing. Calls wait for the node.
import { Cluster } from "ioredis";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { startMasters } from "./support/cluster.mjs";
import { dump } from "./support/redis.mjs";
import { idWithin, keysOf } from "./support/slots.mjs";
import { agree, isRunning, startStranger, takeDown } from "./support/strangers.mjs";
import { outcomeOf, temporaryStore } from "./support/temporary.mjs";

/** The slots of the first of three masters. */
const FIRST = { first: 0, last: 5460 };
/** And those of the others. */
const OTHERS = { first: 5461, last: 16_383 };
/** Long enough for a server to be ended and started and to take writes again. */
const PATIENT_MS = 30_000;
const IMPATIENT_MS = 2_000;

let cluster;
let reader;
let victim;

const strangers = [];
/** A stranger that ends with the test at the latest. */
async function stranger(options) {
  const started = await startStranger(victim.server, options);
  strangers.push(started);
  return started;
}

beforeAll(async () => {
  cluster = await startMasters({ replicas: 0 });
  reader = new Cluster(cluster.startup);
  [victim] = cluster.masters;
});

afterEach(async () => {
  await Promise.all(strangers.splice(0).map(({ stop }) => stop()));
  if (!isRunning(victim.server)) await victim.server.restart();
  await agree(cluster.nodes);
});

afterAll(async () => {
  reader?.disconnect();
  await cluster?.stop();
});

const KINDS = [
  ["a server of no cluster", {}],
  ["the node of another cluster", { ofCluster: true }],
];

const STYLES = [
  ["without hash tags", {}],
  ["with hash tags", { hashTags: true }],
];

describe.each(KINDS)("%s at the address of a node", (_, kind) => {
  it.each(STYLES)("%s, is told nothing and believed nothing, and calls wait for the node", async (label, options) => {
    const id = (name, where) => idWithin(`${label}-${name}`, { ...where, ...options });
    const [written, kept, elsewhere] = [id("written", FIRST), id("kept", FIRST), id("elsewhere", OTHERS)];
    const patient = temporaryStore(cluster.startup, { ...options, commandTimeout: PATIENT_MS });
    const impatient = temporaryStore(cluster.startup, { ...options, commandTimeout: IMPATIENT_MS });
    await patient.beginExecution(kept);
    await patient.commitExecutionTaskResult(kept, "task", "of the cluster");
    await impatient.isExecutionInProgress(kept);
    await takeDown(victim.server);
    const other = await stranger(kind);
    const [, marks, results] = keysOf(kept, options.hashTags);
    await other.admin.hset(marks, "task", "true");
    await other.admin.hset(results, "task", '"of the stranger"');
    const tag = keysOf(kept, options.hashTags)[0];
    const before = await dump(other.admin, tag);

    const callAll = (store) => [
      store.beginExecution(written),
      store.beginExecutionTask(written, "task"),
      store.commitExecutionTaskResult(written, "task", 1),
      store.isExecutionInProgress(kept),
      store.isExecutionTaskInProgress(kept, "task"),
      store.getExecutionTaskResult(kept, "task"),
      store.getExecutionTaskResults(kept),
      store.disposeExecution(kept),
    ];
    const waiting = Promise.all(callAll(patient).map(outcomeOf));
    const refused = Promise.all(callAll(impatient).map(outcomeOf));
    // The other nodes are asked meanwhile, as ever.
    await patient.commitExecutionTaskResult(elsewhere, "task", 1);
    expect(await patient.getExecutionTaskResult(elsewhere, "task")).toBe(1);
    for (const { value, error } of await refused) {
      expect(error, `fulfilled with ${JSON.stringify(value)}`).toMatchObject({ name: "RedisStoreError" });
      expect(error.code).toMatch(/^ERR_REDIS_(CONNECTION|TIMEOUT)$/);
      expect(error.message).toContain("another server");
      expect(error.message).toContain(`${victim.server.host}:${victim.server.port}`);
    }
    expect(await dump(other.admin, tag)).toEqual(before);
    expect(await other.admin.dbsize()).toBe(2);

    await other.stop();
    await victim.server.restart();
    const answers = [
      undefined,
      undefined,
      undefined,
      true,
      false,
      "of the cluster",
      { task: "of the cluster" },
      undefined,
    ];
    expect(await waiting).toEqual(answers.map((value) => ({ value })));
    expect(await reader.hgetall(keysOf(written, options.hashTags)[2])).toEqual({ task: "1" });
    for (const key of keysOf(kept, options.hashTags)) expect(await reader.exists(key)).toBe(0);
  });
});
