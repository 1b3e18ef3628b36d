// The worker's contract over ioredis 4 to 6, iovalkey and what is made of them.
import { afterAll, beforeAll } from "vitest";
import { describeContract } from "../support/contract.mjs";
import { IOREDIS_INPUTS, IOREDIS_LOOKALIKES, IOREDIS_REPLIES } from "../support/ioredis-inputs.mjs";
import { sharedRedis } from "../support/redis.mjs";
import { startTopologies } from "../support/topologies.mjs";

const { url, newId } = sharedRedis();
let topologies;

beforeAll(async () => {
  topologies = await startTopologies();
});

afterAll(() => topologies?.stop());

describeContract([...IOREDIS_INPUTS, ...IOREDIS_REPLIES, ...IOREDIS_LOOKALIKES], () => ({ url, ...topologies }), newId);
