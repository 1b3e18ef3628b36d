// What a worker thread does: each release that it is told of commits a result, and some of the stores are closed.
const { workerData } = require("node:worker_threads");

const { homes, url, task } = workerData;

async function main() {
  const stores = homes.map((home) => require(home).createRedisStore(url));
  for (const [index, store] of stores.entries()) {
    await store.commitExecutionTaskResult("threads", `${task}-${index}`, index);
    if ((await store.getExecutionTaskResult("threads", `${task}-${index}`)) !== index)
      throw new Error("another result");
  }
  // Of two one stays open.
  await stores[0].close();
}

main();
