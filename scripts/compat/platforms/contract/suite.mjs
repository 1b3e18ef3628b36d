// The worker's contract on the installed package. It runs in a project that has the checkout's `__test__/support` beside it.
import { describeContract } from "./__test__/support/contract.mjs";
import { CLIENT_INPUTS, NATIVE_INPUTS } from "./__test__/support/inputs.mjs";
import { sharedRedis } from "./__test__/support/redis.mjs";

const { url, newId } = sharedRedis();
const unixSocketPath = process.env.REDIS_UNIX_SOCKET;
const inputs = [...NATIVE_INPUTS, ...CLIENT_INPUTS].filter(({ unixSocket }) => unixSocketPath || !unixSocket);

describeContract(inputs, () => ({ url, unixSocketPath }), newId);
