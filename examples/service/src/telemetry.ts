// OpenTelemetry: sends traces and metrics over OTLP to the collector in OTEL_EXPORTER_OTLP_ENDPOINT.
import { setTimeout as delay } from "node:timers/promises";
import { register } from "@idioteque/redis/otel";
import { NodeSDK } from "@opentelemetry/sdk-node";
import { FLUSH_MS } from "./settings.js";

const sdk = new NodeSDK({ serviceName: "orders" });
sdk.start();
register();

/** Sends what was recorded. That nobody collects it is said, and is no reason to end in another way or much later. */
export async function stopTelemetry(): Promise<void> {
  const late = delay(FLUSH_MS).then(() => Promise.reject(new Error(`not within ${FLUSH_MS} ms`)));
  try {
    await Promise.race([sdk.shutdown(), late]);
  } catch (error) {
    console.error(`Not all that was recorded was sent: ${error instanceof Error ? error.message : error}`);
  }
}
