// `@idioteque/redis/otel` and its options.

import { type RegisterOptions, register } from "@idioteque/redis/otel";
import { metrics, trace } from "@opentelemetry/api";

const unregister: () => void = register();
unregister();

const options: RegisterOptions = {
  executionIds: true,
  requireParentSpan: undefined,
  tracerProvider: trace.getTracerProvider(),
  meterProvider: metrics.getMeterProvider(),
};
register(options)();

// @ts-expect-error no such option
register({ executionId: true });
// @ts-expect-error options are an object
register(true);
