// What names the server when nothing is passed, and that nothing but a call without a first argument asks for it.
import { afterEach, describe, expect, it, vi } from "vitest";
import { createRedisStore, createRedisStoreFromEnv } from "../../index.js";
import { runScript } from "../support/child.mjs";
import { sharedRedis } from "../support/redis.mjs";

const { url, newId, admin } = sharedRedis();

const NAMES = [
  "REDIS_URL",
  "UPSTASH_REDIS_REST_URL",
  "UPSTASH_REDIS_REST_TOKEN",
  "KV_REST_API_URL",
  "KV_REST_API_TOKEN",
];
const ELSEWHERE = "redis://:hunter2@elsewhere";
const stores = [];

const withEnvironment = (variables) => {
  for (const name of NAMES) vi.stubEnv(name, variables[name]);
};

const opened = (store) => {
  stores.push(store);
  return store;
};

const thrownBy = (make) => {
  try {
    make();
  } catch (error) {
    return error;
  }
  return expect.fail("It should have thrown");
};

afterEach(async () => {
  vi.unstubAllEnvs();
  for (const store of stores.splice(0)) await store.close();
});

describe.each([
  ["createRedisStore()", () => createRedisStore()],
  ["createRedisStoreFromEnv()", () => createRedisStoreFromEnv()],
])("%s", (_, make) => {
  it("uses REDIS_URL", async () => {
    withEnvironment({ REDIS_URL: url, UPSTASH_REDIS_REST_URL: "https://nowhere" });
    const store = opened(make());
    const id = newId();
    await store.beginExecution(id);
    expect(await admin.get(id)).toBe("true");
    expect(store.backend).toBe("redis");
  });

  it.each([
    { UPSTASH_REDIS_REST_URL: "https://nowhere", UPSTASH_REDIS_REST_TOKEN: "hunter2" },
    { KV_REST_API_URL: "https://nowhere", KV_REST_API_TOKEN: "hunter2" },
  ])("uses Upstash where only that is set: %o", (variables) => {
    withEnvironment(variables);
    expect(opened(make()).backend).toBe("upstash");
  });

  it.each([
    ["REDIS_URL is not set", {}],
    ["or KV_REST_API_URL and KV_REST_API_TOKEN", {}],
    ["REDIS_URL", { REDIS_URL: "redis://:hunter2@h:port" }],
    ["set UPSTASH_REDIS_REST_URL too", { UPSTASH_REDIS_REST_TOKEN: "hunter2" }],
    ["set KV_REST_API_TOKEN too", { KV_REST_API_URL: "https://nowhere" }],
    ["https://", { UPSTASH_REDIS_REST_URL: "nowhere", UPSTASH_REDIS_REST_TOKEN: "hunter2" }],
  ])("throws an error that says so: %s", (part, variables) => {
    withEnvironment(variables);
    const error = thrownBy(make);
    expect(error).toBeInstanceOf(TypeError);
    expect(error.code).toBe("ERR_REDIS_CONFIG");
    expect(error.message).toContain(part);
    expect(error.message).not.toContain("hunter2");
  });
});

describe("createRedisStoreFromEnv", () => {
  it("takes the options", async () => {
    withEnvironment({ REDIS_URL: url });
    const store = opened(createRedisStoreFromEnv({ ttl: 60_000, keyPrefix: "env:" }));
    const id = newId();
    await store.beginExecution(id);
    expect(await admin.pttl(`env:${id}`)).toBeGreaterThan(0);
  });

  it.each([[undefined], [null], [{}]])("does without them: %o", (options) => {
    withEnvironment({ REDIS_URL: url });
    expect(opened(createRedisStoreFromEnv(options)).backend).toBe("redis");
  });

  it.each([
    ["an unknown option", { host: "localhost" }, /host/],
    ["text", "redis://localhost", /options must be an object/],
    ["a client's own methods", { connection: "client" }, /needs a client/],
  ])("refuses what is no option: %s", (_, options, reason) => {
    withEnvironment({ REDIS_URL: url });
    const error = thrownBy(() => createRedisStoreFromEnv(options));
    expect(error).toBeInstanceOf(TypeError);
    expect(error.message).toMatch(reason);
  });
});

describe("an undefined that is passed", () => {
  it.each([
    ["alone", [undefined]],
    ["before options", [undefined, { ttl: 60_000 }]],
    ["before an undefined", [undefined, undefined]],
    ["before options for the client's own methods", [undefined, { connection: "client" }]],
    ["before options for a native connection", [undefined, { connection: "native" }]],
  ])("is an error, and no other server is used: %s", (_, args) => {
    withEnvironment({ REDIS_URL: ELSEWHERE });
    const error = thrownBy(() => createRedisStore(...args));
    expect(error).toBeInstanceOf(TypeError);
    expect(error.code).toBe("ERR_REDIS_CONFIG");
    expect(error.message).toContain("`undefined` was passed");
    expect(error.message).toContain("createRedisStoreFromEnv(options)");
    expect(error.message).not.toContain("hunter2");
  });

  it("is the same error where the environment names no server", () => {
    withEnvironment({});
    expect(thrownBy(() => createRedisStore(process.env.REDIS_URL)).message).toContain("`undefined` was passed");
  });
});

it("can be imported by name from an ES module", async () => {
  const script = `
    import { createRedisStoreFromEnv } from ${JSON.stringify(new URL("../../index.js", import.meta.url).href)};
    process.env.REDIS_URL = args.url;
    console.log(createRedisStoreFromEnv().backend);
  `;
  const { code, lines, errors } = await runScript(script, { args: { url } });
  expect({ code, errors, lines }).toEqual({ code: 0, errors: "", lines: ["redis"] });
});
