// What createRedisStore accepts and what it refuses, as the compiler sees it.
import {
  createRedisStore,
  type RedisConnectionOptions,
  type RedisImpl,
  type RedisStoreOptions,
} from "@idioteque/redis";
import { Cluster, Redis, type RedisOptions } from "ioredis";
import { Redis as Redis5, type RedisOptions as RedisOptions5 } from "ioredis-5";

declare const client: RedisImpl;

// A URL, as a string or as an object.
createRedisStore("redis://localhost:6379");
createRedisStore(new URL("redis://localhost:6379/2"));

// The real clients, without a cast.
createRedisStore(new Redis());
createRedisStore(new Redis({ keyPrefix: "app:" }), { ttl: 60_000 });
createRedisStore(new Redis5("redis://localhost:6379"));
createRedisStore(new Cluster([{ host: "localhost", port: 7000 }]));
const asInterface: RedisImpl = new Redis();
createRedisStore(asInterface);

// Configuration in either style, written out or typed by the client's own package.
createRedisStore({ host: "localhost", port: 6379, db: 2, username: "worker", password: "secret", keyPrefix: "app:" });
createRedisStore({ path: "/run/redis.sock", connectTimeout: 1_000, commandTimeout: 2_000, connectionName: "worker" });
createRedisStore({ socket: { host: "localhost", port: 6379, connectTimeout: 1_000 }, database: 2, name: "worker" });
createRedisStore({
  host: "localhost",
  tls: { ca: ["PEM", new Uint8Array()], cert: "PEM", key: "PEM", servername: "redis" },
});
createRedisStore({ host: "localhost", tls: true });
createRedisStore({ socket: { host: "localhost", tls: true, ca: "PEM", minVersion: "TLSv1.3" } });
createRedisStore({ url: "redis://localhost:6379", keyPrefix: "app:", commandOptions: { timeout: 2_000 } });
createRedisStore({ host: "localhost", lazyConnect: true, maxRetriesPerRequest: null, retryStrategy: () => 100 });
declare const options6: RedisOptions;
declare const options5: RedisOptions5;
createRedisStore(options6);
createRedisStore(options5);
createRedisStore({
  sentinels: [{ host: "s" }],
  name: "main",
  tls: {},
  enableTLSForSentinelMode: true,
  sentinelTLS: {},
  updateSentinels: false,
});
createRedisStore([{ host: "c", tls: { ca: "pem" } }, "rediss://d"]);
createRedisStore({ url: "https://example.upstash.io", token: "secret", readYourWrites: false });
const connection: RedisConnectionOptions = { host: "localhost" };
createRedisStore(connection);

// A client of one's own needs nothing but the eight methods.
createRedisStore({
  get: async (_key: string) => "true",
  set: async (_key: string, _value: string) => "OK",
  hset: async (_key: string, _entries: Record<string, string>) => 1,
  hget: async (_key: string, _field: string) => null,
  hdel: async (_key: string, _field: string) => 1,
  hgetall: async (_key: string) => ({}),
  del: async (_key: string) => 1,
  expire: async (_key: string, _seconds: number) => 1,
});

// Every option.
const options: Required<RedisStoreOptions> = {
  ttl: 60_000,
  slidingTtl: true,
  inProgressTtl: 600_000,
  orphanTtl: 60_000,
  claim: (executionId, taskId) => new Error(`${executionId} ${taskId}`),
  keyPrefix: "app:",
  hashTags: true,
  connection: "native",
  readAhead: false,
  commandTimeout: 10_000,
  connectTimeout: 5_000,
  maxPending: 100_000,
  warnings: false,
};
createRedisStore(client, options);
createRedisStore(client, { connection: "client", ttl: undefined });
createRedisStore(client, { ttl: null, keyPrefix: null });
createRedisStore(client, null);

// @ts-expect-error a number is no place
createRedisStore(6379);
// @ts-expect-error neither is null
createRedisStore(null);
// @ts-expect-error nor a function
createRedisStore(() => client);
createRedisStore(["localhost:6379", 7000, { host: "c1", port: 6379, password: "p" }]);
createRedisStore({ rootNodes: [{ url: "redis://c1" }], defaults: { password: "p" } });
createRedisStore({ sentinels: [{ host: "s1" }], name: "main", sentinelPassword: "p", db: 1 });
createRedisStore({
  sentinelRootNodes: [{ host: "s1", port: 26379 }],
  name: "main",
  nodeClientOptions: { database: 1 },
});
// @ts-expect-error an array of what are no servers
createRedisStore([true]);
// @ts-expect-error a promise of a client is not a client
createRedisStore(Promise.resolve(client));
// @ts-expect-error the class instead of an instance
createRedisStore(Redis);
// @ts-expect-error a pipeline collects commands, it does not answer them
createRedisStore(new Redis().pipeline());
// @ts-expect-error so does a transaction
createRedisStore(new Redis5().multi());
// @ts-expect-error a client that lacks a method
createRedisStore({ get: client.get, set: client.set, hset: client.hset, hget: client.hget, hdel: client.hdel });
// @ts-expect-error a port is a number
createRedisStore({ host: "localhost", port: "6379" });
// @ts-expect-error a setting of TLS that cannot be honoured
createRedisStore({ host: "localhost", tls: { ciphers: "ALL" } });
// @ts-expect-error an unknown key
createRedisStore({ hostname: "localhost" });
// @ts-expect-error the two styles do not mix
createRedisStore({ host: "localhost", database: 2 });
// @ts-expect-error the two styles do not mix
createRedisStore({ socket: { host: "localhost" }, db: 2 });
// @ts-expect-error milliseconds, not a string
createRedisStore(client, { ttl: "1h" });
// @ts-expect-error an unknown option
createRedisStore(client, { ttlSeconds: 60 });
// @ts-expect-error an unknown kind of connection
createRedisStore(client, { connection: "tcp" });
// @ts-expect-error yes or no
createRedisStore(client, { hashTags: "yes" });
// @ts-expect-error options are an object
createRedisStore(client, 60_000);
