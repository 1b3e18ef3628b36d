// The worker's contract over Upstash and Vercel KV, with default settings and with others.
import { afterAll, beforeAll } from "vitest";
import { startRestEndpoint } from "../../tooling/servers/rest-endpoint.mjs";
import { describeContract } from "../support/contract.mjs";
import { sharedRedis } from "../support/redis.mjs";
import { UPSTASH_INPUTS } from "../support/upstash-inputs.mjs";

const { url, newId } = sharedRedis();
let rest;

beforeAll(async () => {
  rest = await startRestEndpoint({ redisUrl: url });
});

afterAll(() => rest?.stop());

describeContract(UPSTASH_INPUTS, () => ({ url, rest }), newId);
