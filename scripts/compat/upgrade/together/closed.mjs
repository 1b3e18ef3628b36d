// The end of one is not the end of the other.
import { ok, rejects, strictEqual } from "node:assert";
import { createRequire } from "node:module";

const [first, second, url] = process.argv.slice(2);
const require = createRequire(import.meta.url);
const libs = [first, second].map((home) => require(home));
ok(libs[0].RedisStoreError !== libs[1].RedisStoreError);
const stores = libs.map(({ createRedisStore }) => createRedisStore(url));
await Promise.all(stores.map((store) => store.beginExecution("closed")));

for (const [index, store] of stores.entries()) {
  const other = stores[1 - index];
  const inFlight = Array.from({ length: 100 }, () => other.isExecutionInProgress("closed"));
  if (index === 0) {
    await store.close();
    for (const answer of await Promise.all(inFlight)) strictEqual(answer, true);
  } else {
    await Promise.allSettled(inFlight);
    await store.close();
  }
  const refused = (error) => error instanceof libs[index].RedisStoreError && error.code === "ERR_REDIS_CLOSED";
  await rejects(store.isExecutionInProgress("closed"), refused);
  // Not the class of the other, which has the same name.
  await rejects(store.isExecutionInProgress("closed"), (error) => !(error instanceof libs[1 - index].RedisStoreError));
}
// A store after all others have ended.
for (const { createRedisStore } of libs) {
  const again = createRedisStore(url);
  strictEqual(await again.isExecutionInProgress("closed"), true);
  await again.close();
}
console.log("checked");
