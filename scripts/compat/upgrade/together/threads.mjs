// The main thread has both; beside it threads with one, the other or both come and go.
import { strictEqual } from "node:assert";
import { once } from "node:events";
import { createRequire } from "node:module";
import { Worker } from "node:worker_threads";

const [first, second, url] = process.argv.slice(2);
const require = createRequire(import.meta.url);
const stores = [first, second].map((home) => require(home).createRedisStore(url));
await stores[0].beginExecution("threads");
const rounds = 4;
for (let round = 0; round < rounds; round += 1) {
  const threads = [[first], [second], [first, second], [second, first]].map((homes, index) => {
    const workerData = { homes, url, task: `${round}-${index}` };
    return new Worker(new URL("thread.cjs", import.meta.url), { workerData });
  });
  const codes = await Promise.all(threads.map((thread) => once(thread, "exit").then(([code]) => code)));
  strictEqual(codes.join(), "0,0,0,0");
  for (const store of stores) strictEqual(await store.isExecutionInProgress("threads"), true);
}
// Threads with one and with two releases: six results a round.
strictEqual(Object.keys(await stores[1].getExecutionTaskResults("threads")).length, rounds * 6);
console.log("checked");
