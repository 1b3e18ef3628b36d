// Answers that are lost after the server has acted: what is sent again leaves the same state and the same answer.
import { afterAll, describe, expect, it } from "vitest";
import { ioredisConfiguration } from "../support/inputs.mjs";
import { METHODS } from "../support/methods.mjs";
import { eventually, sharedRedis } from "../support/redis.mjs";
import { note } from "../support/scale.mjs";
import { temporaryProxy, temporaryStore } from "../support/temporary.mjs";

const { url, dump, newId } = sharedRedis();
const configuration = ioredisConfiguration(url);
const STYLES = [
  ["without a ttl", {}],
  ["with a ttl", { ttl: 600_000 }],
  ["with a sliding ttl", { ttl: 600_000, slidingTtl: true }],
];
let lost = 0;

afterAll(() => {
  note({
    scenario: "answer lost after the server had acted, on each of the eight calls, with and without a ttl",
    done: `${lost} answers lost`,
    found: "0 retries that left another state or gave another answer",
    promise: "0",
  });
});

describe.each(STYLES)("an answer that is lost, %s", (_, options) => {
  it.each(METHODS)("changes nothing of %s", async (method) => {
    const direct = temporaryStore(url, options);
    /** An execution with something in each of its keys. */
    const prepared = async () => {
      const id = newId();
      await direct.beginExecution(id);
      await direct.beginExecutionTask(id, "task");
      await direct.beginExecutionTask(id, "other");
      await direct.commitExecutionTaskResult(id, "done", { total: 7 });
      return id;
    };
    const call = (store, id) => store[method](id, method === "getExecutionTaskResult" ? "done" : "task", { total: 8 });

    const undisturbed = await prepared();
    const answer = await call(direct, undisturbed);

    const proxy = await temporaryProxy(configuration);
    const store = temporaryStore({ ...configuration, host: proxy.host, port: proxy.port }, options);
    const id = await prepared();
    await store.isExecutionInProgress(newId());
    // The next connection loses its first answer as well.
    for (let index = 0; index < 2; index++) proxy.connections[index]?.hold("toClient");
    proxy.holdNew("toClient");
    const again = call(store, id);
    await eventually(() => proxy.connections[0].held("toClient"), { message: "the answer at the proxy" });
    proxy.connections[0].cut();
    await eventually(() => proxy.connections[1]?.held("toClient"), { message: "the next connection" });
    proxy.connections[1].release("toClient", proxy.connections[1].held("toClient").length);
    await eventually(() => proxy.connections[1].held("toClient"), { message: "the second answer at the proxy" });
    proxy.holdNew();
    proxy.connections[1].cut();
    expect(await again).toEqual(answer);
    expect(await dump(id)).toEqual(await dump(undisturbed));
    lost += 2;
  });
});
