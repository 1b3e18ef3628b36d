// The worker's contract with the options that let things expire by themselves: all that the server can do of them.
import { afterAll, beforeAll } from "vitest";
import { describeContract } from "../support/contract.mjs";
import { NATIVE_INPUTS, TOPOLOGY_INPUTS } from "../support/inputs.mjs";
import { hasFieldExpiryOn } from "../support/places.mjs";
import { sharedRedis } from "../support/redis.mjs";
import { startTopologies } from "../support/topologies.mjs";

const HOUR = 3_600_000;

const { url, admin, newId } = sharedRedis();
const inputs = [NATIVE_INPUTS[0], ...TOPOLOGY_INPUTS].map((input) => ({
  ...input,
  options: { ...input.options, orphanTtl: HOUR },
}));
let topologies;

beforeAll(async () => {
  topologies = await startTopologies();
  if (await hasFieldExpiryOn(admin)) for (const { options } of inputs) options.inProgressTtl = HOUR;
});

afterAll(() => topologies?.stop());

describeContract(inputs, () => ({ url, ...topologies }), newId);
