// The worker's contract with `claim`, by a caller who begins executions before their tasks, and takes a task that is not its own for one
// in progress, as the worker does.
import { afterAll, beforeAll } from "vitest";
import { startRestEndpoint } from "../../tooling/servers/rest-endpoint.mjs";
import { describeContract } from "../support/contract.mjs";
import { NATIVE_INPUTS, TOPOLOGY_INPUTS } from "../support/inputs.mjs";
import { sharedRedis } from "../support/redis.mjs";
import { startTopologies } from "../support/topologies.mjs";

class Taken extends Error {}

const { url, newId } = sharedRedis();
const upstash = { name: "Upstash", backend: "upstash", make: ({ rest }) => ({ url: rest.url, token: rest.token }) };
const inputs = [NATIVE_INPUTS[0], ...TOPOLOGY_INPUTS, upstash].map((input) => ({
  ...input,
  // What it leaves in Redis is another mark.
  at: undefined,
  options: { ...input.options, claim: () => new Taken("in progress already") },
  wrap: (store) => ({
    ...store,
    async beginExecutionTask(executionId, taskId) {
      if (!(await store.isExecutionInProgress(executionId))) await store.beginExecution(executionId);
      await store.beginExecutionTask(executionId, taskId).catch((error) => {
        if (!(error instanceof Taken)) throw error;
      });
    },
  }),
}));
let topologies;
let rest;

beforeAll(async () => {
  [topologies, rest] = await Promise.all([startTopologies(), startRestEndpoint({ redisUrl: url })]);
});

afterAll(() => Promise.all([topologies?.stop(), rest?.stop()]));

describeContract(inputs, () => ({ url, rest, ...topologies }), newId);
