/**
 * Types of `@idioteque/redis/otel`: OpenTelemetry for stores.
 *
 * @module @idioteque/redis/otel
 */
import type { MeterProvider, TracerProvider } from "@opentelemetry/api";

/**
 * Options of {@link register}.
 *
 * @see {@link register}
 *
 * @example
 * ```ts
 * register({ requireParentSpan: true, executionIds: true });
 * ```
 */
export interface RegisterOptions {
  /**
   * Whether spans have the ids of executions and tasks, as `idioteque.execution.id` and `idioteque.task.id`. Results are never
   * recorded.
   *
   * @default false
   */
  executionIds?: boolean | undefined;
  /**
   * Whether calls that are made outside of any span have none of their own either. Metrics have them all the same.
   *
   * @default false
   */
  requireParentSpan?: boolean | undefined;
  /** Where spans are made. @default the global one, whenever it is set */
  tracerProvider?: TracerProvider | undefined;
  /** Where metrics are recorded. @default the global one, whenever it is set */
  meterProvider?: MeterProvider | undefined;
}

/**
 * Records the calls of all stores of this thread with OpenTelemetry: a `CLIENT` span for each call that went to Redis, as a child
 * of the span in which it was made, and metrics. Call it once, before the first store call; if it is called again, the latest
 * options count.
 *
 * @see {@link RegisterOptions}
 * @param options see {@link RegisterOptions}
 * @returns a function that undoes it
 * @throws {TypeError} an option is unknown
 *
 * @example
 * ```ts
 * import { register } from "@idioteque/redis/otel";
 *
 * register();
 * ```
 */
export declare function register(options?: RegisterOptions): () => void;
