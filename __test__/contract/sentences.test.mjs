// The same failure has the same sentence, whether a store has a connection of its own or calls the methods of a client.
import { expect, it } from "vitest";
import { sharedRedis } from "../support/redis.mjs";
import { temporaryClient, temporaryStore } from "../support/temporary.mjs";

const { url, admin, newId } = sharedRedis();
const client = temporaryClient({ url });

const rejection = (promise) =>
  promise.then(
    () => expect.fail("resolved"),
    (error) => error,
  );

const thrower = (thrown) => ({
  toJSON() {
    throw thrown;
  },
});

const CIRCLE = {};
CIRCLE.itself = CIRCLE;

/** How to make a store fail: with its options, and a call on it. */
const FAILURES = {
  "the store is closed": {
    async call(store, id) {
      await store.close();
      return store.beginExecution(id);
    },
  },
  "too many calls": {
    options: { maxPending: 1 },
    async call(store, id) {
      const first = store.isExecutionInProgress(id);
      const error = await rejection(store.commitExecutionTaskResult(id, "task", 1));
      await first;
      throw error;
    },
  },
  "undefined has no JSON form": { call: (store, id) => store.commitExecutionTaskResult(id, "task", undefined) },
  "a BigInt has no JSON form": { call: (store, id) => store.commitExecutionTaskResult(id, "task", 1n) },
  "a circle has no JSON form": { call: (store, id) => store.commitExecutionTaskResult(id, "task", CIRCLE) },
  "an error is thrown": { call: (store, id) => store.commitExecutionTaskResult(id, "t", thrower(new Error("mine"))) },
  "a string is thrown": { call: (store, id) => store.commitExecutionTaskResult(id, "task", thrower("mine")) },
  "a number is thrown": { call: (store, id) => store.commitExecutionTaskResult(id, "task", thrower(42)) },
  "null is thrown": { call: (store, id) => store.commitExecutionTaskResult(id, "task", thrower(null)) },
  "no message is thrown": {
    call: (store, id) => store.commitExecutionTaskResult(id, "t", thrower(Object.create(null))),
  },
  "an empty id": { call: (store) => store.beginExecution("") },
  "an array as an id": { call: (store, id) => store.beginExecutionTask(id, [id]) },
  "a result that is not JSON": {
    async call(store, id) {
      await admin.hset(`${id}-results`, { task: "{" });
      return store.getExecutionTaskResult(id, "task");
    },
  },
};

it.each(Object.entries(FAILURES))("%s", async (_, { options, call }) => {
  const id = newId();
  const errors = [];
  for (const store of [temporaryStore(url, options), temporaryStore(client, { ...options, connection: "client" })]) {
    const { name, code, message } = await rejection(call(store, id));
    errors.push({ name, code, message });
  }
  const [native, ofClient] = errors;
  expect(ofClient).toEqual(native);
});
