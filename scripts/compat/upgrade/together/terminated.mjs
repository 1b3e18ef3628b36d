// Threads are ended from outside, with calls of both in flight.
import { strictEqual } from "node:assert";
import { once } from "node:events";
import { createRequire } from "node:module";
import { Worker } from "node:worker_threads";

const [first, second, url] = process.argv.slice(2);
const busy = `
  const { parentPort, workerData: { homes, url } } = require("node:worker_threads");
  const stores = homes.map((home) => require(home).createRedisStore(url));
  const work = async (store) => {
    for (let call = 0; ; call += 1) await store.commitExecutionTaskResult("terminated", String(call % 100), call);
  };
  for (const store of stores) for (let each = 0; each < 20; each += 1) work(store).catch(() => {});
  Promise.all(stores.map((store) => store.isExecutionInProgress("terminated"))).then(() => parentPort.postMessage("busy"));
`;
for (let round = 0; round < 5; round += 1) {
  const homes = round % 2 ? [first, second] : [second, first];
  const thread = new Worker(busy, { eval: true, workerData: { homes, url } });
  await once(thread, "message");
  strictEqual(await thread.terminate(), 1);
}
const require = createRequire(import.meta.url);
for (const home of [first, second]) {
  const store = require(home).createRedisStore(url);
  strictEqual(await store.isExecutionInProgress("terminated"), false);
  await store.close();
}
console.log("checked");
