// The worker's contract over valkey-glide, with one server and with a cluster.
import { afterAll, beforeAll } from "vitest";
import { describeContract } from "../support/contract.mjs";
import { GLIDE_INPUTS } from "../support/glide-inputs.mjs";
import { sharedRedis } from "../support/redis.mjs";
import { startCluster } from "../support/topologies.mjs";

const { url, newId } = sharedRedis();
let cluster;

beforeAll(async () => {
  cluster = await startCluster();
});

afterAll(() => cluster?.stop());

describeContract(GLIDE_INPUTS, () => ({ url, clusterUrl: cluster.url }), newId);
