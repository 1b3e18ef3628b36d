// Replies that come late, or after their call was given up: none is ever taken for the answer to another call.
import { setTimeout as delay } from "node:timers/promises";
import { expect, it } from "vitest";
import { ioredisConfiguration } from "../support/inputs.mjs";
import { keepCalling } from "../support/load.mjs";
import { createRandom } from "../support/random.mjs";
import { sharedRedis } from "../support/redis.mjs";
import { note, times } from "../support/scale.mjs";
import { temporaryProxy, temporaryStore } from "../support/temporary.mjs";

const { url, admin, newId } = sharedRedis();
const configuration = ioredisConfiguration(url);

it("matches no reply to another call, however many come late or are not waited for any more", async () => {
  const seed = Math.floor(Math.random() * 2 ** 32);
  const { chance, pick } = createRandom(seed);
  const wanted = times(2000, 30_000);
  const proxy = await temporaryProxy(configuration);
  const store = temporaryStore({ ...configuration, host: proxy.host, port: proxy.port }, { commandTimeout: 240 });
  const id = newId();
  const count = 1000;
  const resultOf = (index) => `${index}:${"x".repeat((index * 37) % 900)}`;
  const entries = Array.from({ length: count }, (_, index) => [`task-${index}`, JSON.stringify(resultOf(index))]);
  await admin.hset(`${id}-results`, Object.fromEntries(entries));
  // Every third task is in progress, every fifth execution has begun.
  const marked = entries.filter((_, index) => index % 3 === 0).map(([task]) => [task, "true"]);
  await admin.hset(`${id}-transactions`, Object.fromEntries(marked));
  for (let index = 0; index < count; index += 5) await admin.set(`${id}-${index}`, "true");

  const wrong = [];
  const check = (what, got, expected) => got === expected || wrong.push({ what, got, expected });
  const calls = [
    async (index) => check("result", await store.getExecutionTaskResult(id, `task-${index}`), resultOf(index)),
    async (index) => check("mark", await store.isExecutionTaskInProgress(id, `task-${index}`), index % 3 === 0),
    async (index) => check("execution", await store.isExecutionInProgress(`${id}-${index}`), index % 5 === 0),
    async (index) => check("no result", await store.getExecutionTaskResult(id, `none-${index}`), undefined),
    async (index) => check("write", await store.beginExecutionTask(`${id}-written`, `task-${index}`), undefined),
  ];
  const load = keepCalling(1000, (made) => pick(calls)(made % count));
  const deadline = Date.now() + times(30_000, 300_000);
  while (load.errors.length < wanted && Date.now() < deadline) {
    // Also those that were made beside a silent one, and dropped when it spoke again: any may be the one in use.
    const connections = [...proxy.connections];
    for (const connection of connections) connection.hold("toClient");
    await delay(pick([20, 150, 250, 320]));
    // Some of what was held back comes in pieces, and some never.
    const [isCut, isSplit] = [chance(0.2), chance(0.5)];
    for (const connection of connections) {
      if (isCut) connection.cut();
      else if (isSplit) connection.release("toClient", Math.ceil(connection.held("toClient").length / 2));
    }
    await delay(pick([0, 30, 100]));
    for (const connection of connections) connection.release("toClient");
    await delay(20);
  }
  await load.stop();
  expect(wrong, `seed ${seed}`).toEqual([]);
  // Past its deadline all of it; some with no connection at that moment.
  for (const { message } of load.errors) expect(message).toContain("was given up after 240 ms");
  expect(load.errors.length).toBeGreaterThanOrEqual(wanted);
  note({
    scenario: "replies held back, cut and released after their calls were given up",
    done: `${load.made} calls, ${load.errors.length} given up, ${proxy.connections.length} connections`,
    found: `0 of ${load.answered.length} answers belonged to another call`,
    promise: "0",
  });
});
