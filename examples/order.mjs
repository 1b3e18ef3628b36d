/**
 * The smallest program around the store: one order in one process, with a queue in memory. `REDIS_URL` names the server,
 * and the addon has to be built first:
 *
 * node tooling/setup.mjs
 * REDIS_URL=redis://localhost:6379 node examples/order.mjs
 */
import { createRedisStoreFromEnv } from "@idioteque/redis";
import { registerOrderWorkflow, SAMPLE_ORDER } from "../tooling/workflow/order-workflow.mjs";
import { createWorker } from "../tooling/workflow/worker.mjs";

const TTL_MS = 60_000;
const STEP_MS = 10;

const print = (entry) => console.log(JSON.stringify(entry));
const queue = [];
const store = createRedisStoreFromEnv({ ttl: TTL_MS });
const worker = createWorker({ store, dispatcher: { dispatch: (message) => queue.push(message) } });
registerOrderWorkflow(worker, { journal: print, duration: () => STEP_MS });

const executionId = await worker.publish({ name: "order.placed", data: SAMPLE_ORDER });
for (let message = queue.shift(); message; message = queue.shift()) await worker.handle(message);

print({ event: "over", backend: store.backend, inProgress: await store.isExecutionInProgress(executionId) });
await store.close();
