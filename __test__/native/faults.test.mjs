// What a store promises while its server is stopped or gone.
import { describe, expect, it } from "vitest";
import { freePort } from "../../tooling/servers/redis-server.mjs";
import { privateRedis, sharedRedis } from "../support/redis.mjs";
import { outcomeOf, temporaryClient, temporaryStore } from "../support/temporary.mjs";

const { url, newId } = sharedRedis();

describe("a server that is stopped for longer than the deadline", () => {
  it("has every call settled with ERR_REDIS_TIMEOUT, and writes say whether they were sent", async () => {
    const server = await privateRedis();
    const store = temporaryStore(server.url, { commandTimeout: 1500 });
    const id = newId();
    await store.beginExecution(id);
    server.pause();
    // In another turn of the event loop what the first call read ahead answers nothing.
    await new Promise((resolve) => setTimeout(resolve, 5));
    const sent = await Promise.all([
      outcomeOf(store.commitExecutionTaskResult(id, "task", 1)),
      outcomeOf(store.isExecutionInProgress(id)),
    ]);
    // By now the connection has been given up, so that this one is never sent.
    const queued = await outcomeOf(store.commitExecutionTaskResult(id, "late", 1));
    for (const { error } of [...sent, queued]) {
      expect(error).toMatchObject({ name: "RedisStoreError", code: "ERR_REDIS_TIMEOUT", executionId: id });
      expect(error.message).toContain("1500 ms");
    }
    expect(sent[0].error.message).toContain("The command had been sent, so it may have been applied");
    expect(sent[1].error.message).not.toContain("applied");
    expect(queued.error.message).toContain("The command had not been sent, so it was not applied");
    server.resume();
    expect(await store.isExecutionInProgress(id)).toBe(true);
    expect(await store.getExecutionTaskResult(id, "late")).toBe(undefined);
  });

  it("has calls that are made one after the other settled each by its own deadline", async () => {
    const server = await privateRedis();
    const commandTimeout = 2000;
    const store = temporaryStore(server.url, { commandTimeout });
    server.pause();
    const took = [];
    for (let index = 0; index < 20; index++) {
      const started = performance.now();
      took.push(outcomeOf(store.beginExecution(newId())).then(() => performance.now() - started));
      // The next one comes in a later turn of the event loop, and finds the I/O thread asleep.
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    expect(Math.max(...(await Promise.all(took)))).toBeLessThan(commandTimeout * 1.75);
    server.resume();
  });

  it("works again afterwards, and no answer belongs to another call", async () => {
    const server = await privateRedis();
    const store = temporaryStore(server.url, { commandTimeout: 1000 });
    const looking = temporaryClient(server);
    const id = newId();
    const tasks = Array.from({ length: 4000 }, (_, index) => `task-${index}`);
    const commit = (task) => outcomeOf(store.commitExecutionTaskResult(id, task, `result of ${task}`));

    const outcomes = tasks.slice(0, 2000).map(commit);
    await outcomes[0];
    server.pause();
    outcomes.push(...tasks.slice(2000).map(commit));
    const settled = await Promise.all(outcomes);
    server.resume();

    expect(await store.isExecutionInProgress(id)).toBe(false);
    const results = await store.getExecutionTaskResults(id);
    const oneByOne = await Promise.all(tasks.map((task) => store.getExecutionTaskResult(id, task)));
    expect(await looking.hlen(`${id}-results`)).toBe(Object.keys(results).length);
    expect(settled.some(({ error }) => error !== undefined)).toBe(true);
    for (const [index, { error }] of settled.entries()) {
      const [task, result] = [tasks[index], oneByOne[index]];
      expect(results[task]).toBe(result);
      if (error === undefined) expect(result).toBe(`result of ${task}`);
      else if (error.message.includes("was not applied")) expect(result).toBe(undefined);
      else expect([undefined, `result of ${task}`]).toContain(result);
    }
  });

  it("has the call above maxPending refused at once, and more taken when the others are done", async () => {
    const server = await privateRedis();
    const maxPending = 1000;
    const store = temporaryStore(server.url, { commandTimeout: 30_000, maxPending, readAhead: false });
    const id = newId();
    await store.beginExecution(id);
    server.pause();
    let answered = 0;
    const pending = Array.from({ length: maxPending }, async () => {
      const answer = await store.isExecutionInProgress(id);
      answered += 1;
      return answer;
    });
    for (const refused of [store.isExecutionInProgress(id), store.commitExecutionTaskResult(id, "task", 1)]) {
      await expect(refused).rejects.toMatchObject({ code: "ERR_REDIS_OVERLOADED", executionId: id });
    }
    expect(answered).toBe(0);
    server.resume();
    expect(await Promise.all(pending)).toEqual(Array(maxPending).fill(true));
    await store.commitExecutionTaskResult(id, "task", 2);
    expect(await store.getExecutionTaskResult(id, "task")).toBe(2);
  });
});

describe("a server that is not there", () => {
  it("has every call settled with ERR_REDIS_CONNECTION that names the address and asks whether Redis runs", async () => {
    const away = await freePort();
    const store = temporaryStore({ host: "127.0.0.1", port: away }, { commandTimeout: 500 });
    const id = newId();
    const [read, write] = await Promise.all([
      outcomeOf(store.isExecutionInProgress(id)),
      outcomeOf(store.beginExecution(id)),
    ]);
    for (const { error } of [read, write]) {
      expect(error).toMatchObject({ name: "RedisStoreError", code: "ERR_REDIS_CONNECTION", executionId: id, key: id });
      expect(error.message).toContain(`ECONNREFUSED 127.0.0.1:${away}: is Redis running?`);
    }
    expect(write.error.message).toContain("The command had not been sent, so it was not applied");
  });

  it.each(["redis", "rediss"])("says so when it is the host name that is wrong, with %s://", async (scheme) => {
    const store = temporaryStore(`${scheme}://no-such-host.invalid:6379`, { commandTimeout: 500 });
    const { error } = await outcomeOf(store.isExecutionInProgress(newId()));
    expect(error).toMatchObject({ code: "ERR_REDIS_CONNECTION", cause: expect.any(Error) });
    expect(error.message).toContain("ENOTFOUND no-such-host.invalid:6379: is the host name right");
  });

  it("has a waiting call succeed when it appears within the deadline", async () => {
    const later = await freePort();
    const store = temporaryStore({ host: "127.0.0.1", port: later }, { commandTimeout: 30_000 });
    const id = newId();
    const waiting = store.beginExecution(id);
    await privateRedis({ port: later });
    await waiting;
    expect(await store.isExecutionInProgress(id)).toBe(true);
  });
});

describe("many calls at once", () => {
  it("are answered each with its own, ten thousand of them", async () => {
    const store = temporaryStore(url, { commandTimeout: 30_000 });
    const id = newId();
    const tasks = Array.from({ length: 10_000 }, (_, index) => `task-${index}`);
    await Promise.all(tasks.map((task) => store.commitExecutionTaskResult(id, task, `result of ${task}`)));
    const results = await Promise.all(tasks.map((task) => store.getExecutionTaskResult(id, task)));
    expect(results).toEqual(tasks.map((task) => `result of ${task}`));
    expect(Object.keys(await store.getExecutionTaskResults(id)).length).toBe(tasks.length);
  });
});
