// The installed package in a test file of vitest; there are two, so that it is loaded into several workers or contexts.
// `test` is a global here: vitest itself is installed elsewhere.
import { createRedisStore, RedisStoreError } from "@idioteque/redis";
import check from "../checks.cjs";

test("the package works", () => check({ createRedisStore, RedisStoreError }));
