// The process ends while both have calls in flight and results on their way.
import { createRequire } from "node:module";

const [first, second, url] = process.argv.slice(2);
const require = createRequire(import.meta.url);
const stores = [first, second].map((home) => require(home).createRedisStore(url));
await Promise.all(stores.map((store) => store.beginExecution("exit")));
for (let call = 0; call < 400; call += 1) {
  stores[call % 2].commitExecutionTaskResult("exit", `task-${call % 20}`, "x".repeat(1_000)).catch(() => {});
  stores[(call + 1) % 2].getExecutionTaskResults("exit").catch(() => {});
}
await stores[0].isExecutionInProgress("exit");
console.log("checked");
process.exit(0);
