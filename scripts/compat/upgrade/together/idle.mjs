// Nothing is closed: an idle store keeps no process alive, whoever made it.
import { deepStrictEqual } from "node:assert";
import { createRequire } from "node:module";

const [first, second, url] = process.argv.slice(2);
const require = createRequire(import.meta.url);
const stores = [first, second].map((home) => require(home).createRedisStore(url));
await stores[0].beginExecution("idle");
await stores[1].commitExecutionTaskResult("idle", "task", [1]);
deepStrictEqual(await Promise.all(stores.map((store) => store.isExecutionInProgress("idle"))), [true, true]);
deepStrictEqual(await stores[0].getExecutionTaskResult("idle", "task"), [1]);
console.log("checked");
