// The stack of an error has the frames of who made the call, also where it was made long before the error.
import { Redis } from "ioredis";
import { afterEach, describe, expect, it } from "vitest";
import { createRedisStore } from "../../index.js";
import { freePort } from "../../tooling/servers/redis-server.mjs";
import { sharedRedis } from "../support/redis.mjs";

const { url, admin, newId } = sharedRedis();
const open = [];
afterEach(() => Promise.all(open.splice(0).map((store) => store.close())));

async function placeOrder(call) {
  await call();
}

async function handleRequest(call) {
  await placeOrder(call);
}

/** The error that a call rejects with. */
async function errorOf(call) {
  try {
    await handleRequest(call);
  } catch (error) {
    return error;
  }
  return expect.unreachable("the call should fail");
}

function expectFrames({ name, message, stack }) {
  const lines = stack.split("\n");
  expect(stack.startsWith(`${name}: ${message}`)).toBe(true);
  expect(lines.findIndex((line) => line.includes("placeOrder"))).toBeGreaterThan(0);
  expect(lines.findIndex((line) => line.includes("handleRequest"))).toBeGreaterThan(
    lines.findIndex((line) => line.includes("placeOrder")),
  );
}

const INPUTS = [
  ["a native store", () => url],
  ["a store over a client's own methods", () => new Redis(url)],
];

describe.each(INPUTS)("an error of %s", (name, input) => {
  it("has the caller's frames", async () => {
    const redis = input();
    const store = createRedisStore(redis, name.includes("client") ? { connection: "client" } : {});
    open.push(store);
    const id = newId();
    await admin.set(`${id}-results`, "no hash");
    expectFrames(await errorOf(() => store.getExecutionTaskResult(id, "task")));
    expectFrames(await errorOf(() => Promise.all([store.getExecutionTaskResult(id, "task")])));
    await admin.del(`${id}-results`);
    await admin.hset(`${id}-results`, "task", "no JSON");
    expectFrames(await errorOf(() => store.getExecutionTaskResult(id, "task")));
    expectFrames(await errorOf(() => store.beginExecution("")));
    await store.close();
    expectFrames(await errorOf(() => store.beginExecution(id)));
    redis.disconnect?.();
  });
});

it("an error of a server that is not there, and of a ping, has the caller's frames", async () => {
  const store = createRedisStore(`redis://127.0.0.1:${await freePort()}`, { commandTimeout: 300 });
  open.push(store);
  expectFrames(await errorOf(() => store.beginExecution("frames")));
  expectFrames(await errorOf(() => store.ping()));
});

it("is rejected once, and by nobody else", async () => {
  const rejections = [];
  const note = (reason) => rejections.push(reason);
  process.on("unhandledRejection", note);
  try {
    const store = createRedisStore(`redis://127.0.0.1:${await freePort()}`, { commandTimeout: 200 });
    open.push(store);
    const errors = await Promise.all(
      Array.from({ length: 300 }, (_, index) => store.beginExecution(`many-${index}`).catch((error) => error)),
    );
    expect(new Set(errors).size).toBe(300);
    await new Promise(setImmediate);
    expect(rejections).toEqual([]);
  } finally {
    process.off("unhandledRejection", note);
  }
});
