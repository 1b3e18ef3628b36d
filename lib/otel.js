"use strict";
// OpenTelemetry for stores: spans and metrics of what they publish on their channels. Loaded only by who asks for it, so that
// nobody else needs `@opentelemetry/api`.

const { PHRASES, fill } = require("./error-texts.js");
const { Recorder } = require("./otel/recorder.js");

const OPTIONS = ["executionIds", "requireParentSpan", "tracerProvider", "meterProvider"];

/**
 * The registrations of this process, the latest last, which alone records. Channels are shared by all copies of the package, so
 * the list is too: however often it is registered, a call has one span.
 *
 * @type {{ start: () => void, stop: () => void }[]}
 */
const registrations = shared(Symbol.for("idioteque-redis:otel"));

/**
 * Records the calls of all stores of this thread, from whichever copy of the package.
 *
 * @param {object} [options]
 * @param {boolean} [options.executionIds] whether spans have the ids of executions and tasks
 * @param {boolean} [options.requireParentSpan] whether only calls within a span of the caller have one
 * @param {import("@opentelemetry/api").TracerProvider} [options.tracerProvider] the global one by default
 * @param {import("@opentelemetry/api").MeterProvider} [options.meterProvider] the global one by default
 * @returns {() => void} undoes it
 */
function register(options = {}) {
  for (const name of Object.keys(options)) {
    if (!OPTIONS.includes(name)) {
      throw new TypeError(fill(PHRASES.unknownOption, { name, known: OPTIONS.join(", ") }));
    }
  }
  const recorder = new Recorder(options);
  latest()?.stop();
  registrations.push(recorder);
  recorder.start();

  return function unregister() {
    const index = registrations.indexOf(recorder);
    if (index === -1) return;
    const wasLatest = recorder === latest();
    registrations.splice(index, 1);
    if (!wasLatest) return;
    recorder.stop();
    latest()?.start();
  };
}

function latest() {
  return registrations[registrations.length - 1];
}

function shared(key) {
  if (globalThis[key] === undefined) Object.defineProperty(globalThis, key, { value: [] });
  return globalThis[key];
}

module.exports = { register };
