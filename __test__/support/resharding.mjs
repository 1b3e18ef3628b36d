/**
 * Resharding under load: slots that move by the hundred, writers whose order shows, and an observer who sees it.
 */
import { eventually } from "../../tooling/eventually.mjs";
import { createRandom } from "./random.mjs";

const HOST = "127.0.0.1";
const SLOTS = 16_384;
/** Executions that are written again and again, and those that are only to be kept. */
const LANES = 200;
const KEPT = 2_000;
/** Slots of one master on their way at once. */
const BATCH = 256;
const MIGRATE_TIMEOUT_MS = 10_000;
/** Rounds of moving keys away: new ones cannot appear in a slot on its way, so the second finds nothing. */
const MAX_ROUNDS = 50;

/**
 * Moves slots with their keys from their master to another one, as `redis-cli --cluster reshard` does, but all
 * of them at once.
 *
 * @typedef {{ admin: import("ioredis").Redis, server: { port: number } }} Master
 * @param {Master[]} masters all of them: those that are not informed may, on Redis 6, keep an older claim
 * @param {Master} from
 * @param {Master} to
 * @param {number[]} slots
 */
export async function moveSlots(masters, from, to, slots) {
  const [source, target] = await Promise.all([from, to].map(({ admin }) => admin.call("CLUSTER", "MYID")));
  const set = (node, slots, ...state) =>
    Promise.all(slots.map((slot) => node.admin.call("CLUSTER", "SETSLOT", slot, ...state)));
  await set(to, slots, "IMPORTING", source);
  await set(from, slots, "MIGRATING", target);
  await moveKeys(from, to, slots);
  const others = masters.filter((master) => master !== from && master !== to);
  for (const master of [to, from, ...others]) await set(master, slots, "NODE", target);
  await settle(masters, to, slots);
}

/**
 * Waits until all masters name the same one as the owner of slots and know the epoch of its claim. The next one to claim slots would take
 * the same epoch otherwise, and of two claims of one epoch neither wins: on Redis 6 a master may then drop keys of slots that are its
 * own. What is astray all the same is repaired as `redis-cli --cluster fix` does: a message that was under way may revive an older
 * claim there, and two masters then name each other for good.
 *
 * @param {Master[]} masters
 * @param {Master} owner
 * @param {number[]} slots
 */
async function settle(masters, owner, slots) {
  const id = await owner.admin.call("CLUSTER", "MYID");
  const astray = async ({ admin }) => {
    const ranges = await admin.call("CLUSTER", "SLOTS");
    const own = ranges.filter(([, , [, , name]]) => name === id);
    return slots.filter((slot) => !own.some(([first, last]) => first <= slot && slot <= last));
  };
  const epoch = async ({ admin }) => {
    const nodes = (await admin.call("CLUSTER", "NODES")).split("\n").map((line) => line.split(" "));
    return nodes.find(([name]) => name === id)?.[6];
  };
  const areSettled = async () => {
    const all = await Promise.all(masters.map(astray));
    if (all.every(({ length }) => length === 0)) return new Set(await Promise.all(masters.map(epoch))).size === 1;
    // Its claim is the newest then.
    await owner.admin.call("CLUSTER", "BUMPEPOCH");
    for (const [index, { admin }] of masters.entries()) {
      await Promise.all(all[index].map((slot) => admin.call("CLUSTER", "SETSLOT", slot, "NODE", id)));
    }
    return false;
  };
  await eventually(areSettled, { deadline: 20_000, message: "one owner of the slots" });
}

async function moveKeys(from, to, slots) {
  const moveSome = async (slot) => {
    const keys = await from.admin.call("CLUSTER", "GETKEYSINSLOT", slot, 100);
    if (keys.length === 0) return false;
    await from.admin.call("MIGRATE", HOST, to.server.port, "", 0, MIGRATE_TIMEOUT_MS, "KEYS", ...keys);
    return true;
  };
  let full = slots;
  for (let round = 0; full.length > 0; round += 1) {
    if (round === MAX_ROUNDS) throw new Error(`${full.length} slots do not become empty`);
    const moved = await Promise.all(full.map(moveSome));
    full = full.filter((_, index) => moved[index]);
  }
}

/**
 * Commits to one task of each of many executions, each value one more than the last, several at once and in order.
 *
 * @param {object} store
 * @param {object} options
 * @param {string[]} options.ids
 * @param {number} options.depth calls of one execution in flight
 * @returns {{ last: Map<string, number>, calls: () => number, errors: unknown[], stop: () => Promise<void> }} `last` is the
 *   last acknowledged value of each execution
 */
export function writeInOrder(store, { ids, depth }) {
  const last = new Map();
  const errors = [];
  let calls = 0;
  let stopped = false;
  const lane = async (id) => {
    for (let value = 1; !stopped; ) {
      const some = Array.from({ length: depth }, async () => {
        const own = value++;
        try {
          await store.commitExecutionTaskResult(id, "task", own);
          last.set(id, Math.max(own, last.get(id) ?? 0));
          calls += 1;
        } catch (error) {
          errors.push(error);
          // A test that fails closes its store; nothing can succeed then, and what fails at once would take all the time.
          stopped ||= error.code === "ERR_REDIS_CLOSED";
        }
      });
      await Promise.all(some);
    }
  };
  const running = ids.map(lane);
  return {
    last,
    errors,
    calls: () => calls,
    async stop() {
      stopped = true;
      await Promise.all(running);
    },
  };
}

/**
 * Reads the executions' values beside the store until stopped, and notes each that is less than one before.
 *
 * @param {import("ioredis").Cluster} reader
 * @param {object} options
 * @param {string[]} options.ids
 * @param {(id: string) => string} options.tag what the id is called in keys
 * @returns {{ backwards: string[], readings: () => number, stop: () => Promise<void> }}
 */
export function watchOrder(reader, { ids, tag }) {
  const random = createRandom(1);
  const seen = new Map();
  const backwards = [];
  let readings = 0;
  let stopped = false;
  const watch = async () => {
    while (!stopped) {
      const id = random.pick(ids);
      // What was seen before this reading began is what it may not be behind.
      const before = seen.get(id) ?? 0;
      const value = Number(await reader.hget(`${tag(id)}-results`, "task"));
      if (value < before) backwards.push(`${id}: ${before}, then ${value}`);
      seen.set(id, Math.max(value, seen.get(id) ?? 0));
      readings += 1;
    }
  };
  const running = Array.from({ length: 16 }, watch);
  return {
    backwards,
    readings: () => readings,
    async stop() {
      stopped = true;
      await Promise.all(running);
    },
  };
}

/**
 * Moves slots of every master to the next one while executions are written, and says what came of it.
 *
 * @param {object} options
 * @param {Awaited<ReturnType<typeof import("../../tooling/servers/cluster.mjs").startMasters>>} options.cluster in its first state
 * @param {object} options.store
 * @param {import("ioredis").Cluster} options.reader
 * @param {(id: string) => string} options.tag
 * @param {string} options.label begins the executions' ids
 * @param {number} options.every each how manieth slot moves
 * @returns {Promise<{ moved: number, errors: unknown[], backwards: string[], wrong: string[], marks: string[], calls: number,
 *   callsWhileMoving: number, readings: number }>}
 */
export async function reshard({ cluster: { masters }, store, reader, tag, label, every }) {
  const ids = Array.from({ length: LANES }, (_, index) => `${label}-${index}`);
  const kept = Array.from({ length: KEPT }, (_, index) => `${label}-kept-${index}`);
  await Promise.all(kept.map((id) => store.commitExecutionTaskResult(id, "task", id)));
  const writer = writeInOrder(store, { ids, depth: 3 });
  const observer = watchOrder(reader, { ids, tag });
  let moved = 0;
  let callsWhileMoving = 0;
  try {
    await eventually(() => writer.calls() > LANES, { deadline: 30_000, message: "the first writes" });
    const before = writer.calls();
    // All at once decided, or what a master gets from the one before would move on.
    const parts = masters.map((_, index) => {
      const first = Math.floor((index * SLOTS) / masters.length);
      const end = Math.floor(((index + 1) * SLOTS) / masters.length);
      return Array.from({ length: end - first }, (_, offset) => first + offset).filter((slot) => slot % every === 0);
    });
    // In turns: a master that has lost all its slots becomes another one's replica.
    for (let start = 0; parts.some((slots) => start < slots.length); start += BATCH) {
      for (const [index, slots] of parts.entries()) {
        const some = slots.slice(start, start + BATCH);
        await moveSlots(masters, masters[index], masters[(index + 1) % masters.length], some);
        moved += some.length;
      }
    }
    callsWhileMoving = writer.calls() - before;
    for (const [index, slots] of parts.entries()) await settle(masters, masters[(index + 1) % masters.length], slots);
  } finally {
    await writer.stop();
    await observer.stop();
  }
  const result = async (id) => reader.hget(`${tag(id)}-results`, "task");
  const wrong = [];
  const marks = [];
  for (const id of ids) {
    if (Number(await result(id)) !== writer.last.get(id)) wrong.push(id);
    if (await reader.exists(`${tag(id)}-transactions`)) marks.push(id);
  }
  for (const id of kept) if ((await result(id)) !== JSON.stringify(id)) wrong.push(id);
  return {
    moved,
    wrong,
    marks,
    callsWhileMoving,
    errors: writer.errors,
    backwards: observer.backwards,
    calls: writer.calls(),
    readings: observer.readings(),
  };
}
