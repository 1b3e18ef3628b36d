// The worker's contract over node-redis 4 to 6: clients, clusters, pools and Sentinel.
import { afterAll, beforeAll } from "vitest";
import { describeContract } from "../support/contract.mjs";
import { NODE_REDIS_INPUTS } from "../support/node-redis-inputs.mjs";
import { sharedRedis } from "../support/redis.mjs";
import { startTopologies } from "../support/topologies.mjs";

const { url, newId } = sharedRedis();
let topologies;

beforeAll(async () => {
  topologies = await startTopologies();
});

afterAll(() => topologies?.stop());

describeContract(NODE_REDIS_INPUTS, () => ({ url, ...topologies }), newId);
