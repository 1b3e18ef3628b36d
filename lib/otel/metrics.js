"use strict";
// The metrics: instruments of the meter provider that is there when something is to be recorded, and what is under way.

const { metrics } = require("@opentelemetry/api");

/** What the conventions advise for durations, in seconds. */
const BOUNDARIES = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10];
const IN_SECONDS = { unit: "s", advice: { explicitBucketBoundaries: BOUNDARIES } };

/** Sets of attributes that are counted for. Those beyond it for which nothing is under way are forgotten. */
const MAX_SETS = 256;

class Metrics {
  /**
   * @param {object} meter
   * @param {string} meter.name
   * @param {string} meter.version
   * @param {import("@opentelemetry/api").MeterProvider} [meter.meterProvider] the global one by default
   */
  constructor(meter) {
    this.meter = meter;
    this.pendingCalls = new Tally();
    this.connections = new Tally();
  }

  /** Counts a call that begins, or one that ends. */
  pending(server, change) {
    this.pendingCalls.add(server, change);
    this.instruments();
  }

  /** Records a call that is over. */
  done(attributes, seconds, context) {
    this.instruments().duration.record(seconds, attributes, context);
  }

  /** Counts the times that a call was sent again. */
  retried(server, times) {
    if (times > 0) this.instruments().retries.add(times, server);
  }

  answeredFromReadAhead(server) {
    this.instruments().readAheadHits.add(1, server);
  }

  connected(connection, seconds) {
    this.connections.add(connection, 1);
    const pool = "db.client.connection.pool.name";
    if (Number.isFinite(seconds)) this.instruments().createTime.record(seconds, { [pool]: connection[pool] });
  }

  /** A connection that was made before anybody looked was not counted. */
  disconnected(connection) {
    if (this.connections.of(connection) > 0) this.connections.add(connection, -1);
  }

  close() {
    this.made?.remove();
    this.made = undefined;
    this.pendingCalls.clear();
    this.connections.clear();
  }

  /** Unlike tracers, meters do not pass on to a provider that is set later, so the provider is asked for each time. */
  instruments() {
    const { name, version, meterProvider = metrics.getMeterProvider() } = this.meter;
    if (this.made?.provider !== meterProvider) {
      this.made?.remove();
      this.made = { provider: meterProvider, ...this.make(meterProvider.getMeter(name, version)) };
    }
    return this.made;
  }

  make(meter) {
    const observed = [
      [
        this.connections,
        meter.createObservableUpDownCounter("db.client.connection.count", {
          unit: "{connection}",
          description: "Connections that calls can be sent on.",
        }),
      ],
      [
        this.pendingCalls,
        meter.createObservableUpDownCounter("idioteque.redis.pending", {
          unit: "{call}",
          description: "Store calls that are under way.",
        }),
      ],
    ].map(([tally, instrument]) => ({ instrument, observe: (result) => tally.observe(result) }));
    for (const { instrument, observe } of observed) instrument.addCallback(observe);

    return {
      duration: meter.createHistogram("db.client.operation.duration", {
        ...IN_SECONDS,
        description: "Duration of store calls that went to Redis.",
      }),
      createTime: meter.createHistogram("db.client.connection.create_time", {
        ...IN_SECONDS,
        description: "Time from when a connection was wanted until calls could be sent on it.",
      }),
      retries: meter.createCounter("idioteque.redis.retries", {
        unit: "{retry}",
        description: "Times that store calls were sent again.",
      }),
      readAheadHits: meter.createCounter("idioteque.redis.read_ahead.hits", {
        unit: "{call}",
        description: "Store calls whose answer an earlier call had brought.",
      }),
      remove: () => {
        for (const { instrument, observe } of observed) instrument.removeCallback(observe);
      },
    };
  }
}

/** Numbers by attributes. One that has come back to 0 is still observed. */
class Tally {
  constructor() {
    this.clear();
  }

  of(attributes) {
    return this.entries.get(keyOf(attributes))?.count ?? 0;
  }

  add(attributes, change) {
    // Mostly the same object as the last time, whose key need not be made again.
    if (attributes !== this.last?.attributes) this.last = this.entry(attributes);
    this.last.count += change;
  }

  entry(attributes) {
    const key = keyOf(attributes);
    const known = this.entries.get(key);
    if (known !== undefined) {
      known.attributes = attributes;
      return known;
    }
    if (this.entries.size >= MAX_SETS) this.forgetIdle();
    const entry = { attributes, count: 0 };
    this.entries.set(key, entry);
    return entry;
  }

  forgetIdle() {
    for (const [key, { count }] of this.entries) if (count === 0) this.entries.delete(key);
  }

  observe(result) {
    for (const { attributes, count } of this.entries.values()) result.observe(count, attributes);
  }

  clear() {
    this.entries = new Map();
    this.last = undefined;
  }
}

function keyOf(attributes) {
  return Object.values(attributes).join("\0");
}

module.exports = { Metrics };
