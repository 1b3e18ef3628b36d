"use strict";
// What is recorded of calls and connections: subscribers of the channels that make spans and metrics of what is published there.

const channels = require("node:diagnostics_channel");
const { performance } = require("node:perf_hooks");
const { SpanKind, SpanStatusCode, context, diag, trace } = require("@opentelemetry/api");
const { version } = require("../../package.json");
const { Servers, attributesOfConnection, whatFailed } = require("./attributes.js");
const { Metrics } = require("./metrics.js");

const NAME = "@idioteque/redis";

// Taken at load, so that fake timers installed by a test later do not change what was measured.
const { now: wallClock } = Date;
const monotonic = () => performance.now();

class Recorder {
  constructor({ executionIds = false, requireParentSpan = false, tracerProvider = trace, meterProvider }) {
    this.executionIds = executionIds;
    this.requireParentSpan = requireParentSpan;
    this.tracerProvider = tracerProvider;
    this.metrics = new Metrics({ name: NAME, version, meterProvider });
    /** When each call that is under way began, and in whose context. */
    this.calls = new WeakMap();
    this.servers = new Servers();
    // Channels are only held by who holds them: without this they and their subscribers could be collected.
    this.subscriptions = [
      ["tracing:idioteque-redis:call:start", (call) => this.begin(call)],
      ["tracing:idioteque-redis:call:asyncEnd", (call) => this.end(call)],
      ["idioteque-redis:ready", (event) => this.metrics.connected(attributesOfConnection(event), event.ms / 1000)],
      ["idioteque-redis:disconnected", (event) => this.metrics.disconnected(attributesOfConnection(event))],
      ["idioteque-redis:closed", (event) => this.metrics.disconnected(attributesOfConnection(event))],
    ].map(([name, receive]) => ({ channel: channels.channel(name), receive: guarded(receive) }));
  }

  start() {
    for (const { channel, receive } of this.subscriptions) channel.subscribe(receive);
  }

  stop() {
    for (const { channel, receive } of this.subscriptions) channel.unsubscribe(receive);
    this.calls = new WeakMap();
    this.metrics.close();
  }

  begin(call) {
    const server = this.servers.of(call);
    this.calls.set(call, { server, parent: context.active(), epoch: wallClock(), began: monotonic() });
    this.metrics.pending(server.attributes, 1);
  }

  /** The span is made here, where it is known whether the call went to Redis at all. */
  end(call) {
    const begun = this.calls.get(call);
    if (begun === undefined) return;
    this.calls.delete(call);
    const { server, parent, epoch, began } = begun;
    this.metrics.pending(server.attributes, -1);
    if (call.fromReadAhead) return this.metrics.answeredFromReadAhead(server.attributes);

    const failure = call.error === undefined ? undefined : whatFailed(call);
    if (failure?.isOfCaller) return undefined;
    const milliseconds = monotonic() - began;
    const attributes = server.attributesOf(call, failure);
    const span = this.span(call, { attributes, parent, epoch });
    if (failure !== undefined) span?.setStatus({ code: SpanStatusCode.ERROR, message: failure.message });
    span?.end(epoch + milliseconds);
    this.metrics.done(attributes, milliseconds / 1000, span === undefined ? parent : trace.setSpan(parent, span));
    return this.metrics.retried(server.attributes, (call.attempts ?? 1) - 1);
  }

  span(call, { attributes, parent, epoch }) {
    if (this.requireParentSpan && trace.getSpanContext(parent) === undefined) return undefined;
    const more = { "idioteque.redis.call": call.call };
    if (call.commands > 1) more["db.operation.batch.size"] = call.commands;
    if (call.attempts > 1) more["idioteque.redis.attempts"] = call.attempts;
    if (call.queuedMs !== undefined) more["idioteque.redis.queued_ms"] = Math.round(call.queuedMs * 1000) / 1000;
    if (this.executionIds) {
      more["idioteque.execution.id"] = call.executionId;
      if (call.taskId !== undefined) more["idioteque.task.id"] = call.taskId;
    }
    const options = { kind: SpanKind.CLIENT, startTime: epoch, attributes: { ...attributes, ...more } };
    // Asked for each time, because the global provider may be replaced.
    return this.tracerProvider.getTracer(NAME, version).startSpan(call.command, options, parent);
  }
}

/** A subscriber that throws would end the process. */
function guarded(receive) {
  return (message) => {
    try {
      receive(message);
    } catch (error) {
      diag.error(`${NAME}: a call could not be recorded`, error);
    }
  };
}

module.exports = { Recorder };
