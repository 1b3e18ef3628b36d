// Stores that share a connection: one that asks one question after the other does not wait for all that another one has asked.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startMasters } from "../../tooling/servers/cluster.mjs";
import { startRestEndpoint } from "../../tooling/servers/rest-endpoint.mjs";
import { sharedRedis } from "../support/redis.mjs";
import { temporaryStore } from "../support/temporary.mjs";

const { url, newId } = sharedRedis();
/** Calls that one store has in flight at any time. */
const WIDTH = 20_000;

let cluster;
let rest;
beforeAll(async () => {
  cluster = await startMasters({ replicas: 0 });
  rest = await startRestEndpoint({ redisUrl: url });
});
afterAll(() => Promise.all([cluster?.stop(), rest?.stop()]));

const WAYS = [
  { name: "over a connection", input: () => url, questions: 50 },
  { name: "over the connections of a cluster's nodes", input: () => cluster.startup, questions: 50 },
  { name: "over HTTP", input: () => ({ url: rest.url, token: rest.token }), questions: 20 },
];

describe.each(WAYS)("$name", ({ input, questions }) => {
  it("a question of one store is answered before most of what another one had asked", async () => {
    const options = { readAhead: false, commandTimeout: 60_000 };
    const [busy, other] = [temporaryStore(input(), options), temporaryStore(input(), options)];
    const id = newId();
    await Promise.all([busy.isExecutionInProgress(id), other.isExecutionInProgress(id)]);
    let answered = 0;
    let stopped = false;
    const lanes = Array.from({ length: WIDTH }, async (_, index) => {
      while (!stopped) {
        await busy.isExecutionInProgress(`${id}-${index}`);
        answered += 1;
      }
    });
    const meanwhile = [];
    for (let question = 0; question < questions; question++) {
      const before = answered;
      await other.isExecutionInProgress(id);
      meanwhile.push(answered - before);
    }
    stopped = true;
    await Promise.all(lanes);
    meanwhile.sort((a, b) => a - b);
    expect(meanwhile[questions / 2]).toBeLessThan(WIDTH / 2);
  });
});
