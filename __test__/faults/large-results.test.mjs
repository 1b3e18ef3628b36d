// Answers at the limit of what can be read: a hash of real results beyond it is refused as soon as that is known, one below it
// is read, and the memory that either takes is bounded.
import { expect, it } from "vitest";
import { runScript } from "../support/child.mjs";
import { privateRedis } from "../support/redis.mjs";
import { note } from "../support/scale.mjs";
import { temporaryClient } from "../support/temporary.mjs";

const MB = 1024 * 1024;
/** Of one task. */
const RESULT_MB = 100;
/** What a refused answer may take: what came of it before its length was known, up to the limit, and one result. */
const MAX_MB = 512 + RESULT_MB + 100;

it("refuses a hash that is larger than the limit, and reads each of its results", async () => {
  const server = await privateRedis();
  const admin = temporaryClient(server);
  const fill = `
    local value = '"' .. string.rep('x', tonumber(ARGV[2]) - 2) .. '"'
    for task = 1, tonumber(ARGV[1]) do redis.call('HSET', KEYS[1], task, value) end
  `;
  await admin.eval(fill, 1, "large-results", 6, RESULT_MB * MB);
  await admin.eval(fill, 1, "smaller-results", 2, RESULT_MB * MB);
  const script = `
    const store = createRedisStore(args.url, { commandTimeout: 60_000, readAhead: false });
    const memory = () => process.resourceUsage().maxRSS / 1024;
    await store.isExecutionInProgress("large");
    const before = memory();
    const { code, key, message } = await store.getExecutionTaskResults("large").catch((error) => error);
    const grown = memory() - before;
    const result = await store.getExecutionTaskResult("large", "6");
    const smaller = await store.getExecutionTaskResults("smaller");
    const lengths = [result, ...Object.values(smaller)].map(({ length }) => length);
    await store.close();
    console.log(JSON.stringify({ code, key, message, grown, lengths }));
  `;
  const { lines, errors } = await runScript(script, { args: { url: server.url }, deadline: 80_000 });
  expect(lines, errors).toHaveLength(1);
  const { code, key, message, grown, lengths } = JSON.parse(lines[0]);
  expect({ code, key }).toEqual({ code: "ERR_REDIS_REPLY", key: "large-results" });
  expect(message).toContain("larger than 512 MB");
  expect(lengths).toEqual([1, 2, 3].map(() => RESULT_MB * MB - 2));
  expect(grown).toBeLessThan(MAX_MB);
  note({
    scenario: `results of ${6 * RESULT_MB} MiB in one hash, read at once and one by one`,
    done: "1 hash, 6 results",
    found: `refused with ERR_REDIS_REPLY and ${Math.round(grown)} MB more memory; each result can be read`,
    promise: "an error that names the key, bounded memory",
  });
});
