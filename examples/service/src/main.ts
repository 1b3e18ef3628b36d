// A service that keeps the state of its orders in Redis.
import type { AddressInfo } from "node:net";
import { createRedisStoreFromEnv } from "@idioteque/redis";
import { createService } from "./service.js";
import { PORT, SHUTDOWN_MS } from "./settings.js";
import { stopOnSignal } from "./shutdown.js";
import { stopTelemetry } from "./telemetry.js";

const ONE_DAY_MS = 24 * 60 * 60 * 1000;

// Without a first argument the environment names the server. Nothing connects yet: the first probe does.
const store = createRedisStoreFromEnv({ ttl: ONE_DAY_MS, slidingTtl: true });
const { server, stop } = createService(store);

server.listen(PORT, () => {
  console.log(JSON.stringify({ event: "listening", port: (server.address() as AddressInfo).port }));
});

stopOnSignal(SHUTDOWN_MS, async () => {
  // In this order: nothing is asked of the store once it is closed, and what it did is still recorded.
  await stop();
  await store.close();
  await stopTelemetry();
});
