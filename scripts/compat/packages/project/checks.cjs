"use strict";
// What an installed package has to show on every runtime: the eight calls, a ttl, errors, and closing. The process is
// then to end by itself. Runs on Node.js 16, Bun and Deno alike.

const assert = require("node:assert");
const { createConnection } = require("node:net");

module.exports = async function check({ createRedisStore, RedisStoreError }) {
  const url = process.env.REDIS_URL;
  const id = `package-${process.pid}-${Date.now()}-${Math.random()}`;
  const store = createRedisStore(url, { ttl: 60_000 });
  assert.strictEqual(store.backend, "redis");

  await store.beginExecution(id);
  assert.strictEqual(await store.isExecutionInProgress(id), true);
  await store.beginExecutionTask(id, "task");
  assert.strictEqual(await store.isExecutionTaskInProgress(id, "task"), true);
  await store.commitExecutionTaskResult(id, "task", { total: 12.5, text: "задача 🚀" });
  assert.strictEqual(await store.isExecutionTaskInProgress(id, "task"), false);
  const result = { total: 12.5, text: "задача 🚀" };
  same(await store.getExecutionTaskResult(id, "task"), result);
  same(await store.getExecutionTaskResults(id), { task: result });
  for (const key of [id, `${id}-results`]) {
    const left = Number((await ask(url, `PTTL ${key}`)).slice(1));
    assert.ok(left > 0 && left <= 60_000, `${key} expires in ${left} ms`);
  }
  await Promise.all(Array.from({ length: 500 }, (_, at) => store.commitExecutionTaskResult(id, `task-${at}`, at)));
  assert.strictEqual(Object.keys(await store.getExecutionTaskResults(id)).length, 501);

  const cyclic = {};
  cyclic.self = cyclic;
  await rejects(store.commitExecutionTaskResult(id, "task", cyclic), "ERR_REDIS_SERIALIZE");
  await ask(url, `DEL ${id}-results`);
  await ask(url, `SET ${id}-results text`);
  const error = await rejects(store.getExecutionTaskResults(id), "ERR_REDIS_REPLY");
  assert.strictEqual(error.reply, "WRONGTYPE");
  assert.throws(() => createRedisStore(url, { ttl: -1 }), { name: "RangeError" });

  await store.disposeExecution(id);
  assert.strictEqual(await store.isExecutionInProgress(id), false);
  await store.close();
  await rejects(store.isExecutionInProgress(id), "ERR_REDIS_CLOSED");

  // One that is never closed: it must not keep the process alive.
  assert.strictEqual(await createRedisStore(url).isExecutionInProgress(id), false);

  async function rejects(promise, code) {
    const caught = await promise.then(
      () => assert.fail(`should have been rejected with ${code}`),
      (reason) => reason,
    );
    assert.ok(caught instanceof RedisStoreError, String(caught));
    assert.strictEqual(caught.code, code);
    return caught;
  }
};

/** Compares contents: in the contexts of test runners, the prototypes of results are those of the process. */
function same(actual, expected) {
  assert.strictEqual(JSON.stringify(actual), JSON.stringify(expected));
}

/** One command and the first line of its reply, past the store. */
function ask(url, command) {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    const socket = createConnection(Number(port), hostname, () => socket.write(`${command}\r\n`));
    socket.once("error", reject);
    socket.once("data", (reply) => {
      socket.destroy();
      resolve(reply.toString().split("\r\n")[0]);
    });
  });
}
