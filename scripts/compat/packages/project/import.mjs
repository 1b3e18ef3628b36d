// The installed package, imported.
import { createRedisStore, RedisStoreError } from "@idioteque/redis";
import check from "./checks.cjs";

await check({ createRedisStore, RedisStoreError });
console.log("checked");
