/**
 * The OpenTelemetry SDK with what it exports kept in memory.
 */
import * as api from "@opentelemetry/api";
import { metrics, node, tracing } from "@opentelemetry/sdk-node";
import { afterEach } from "vitest";

const { InMemorySpanExporter, SimpleSpanProcessor } = tracing;

const undoings = [];
afterEach(async () => {
  for (const undo of undoings.splice(0).reverse()) await undo();
});

/** Has something undone after the test. */
export function undoAfterTest(undo) {
  undoings.push(undo);
}

/**
 * Sets the global providers, until the test is over.
 *
 * @returns {{
 *   spans: () => import("@opentelemetry/sdk-node").tracing.ReadableSpan[],
 *   inSpan: <T>(name: string, action: () => Promise<T>) => Promise<{ spanId: string, result: T }>,
 *   collect: () => Promise<Map<string, object>>,
 * }} `spans` are those of the package that have ended, `inSpan` does something within a span of its own, `collect` gives the
 *   metrics of the package by their names
 */
export function startTelemetry() {
  const exporter = new InMemorySpanExporter();
  const tracerProvider = new node.NodeTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] });
  tracerProvider.register();
  const { meterProvider, collect } = openMeter();
  api.metrics.setGlobalMeterProvider(meterProvider);
  undoAfterTest(async () => {
    await tracerProvider.shutdown();
    await meterProvider.shutdown();
    for (const signal of [api.trace, api.context, api.propagation, api.metrics]) signal.disable();
  });

  return {
    spans: () => exporter.getFinishedSpans().filter(isOurs),
    inSpan: (name, action) =>
      api.trace.getTracer("test").startActiveSpan(name, async (span) => {
        try {
          return { spanId: span.spanContext().spanId, result: await action() };
        } finally {
          span.end();
        }
      }),
    collect,
  };
}

/** A meter provider, and the metrics of the package there by their names. */
export function openMeter() {
  const exporter = new metrics.InMemoryMetricExporter(metrics.AggregationTemporality.CUMULATIVE);
  const reader = new metrics.PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 2 ** 30 });
  const meterProvider = new metrics.MeterProvider({ readers: [reader] });
  const collect = async () => {
    const { resourceMetrics } = await reader.collect();
    const ours = resourceMetrics.scopeMetrics.filter(({ scope }) => scope.name === "@idioteque/redis");
    return new Map(ours.flatMap((scope) => scope.metrics).map((metric) => [metric.descriptor.name, metric]));
  };
  return { meterProvider, collect };
}

function isOurs({ instrumentationScope }) {
  return instrumentationScope.name === "@idioteque/redis";
}
