// The installed package in a test file of Jest; there are two, so that it is loaded into several workers or contexts.
const { createRedisStore, RedisStoreError } = require("@idioteque/redis");
const check = require("../checks.cjs");

test("the package works", () => check({ createRedisStore, RedisStoreError }));
