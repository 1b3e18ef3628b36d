// The worker's contract over Sentinel and Redis Cluster, where the store finds its way by itself.
import { afterAll, beforeAll } from "vitest";
import { describeContract } from "../support/contract.mjs";
import { TOPOLOGY_INPUTS } from "../support/inputs.mjs";
import { sharedRedis } from "../support/redis.mjs";
import { startTopologies } from "../support/topologies.mjs";

const { url, newId } = sharedRedis();
let topologies;

beforeAll(async () => {
  topologies = await startTopologies();
});

afterAll(() => topologies?.stop());

describeContract(TOPOLOGY_INPUTS, () => ({ url, ...topologies }), newId);
