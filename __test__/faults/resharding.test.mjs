// Resharding of a whole cluster under load: every one of the 16 384 slots moves to another master while executions are
// written. No call fails, nothing that was acknowledged is lost, and no key ever goes back to an earlier value.
import { Cluster } from "ioredis";
import { afterEach, describe, expect, it } from "vitest";
import { createRedisStore } from "../../index.js";
import { startMasters } from "../../tooling/servers/cluster.mjs";
import { reshard } from "../support/resharding.mjs";

const SLOTS = 16_384;
const DEADLINE_MS = 300_000;
const releases = [];

afterEach(async () => {
  for (const release of releases.splice(0).reverse()) await release();
});

describe("while all slots move", () => {
  it.each([
    ["without hash tags", {}, (id) => id],
    ["with hash tags", { hashTags: true }, (id) => `{${id}}`],
  ])(
    "%s, no call fails, none is lost, and the order per key is kept",
    async (_, options, tag) => {
      const cluster = await startMasters({ replicas: 0 });
      releases.push(cluster.stop);
      const reader = new Cluster(cluster.startup);
      releases.push(() => reader.disconnect());
      const store = createRedisStore(cluster.startup, { ...options, commandTimeout: 60_000 });
      releases.push(() => store.close());
      const outcome = await reshard({ cluster, store, reader, tag, label: "all", every: 1 });
      expect(outcome.errors).toEqual([]);
      expect(outcome.backwards).toEqual([]);
      expect(outcome.wrong).toEqual([]);
      expect(outcome.marks).toEqual([]);
      expect(outcome.moved).toBe(SLOTS);
      expect(outcome.callsWhileMoving).toBeGreaterThan(1_000);
      expect(outcome.readings).toBeGreaterThan(100);
    },
    DEADLINE_MS,
  );
});
