// OpenTelemetry: sends traces and metrics over OTLP to the collector in OTEL_EXPORTER_OTLP_ENDPOINT.
import { register } from "@idioteque/redis/otel";
import { NodeSDK } from "@opentelemetry/sdk-node";

export const telemetry = new NodeSDK({ serviceName: "orders" });
telemetry.start();
register();
