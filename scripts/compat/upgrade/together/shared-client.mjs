// One client for both: neither connects, closes or changes it, nor what the other makes of it.
import { rejects, strictEqual } from "node:assert";
import { once } from "node:events";
import { createRequire } from "node:module";
import { Redis } from "ioredis";

const [first, second, url] = process.argv.slice(2);
const require = createRequire(import.meta.url);
for (const connection of ["auto", "client"]) {
  const client = new Redis(url, { lazyConnect: true });
  const properties = Object.getOwnPropertyNames(client).sort().join();
  const stores = [first, second].map((home) => require(home).createRedisStore(client, { connection }));
  await stores[0].beginExecution("shared");
  strictEqual(await stores[1].isExecutionInProgress("shared"), true);
  // Over a connection of the stores' own the client is never used.
  strictEqual(client.status, connection === "auto" ? "wait" : "ready");
  await stores[0].close();
  strictEqual(await stores[1].isExecutionInProgress("shared"), true);
  await stores[1].close();
  if (connection === "auto") strictEqual(Object.getOwnPropertyNames(client).sort().join(), properties);
  strictEqual(await client.ping(), "PONG");
  const [one, other] = [first, second].map((home) => require(home).createRedisStore(client, { connection }));
  await Promise.all([one.isExecutionInProgress("shared"), other.isExecutionInProgress("shared")]);
  // The end of the client is the end of both; for the earlier release, when its socket has closed.
  const ended = once(client, "end");
  await client.quit();
  await ended;
  for (const store of [one, other]) await rejects(store.isExecutionInProgress("shared"), { name: "RedisStoreError" });
  await Promise.all([one.close(), other.close()]);
}
console.log("checked");
