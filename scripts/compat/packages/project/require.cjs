// The installed package, required.
const { createRedisStore, RedisStoreError } = require("@idioteque/redis");
const check = require("./checks.cjs");

check({ createRedisStore, RedisStoreError }).then(() => console.log("checked"));
