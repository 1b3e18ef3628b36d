// Registering with OpenTelemetry: however often, from however many copies of the package, under loaders that wrap modules, and at no
// cost for who does not.
import { execFile } from "node:child_process";
import { readFileSync, symlinkSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { promisify } from "node:util";
import { runInNewContext } from "node:vm";
import { describe, expect, it } from "vitest";
import { register } from "../../lib/otel.js";
import { ROOT } from "../../tooling/setup.mjs";
import { builtAddon, installCopy } from "../support/package-copy.mjs";
import { sharedRedis } from "../support/redis.mjs";
import { startTelemetry, undoAfterTest } from "../support/telemetry.mjs";
import { temporaryStore } from "../support/temporary.mjs";

const { url, newId } = sharedRedis();
const require = createRequire(import.meta.url);

/** Runs a program with a URL of Redis in its environment, and returns what it prints, as JSON. */
async function run(args, cwd = ROOT) {
  const { stdout } = await promisify(execFile)(process.execPath, args, {
    cwd,
    env: { ...process.env, REDIS_URL: url },
    timeout: 30_000,
  });
  return JSON.parse(stdout);
}

/** A copy of the package with its addon, and with or without the packages of OpenTelemetry beside it. */
function installWhole({ withApi = true } = {}) {
  const { target, bytes } = builtAddon();
  const { home } = installCopy({ packages: { [target]: bytes } });
  const dir = join(home, "../../..");
  if (withApi) symlinkSync(join(ROOT, "node_modules/@opentelemetry"), join(dir, "node_modules/@opentelemetry"));
  return { dir, home };
}

describe("register", () => {
  it("does not double what is recorded when it is called twice, and the latest options count", async () => {
    const { spans, collect } = startTelemetry();
    const store = temporaryStore(url);
    undoAfterTest(register());
    undoAfterTest(register({ executionIds: true }));
    const id = newId();
    await store.beginExecution(id);
    expect(spans().map(({ attributes }) => attributes["idioteque.execution.id"])).toEqual([id]);
    const { dataPoints } = (await collect()).get("db.client.operation.duration");
    expect(dataPoints.map(({ value }) => value.count)).toEqual([1]);
  });

  it("can be undone, in any order, more than once, and done again", async () => {
    const { spans } = startTelemetry();
    const store = temporaryStore(url);
    const counts = [];
    const count = async () => {
      const before = spans().length;
      await store.beginExecution(newId());
      counts.push(spans().length - before);
    };
    const [first, second, third] = [register(), register(), register()];
    await count();
    second();
    await count();
    third();
    third();
    await count();
    first();
    await count();
    const again = register();
    await count();
    again();
    await count();
    expect(counts).toEqual([1, 1, 1, 0, 1, 0]);
  });

  it("does not take an option that it does not know", () => {
    expect(() => register({ executionsIds: true })).toThrow(
      new TypeError(
        "`executionsIds` is not an option of `register`. Those that count are: executionIds, requireParentSpan, tracerProvider, meterProvider",
      ),
    );
  });

  it("does not let a provider that throws harm a call", async () => {
    startTelemetry();
    const broken = () => {
      throw new Error("broken");
    };
    undoAfterTest(register({ tracerProvider: { getTracer: broken }, meterProvider: { getMeter: broken } }));
    await temporaryStore(url).beginExecution(newId());
  });
});

/** What a program needs to record spans in memory, with names that do not clash with those of a program of its own. */
const SDK = `
  const { node, tracing } = require("@opentelemetry/sdk-node");
  const exporter = new tracing.InMemorySpanExporter();
  const spanProcessors = [new tracing.SimpleSpanProcessor(exporter)];
  new node.NodeTracerProvider({ spanProcessors }).register();
  const names = () => exporter.getFinishedSpans().map(({ name }) => name);`;

describe("two copies of the package in a process", () => {
  it("have one span per call, whichever are registered", async () => {
    const [one, other] = [installWhole(), installWhole()];
    const program = `
      const path = require("node:path");
      const { require: load } = { require: (home, file) => require(path.join(home, file)) };
      const [one, other] = ${JSON.stringify([one.home, other.home])};
      ${SDK}
      (async () => {
        const stores = [one, other].map((home) => load(home, "index.js").createRedisStore(process.env.REDIS_URL));
        if (load(one, "index.js").createRedisStore === load(other, "index.js").createRedisStore) throw new Error("one copy");
        const registers = [one, other].map((home) => load(home, "lib/otel.js").register);
        if (registers[0] === registers[1]) throw new Error("one copy");
        const { trace } = require("@opentelemetry/api");
        const counts = [];
        // The first call of the copy that is not registered among them.
        const count = () =>
          trace.getTracer("test").startActiveSpan("caller", async (caller) => {
            exporter.reset();
            for (const store of stores) await store.beginExecution(${JSON.stringify(newId())});
            const { spanId } = caller.spanContext();
            counts.push(exporter.getFinishedSpans().filter((span) => span.parentSpanContext.spanId === spanId).length);
          });
        const undo = registers[0]();
        await count();
        const undoOther = registers[1]();
        await count();
        undo();
        await count();
        undoOther();
        await count();
        console.log(JSON.stringify(counts));
        process.exit();
      })();`;
    expect(await run(["--eval", program])).toEqual([2, 2, 2, 0]);
  });
});

describe("loaders that wrap modules", () => {
  it("of ES modules (import-in-the-middle) change nothing", async () => {
    const hooks = `import { register } from "node:module";
      register("@opentelemetry/instrumentation/hook.mjs", ${JSON.stringify(import.meta.url)});`;
    const program = `
      import { createRequire } from "node:module";
      import { Hook } from ${JSON.stringify(require.resolve("import-in-the-middle"))};
      const wrapped = [];
      new Hook(["@idioteque/redis", "@idioteque/redis/otel"], (exports, name) => { wrapped.push(name); });
      const require = createRequire(${JSON.stringify(import.meta.url)});
      ${SDK}
      const { createRedisStore, RedisStoreError } = await import("@idioteque/redis");
      const { register } = await import("@idioteque/redis/otel");
      register();
      const store = createRedisStore(process.env.REDIS_URL);
      await store.beginExecution(${JSON.stringify(newId())});
      const refused = await store.beginExecution("").catch((error) => error.code);
      await store.close();
      const closed = await store.beginExecution("x").catch((error) => error instanceof RedisStoreError);
      console.log(JSON.stringify({ wrapped: wrapped.length, names: names(), refused, closed }));
      process.exit();`;
    const preload = `data:text/javascript,${encodeURIComponent(hooks)}`;
    expect(await run(["--import", preload, "--input-type=module", "--eval", program])).toEqual({
      wrapped: 2,
      names: ["SET", "SET"],
      refused: "ERR_INVALID_ARG_VALUE",
      closed: true,
    });
  });

  it("of CommonJS modules (require-in-the-middle) change nothing", async () => {
    const program = `
      const { Hook } = require("require-in-the-middle");
      const wrapped = [];
      new Hook(["@idioteque/redis"], { internals: true }, (exports, name) => { wrapped.push(name); return exports; });
      ${SDK}
      const { createRedisStore } = require("@idioteque/redis");
      require("@idioteque/redis/otel").register();
      createRedisStore(process.env.REDIS_URL).beginExecution(${JSON.stringify(newId())}).then(() => {
        console.log(JSON.stringify({ wrapped: wrapped.length > 0, names: names() }));
        process.exit();
      });`;
    const { dir } = installWhole();
    symlinkSync(join(ROOT, "node_modules/require-in-the-middle"), join(dir, "node_modules/require-in-the-middle"));
    expect(await run(["--eval", program], dir)).toEqual({ wrapped: true, names: ["SET"] });
  });
});

describe("where there can be no stores", () => {
  it.each(["edge-light", "workerd", "browser"])("%s is sent to what records nothing and needs nothing", (condition) => {
    const entry = require("../../package.json").exports["./otel"];
    expect(Object.keys(entry).indexOf("node")).toBeLessThan(Object.keys(entry).indexOf(condition));
    const module = { exports: {} };
    runInNewContext(readFileSync(join(ROOT, entry[condition]), "utf8"), { module });
    expect(Object.keys(module.exports)).toEqual(Object.keys(require("../../lib/otel.js")));
    expect(module.exports.register({ executionIds: true })()).toBe(undefined);
  });
});

describe("who does not ask for it", () => {
  it("loads none of it, and needs no other package", async () => {
    const { dir } = installWhole({ withApi: false });
    const program = `
      const { createRedisStore } = require("@idioteque/redis");
      const store = createRedisStore(process.env.REDIS_URL);
      store.beginExecution(${JSON.stringify(newId())}).then(() => {
        const loaded = Object.keys(require.cache).filter((path) => path.includes("otel") || path.includes("opentelemetry"));
        let code;
        try { require("@idioteque/redis/otel"); } catch (error) { code = error.code + " " + error.message.split("\\n")[0]; }
        console.log(JSON.stringify({ loaded, code }));
        process.exit();
      });`;
    expect(await run(["--eval", program], dir)).toEqual({
      loaded: [],
      code: "MODULE_NOT_FOUND Cannot find module '@opentelemetry/api'",
    });
  });
});
