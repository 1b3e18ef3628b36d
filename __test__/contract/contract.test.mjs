// The worker's contract over addresses, configuration objects and clients of the caller's own.
import { beforeAll } from "vitest";
import { describeContract } from "../support/contract.mjs";
import { CLIENT_INPUTS, NATIVE_INPUTS } from "../support/inputs.mjs";
import { privateRedis, sharedRedis } from "../support/redis.mjs";

const { url, newId } = sharedRedis();
let servers;

beforeAll(async () => {
  const { unixSocketPath } = await privateRedis({ unixSocket: true });
  servers = { url, unixSocketPath };
});

describeContract([...NATIVE_INPUTS, ...CLIENT_INPUTS], () => servers, newId);
