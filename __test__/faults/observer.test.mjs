// Commits under observation: the task is in progress or done, in a cluster both for a moment, but never neither.
import { expect, it } from "vitest";
import { startMasters } from "../../tooling/servers/cluster.mjs";
import { sharedRedis } from "../support/redis.mjs";
import { note, times } from "../support/scale.mjs";
import { temporaryStore } from "../support/temporary.mjs";

const { url, admin, newId } = sharedRedis();
const LANES = 48;

/** The sizes of results: 100 bytes to 8 MB, the large ones rare. */
function sizeOf(index) {
  if (index % 2500 === 1250) return 8_000_000;
  if (index % 500 === 250) return 1_000_000;
  return index % 20 === 10 ? 50_000 : 100 + (index % 900);
}

/**
 * Commits `commits` results while an observer looks again and again at each task whose commit is on its way.
 *
 * @param {(lane: number) => string} idOf
 * @param {(id: string, task: string) => Promise<boolean>} whether it is in progress or done
 */
async function observe(store, commits, idOf, sees) {
  const found = { looks: 0, neither: 0, bytes: 0 };
  let next = 0;
  const lane = async (number) => {
    const id = idOf(number);
    for (let made = 0; next < commits; made++) {
      const index = next++;
      const task = `task-${index}`;
      const size = sizeOf(index);
      await store.beginExecutionTask(id, task);
      let pending = true;
      const committed = store.commitExecutionTaskResult(id, task, "x".repeat(size)).finally(() => {
        pending = false;
      });
      do {
        found.looks += 1;
        if (!(await sees(id, task))) found.neither += 1;
      } while (pending);
      await committed;
      found.bytes += size;
      // Nothing that was stored is needed any more.
      if (made % 100 === 99 || size > 500_000) await store.disposeExecution(id);
    }
  };
  await Promise.all(Array.from({ length: LANES }, (_, number) => lane(number)));
  return found;
}

it("is in progress or done for an observer who reads both at once", async () => {
  const commits = times(3000, 100_000);
  const store = temporaryStore(url, { commandTimeout: 60_000 });
  const prefix = newId();
  const sees = async (id, task) => {
    const look = admin.multi().hexists(`${id}-transactions`, task).hexists(`${id}-results`, task);
    const [[, mark], [, result]] = await look.exec();
    return mark === 1 || result === 1;
  };
  const found = await observe(store, commits, (lane) => `${prefix}-${lane}`, sees);
  expect(found.neither).toBe(0);
  note({
    scenario:
      "an observer polls whether each task being committed is in progress, and its result, in MULTI/EXEC, one server",
    done: `${commits} commits of 100 B to 8 MB (${Math.round(found.bytes / 1e6)} MB), ${found.looks} looks`,
    found: `${found.neither} times neither in progress nor done`,
    promise: "0",
  });
});

it("is in progress or done for an observer who asks a store for one and then for the other, in a cluster", async () => {
  const commits = times(500, 10_000);
  const cluster = await startMasters({ replicas: 0 });
  const [store, other] = [1, 2].map(() =>
    temporaryStore(cluster.startup, { commandTimeout: 60_000, readAhead: false }),
  );
  try {
    const sees = async (id, task) =>
      (await other.isExecutionTaskInProgress(id, task)) || (await other.getExecutionTaskResult(id, task)) !== undefined;
    const found = await observe(store, commits, (lane) => `observed-${lane}`, sees);
    expect(found.neither).toBe(0);
    note({
      scenario: "an observer asks whether each task being committed is in progress, then for its result, cluster",
      done: `${commits} commits of 100 B to 8 MB (${Math.round(found.bytes / 1e6)} MB), ${found.looks} looks`,
      found: `${found.neither} times neither in progress nor done`,
      promise: "0",
    });
  } finally {
    await Promise.all([store, other].map((opened) => opened.close()));
    await cluster.stop();
  }
});
