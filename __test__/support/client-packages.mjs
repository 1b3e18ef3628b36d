/**
 * The packages of the two families of clients in every version that is tested, and what they are called in the tests.
 */
import * as ioredis6 from "ioredis";
import * as ioredis4 from "ioredis-4";
import * as ioredis5 from "ioredis-5";
import * as iovalkey from "iovalkey";
import * as redis6 from "redis";
import * as redis4 from "redis-4";
import * as redis5 from "redis-5";

/** Name and class, which has `Cluster` as a member. */
export const IOREDIS = [
  ["ioredis 6", ioredis6.Redis],
  ["ioredis 5", ioredis5.Redis],
  ["ioredis 4", ioredis4.default],
  ["iovalkey", iovalkey.Redis],
];

/** Name and module. */
export const NODE_REDIS = [
  ["node-redis 6", redis6],
  ["node-redis 5", redis5],
  ["node-redis 4", redis4],
];
