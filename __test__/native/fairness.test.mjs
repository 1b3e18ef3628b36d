// Stores that share a connection: one that asks one question after the other does not wait for all that another one has asked.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startRestEndpoint } from "../../tooling/servers/rest-endpoint.mjs";
import { sharedRedis } from "../support/redis.mjs";
import { temporaryStore } from "../support/temporary.mjs";

const { url, newId } = sharedRedis();

let rest;
beforeAll(async () => {
  rest = await startRestEndpoint({ redisUrl: url });
});
afterAll(() => rest?.stop());

/** How each is reached, and how many calls one store has in flight at any time. */
const WAYS = [
  { name: "over a connection", input: () => url, width: 20_000, questions: 50 },
  { name: "over HTTP", input: () => ({ url: rest.url, token: rest.token }), width: 20_000, questions: 20 },
];

describe.each(WAYS)("$name", ({ input, width, questions }) => {
  it("a question of one store is answered before most of what another one had asked", async () => {
    const options = { readAhead: false, commandTimeout: 60_000 };
    const [busy, other] = [temporaryStore(input(), options), temporaryStore(input(), options)];
    const id = newId();
    await Promise.all([busy.isExecutionInProgress(id), other.isExecutionInProgress(id)]);
    let answered = 0;
    let stopped = false;
    const lanes = Array.from({ length: width }, async (_, index) => {
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
    expect(meanwhile[questions / 2]).toBeLessThan(width / 2);
  });
});
