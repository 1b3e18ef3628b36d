// A server that ends connections to which it owes too much (`client-output-buffer-limit`): a small call whose carried reads were too
// much is sent again without them.
import { beforeAll, expect, it } from "vitest";
import { privateRedis } from "../support/redis.mjs";
import { temporaryClient, temporaryStore } from "../support/temporary.mjs";

const IDS = Array.from({ length: 8 }, (_, index) => `large-${index}`);
const RESULT = JSON.stringify("x".repeat(300_000));

let server;
let admin;
beforeAll(async () => {
  server = await privateRedis({ args: ["--client-output-buffer-limit", "normal", "1mb", "0", "0"] });
  admin = temporaryClient(server);
  const results = Object.fromEntries(Array.from({ length: 12 }, (_, index) => [`task-${index}`, RESULT]));
  for (const id of IDS) await Promise.all([admin.set(id, "true"), admin.hset(`${id}-results`, results)]);
});

it.each([
  ["isExecutionInProgress", (store, id) => store.isExecutionInProgress(id), true],
  ["beginExecution", (store, id) => store.beginExecution(id), undefined],
  ["isExecutionTaskInProgress", (store, id) => store.isExecutionTaskInProgress(id, "task-0"), false],
  ["beginExecutionTask", (store, id) => store.beginExecutionTask(id, "task-0"), undefined],
])("%s works", async (_, call, expected) => {
  // What is carried is more than the limit; what is asked for is not.
  const alone = temporaryStore(server.url, { commandTimeout: 20_000 });
  expect(await call(alone, IDS[0])).toBe(expected);
  const together = temporaryStore(server.url, { commandTimeout: 20_001 });
  const begun = performance.now();
  expect(await Promise.all(IDS.map((id) => call(together, id)))).toEqual(IDS.map(() => expected));
  expect(performance.now() - begun).toBeLessThan(10_000);
});
