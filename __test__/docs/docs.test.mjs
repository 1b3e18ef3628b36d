/**
 * The documentation is true: every block of code in it does what it says, against real servers.
 */
import { Redis } from "ioredis";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { parse as parseYaml } from "yaml";
import { freePort } from "../../tooling/servers/redis-server.mjs";
import { startRestEndpoint } from "../../tooling/servers/rest-endpoint.mjs";
import { startCollector } from "../support/collector.mjs";
import { allDocuments, isBeside, openWorkshop, read, scriptsBeside } from "../support/document.mjs";
import { eventually, privateRedis } from "../support/redis.mjs";
import { temporaryStore } from "../support/temporary.mjs";

const packageName = "@idioteque/redis";
const documents = allDocuments();
const textOf = (path) => documents.find((document) => document.path === path).text;

/** Blocks that are not run here, by their first line, and why. */
const NOT_RUN = {
  "// esbuild.mjs": "run by `npm run test:frameworks`, which installs esbuild",
  "// esbuild-all.mjs": "run by `npm run test:frameworks`, which installs esbuild",
};

/** Configuration files that are run by `npm run test:frameworks`, and what has to be in what they export. */
const CONFIGURATIONS = {
  "next.config.mjs": { serverExternalPackages: [packageName] },
  "webpack.config.mjs": { externals: { [packageName]: `commonjs ${packageName}` } },
  "vite.config.mjs": { ssr: { external: [packageName] } },
  "rollup.config.mjs": { external: [packageName] },
};

/** Files that are programs, and what they have to have done. */
const STARTED = {
  "telemetry.mjs": () => {
    expect(collector.received("/v1/traces")).toContain("db.operation.name");
    expect(collector.received("/v1/metrics")).toContain("db.client.operation.duration");
  },
  "order.mjs": (printed) => expect(printed).toEqual(["reserve-stock: done", "charge-card: done", "send-receipt: done"]),
  "metrics.mjs": (printed) => expect(printed.join("\n")).toContain("db_client_connection_count{"),
};

/** Programs that a block for the shell may call, and what can be said of their arguments without calling them. */
const PROGRAMS = {
  npm: ([command, ...names], document) => {
    if (command === "run") expect(scriptsBeside(document)).toContain(names[0]);
    else if (command === "install") expect(installable).toEqual(expect.arrayContaining(names.map(unversioned)));
    else expect(["ci", "install", "test"]).toContain(command);
  },
  npx: (args, document) => {
    if (args[0] === packageName) return;
    expect(args.slice(0, 2)).toEqual(["vitest", "run"]);
    expect(isBeside(document, args[2]), args[2]).toBe(true);
  },
  cargo: ([command]) => expect(["build", "clippy", "fmt", "test"]).toContain(command),
  node: ([path], document) => expect(isBeside(document, path), path).toBe(true),
  curl: (args) => expect(args.at(-1)).toMatch(/^localhost:3000\/(?:orders\/\d+|ready)$/),
  cp: ([path], document) => expect(isBeside(document, path), path).toBe(true),
};

/** A package's name without the version that may stand behind it. */
const unversioned = (name) => name.replace(/(?<=.)@[\d.]+$/, "");

/** The package itself, and what it is tried with. */
const installable = [packageName, ...Object.keys(JSON.parse(read("package.json")).devDependencies)];

let server;
let admin;
let rest;
let collector;
let workshop;

beforeAll(async () => {
  server = await privateRedis();
  admin = new Redis(server.url);
  rest = await startRestEndpoint({ redisUrl: server.url });
  const { url, token } = rest;
  collector = await startCollector();
  workshop = openWorkshop({
    REDIS_URL: server.url,
    OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
    PROBES_PORT: String(await freePort()),
    METRICS_PORT: String(await freePort()),
    UPSTASH_REDIS_REST_URL: url,
    UPSTASH_REDIS_REST_TOKEN: token,
    KV_REST_API_URL: url,
    KV_REST_API_TOKEN: token,
  });
});

beforeEach(() => admin.flushall());

afterAll(async () => {
  admin.disconnect();
  workshop.close();
  await collector.stop();
  await rest.stop();
});

/** How a block of each language is tried. */
const TRIALS = {
  async js(block) {
    const firstLine = block.code.split("\n", 1)[0];
    if (Object.hasOwn(NOT_RUN, firstLine)) return workshop.parse(block);
    if (Object.hasOwn(STARTED, block.title ?? "")) return STARTED[block.title](await workshop.run(block));
    if (block.title) {
      expect(CONFIGURATIONS).toHaveProperty([block.title]);
      return expect(await workshop.load(block)).toMatchObject(CONFIGURATIONS[block.title]);
    }
    const expected = [...block.code.matchAll(/\/\/ → (.*)$/gm)].map(([, text]) => text);
    const printed = await workshop.run(block);
    if (expected.length > 0) expect(printed).toEqual(expected);
  },

  ts: (block) => workshop.check(block),

  sh({ code, document }) {
    for (const line of code.trim().split("\n")) {
      const words = line.replace(/#.*$/, "").trim().split(/\s+/);
      const program = words.find((word) => !/^[A-Z_]+=/.test(word));
      expect(PROGRAMS).toHaveProperty([program]);
      PROGRAMS[program](words.slice(words.indexOf(program) + 1), document);
    }
  },

  async redis({ code }) {
    for (const line of code.trim().split("\n")) {
      const [, username, password] = /^ACL SETUSER (\w+) on >(\w+) /.exec(line);
      await admin.call(...line.split(" "));
      await liveAs(username, password);
    }
  },

  json: ({ code }) => JSON.parse(code),

  // What other programs print.
  text: ({ document }) => expect(document).toBe("docs/deployment.md"),

  async yaml({ code, document }) {
    const expressions = parseYaml(code).groups?.flatMap(({ rules }) => rules.map(({ expr }) => expr)) ?? [];
    if (expressions.length === 0) return;
    // Names that an expression has wrong would be an alert that never fires.
    const program = documents.find(({ path }) => path === document).blocks.find(({ title }) => title === "metrics.mjs");
    const served = (await workshop.run(program)).join("\n");
    const names = expressions.flatMap((expr) => expr.match(/\b(?:db|idioteque|otel|error)_\w+/g));
    expect(names.length).toBeGreaterThanOrEqual(expressions.length);
    expect(names.filter((name) => !new RegExp(`\\b${name}\\b`).test(served))).toEqual([]);
  },
  // Run, with what they print, by the tests of these pages.
  console: ({ code, document }) => {
    if (document === "README.md") return expect(code).toMatch(/^\$ node order\.mjs\n/);
    expect(document).toBe("docs/operations.md");
    expect(code).toMatch(/^\$ npx @idioteque\/redis /);
  },

  // There is no engine here to build it; the page has to say so.
  dockerfile({ code, document }) {
    for (const line of code.trim().split("\n").filter(Boolean)) expect(line).toMatch(/^(FROM|WORKDIR|COPY|RUN|CMD) \S/);
    expect(textOf(document)).toContain("**untried**");
  },
};

/** Everything that a store does, as a user who may do what the documentation says; none of it is refused. */
async function liveAs(username, password) {
  const { host, port } = server;
  const settings = { host, port, username, password, db: 1, connectionName: "shop" };
  const store = temporaryStore(settings, { ttl: 60_000, slidingTtl: true });
  await store.beginExecution("run");
  await store.beginExecutionTask("run", "step");
  expect(await store.isExecutionTaskInProgress("run", "step")).toBe(true);
  // The next connection has to do without what was allowed only once.
  const killed = async () => (await admin.client("KILL", "USER", username)) > 0;
  await eventually(killed, { message: `a connection of ${username}` });
  await store.commitExecutionTaskResult("run", "step", 1);
  expect(await store.getExecutionTaskResult("run", "step")).toBe(1);
  expect(await store.getExecutionTaskResults("run")).toEqual({ step: 1 });
  await store.disposeExecution("run");
  expect(await store.isExecutionInProgress("run")).toBe(false);
  expect(await admin.call("ACL", "LOG")).toEqual([]);
}

describe.each(documents.filter(({ blocks }) => blocks.length > 0))("the code in $path", ({ blocks }) => {
  test.each(blocks.map((block) => ({ ...block, start: block.code.split("\n", 1)[0].slice(0, 60) })))(
    "line $line: $start",
    async ({ start: _, ...block }) => {
      expect(TRIALS, `a block of the language "${block.language}" has to be tried somehow`).toHaveProperty([
        block.language,
      ]);
      await TRIALS[block.language](block);
    },
  );
});

test("what is said not to be run is still there", () => {
  const starts = documents.flatMap(({ blocks }) => blocks.map(({ code }) => code.split("\n", 1)[0]));
  expect(starts).toEqual(expect.arrayContaining(Object.keys(NOT_RUN)));
});
