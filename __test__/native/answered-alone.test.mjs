// Each call is answered by itself, as soon as its own replies are there, whatever was sent together with it.
import { afterEach, describe, expect, it } from "vitest";
import { FAKE_TOPOLOGIES } from "../support/fake-topologies.mjs";
import { idWithin } from "../support/slots.mjs";
import { outcomeOf, temporaryStore } from "../support/temporary.mjs";

const COMMAND_TIMEOUT_MS = 2000;
const STORES = 2;
const COMMITS = 20;

const REPLIES = { MULTI: "+OK\r\n", HSET: "+QUEUED\r\n", HDEL: "+QUEUED\r\n", EXEC: "*2\r\n:1\r\n:1\r\n" };

const endings = [];
afterEach(async () => {
  for (const end of endings.splice(0).reverse()) await end();
});

describe("commits and, behind them, a read that the server never answers", () => {
  it.each(Object.keys(FAKE_TOPOLOGIES))("are acknowledged when their replies are there: %s", async (name) => {
    const { redis, slots, stop } = await FAKE_TOPOLOGIES[name](({ command }) => REPLIES[command[0]]);
    endings.push(stop);
    // A connection for each store, as no two have the same settings.
    const stores = Array.from({ length: STORES }, (_, index) =>
      temporaryStore(redis, { commandTimeout: COMMAND_TIMEOUT_MS + index, hashTags: true, readAhead: false }),
    );
    const everywhere = (label, call) =>
      slots.flatMap((range, node) => {
        const id = idWithin(`${label}-${node}`, { ...range, hashTags: true });
        return stores.map((store) => call(store, id));
      });
    // The connections are made, so that all that follows goes out together.
    await Promise.all(everywhere("first", (store, id) => store.commitExecutionTaskResult(id, "task", 0)));

    const made = performance.now();
    const outcomes = { commits: [], reads: [] };
    for (let index = 0; index < COMMITS; index += 1) {
      const commit = async (store, id) => {
        const { error } = await outcomeOf(store.commitExecutionTaskResult(id, "task", index));
        return { error, took: performance.now() - made };
      };
      outcomes.commits.push(...everywhere(`run-${index}`, commit));
    }
    outcomes.reads = everywhere("read", (store, id) => outcomeOf(store.getExecutionTaskResult(id, "task")));

    for (const { error, took } of await Promise.all(outcomes.commits)) {
      expect(error).toBe(undefined);
      expect(took).toBeLessThan(COMMAND_TIMEOUT_MS / 2);
    }
    for (const { error } of await Promise.all(outcomes.reads)) expect(error?.code).toBe("ERR_REDIS_TIMEOUT");
  });
});
