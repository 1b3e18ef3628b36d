//! What was passed to `createRedisStore`: told apart by what it has, one file per family of clients.

pub mod classify;
pub mod glide;
pub mod ioredis;
pub mod node_redis;
pub mod shape;
pub mod upstash;
