// The main thread never loads either; one thread at a time does, until it ends.
import { strictEqual } from "node:assert";
import { once } from "node:events";
import { Worker } from "node:worker_threads";

const [first, second, url] = process.argv.slice(2);
for (const homes of [[first], [second], [first], [second, first], [second], [first, second]]) {
  const workerData = { homes, url, task: homes.join() };
  const thread = new Worker(new URL("thread.cjs", import.meta.url), { workerData });
  strictEqual((await once(thread, "exit"))[0], 0);
}
console.log("checked");
