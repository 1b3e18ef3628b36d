// Stores that share a connection: one that asks one question after the other does not wait for all that another one has asked.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startMasters } from "../../tooling/servers/cluster.mjs";
import { sharedRedis } from "../support/redis.mjs";
import { temporaryStore } from "../support/temporary.mjs";

const { url, newId } = sharedRedis();
/** Calls that one store has in flight at any time. */
const WIDTH = 20_000;
const QUESTIONS = 50;

async function questionsBesideThousands(redis) {
  const options = { readAhead: false, commandTimeout: 30_000 };
  const [busy, other] = [temporaryStore(redis, options), temporaryStore(redis, options)];
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
  for (let question = 0; question < QUESTIONS; question++) {
    const before = answered;
    await other.isExecutionInProgress(id);
    meanwhile.push(answered - before);
  }
  stopped = true;
  await Promise.all(lanes);
  meanwhile.sort((a, b) => a - b);
  expect(meanwhile[QUESTIONS / 2]).toBeLessThan(WIDTH / 2);
}

describe("a question of one store is answered before most of what another one had asked", () => {
  it("of one server", () => questionsBesideThousands(url));

  describe("of a cluster", () => {
    let cluster;
    beforeAll(async () => {
      cluster = await startMasters({ replicas: 0 });
    });
    afterAll(() => cluster?.stop());

    it("over the connections of its nodes", () => questionsBesideThousands(cluster.startup));
  });
});
