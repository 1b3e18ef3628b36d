/**
 * The documentation is true: every block of code in it does what it says, against real servers.
 */
import { Redis } from "ioredis";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { startRestEndpoint } from "../../tooling/servers/rest-endpoint.mjs";
import { allDocuments, isBeside, openWorkshop, scriptsBeside } from "../support/document.mjs";
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

/** Programs that a block for the shell may call, and what can be said of their arguments without calling them. */
const PROGRAMS = {
  npm: ([command, name], document) => {
    if (command === "run") expect(scriptsBeside(document)).toContain(name);
    else if (command === "install" && name !== undefined) expect(name).toBe(packageName);
    else expect(["ci", "install", "test"]).toContain(command);
  },
  npx: (args, document) => {
    if (args[0] === packageName) return;
    expect(args.slice(0, 2)).toEqual(["vitest", "run"]);
    expect(isBeside(document, args[2]), args[2]).toBe(true);
  },
  cargo: ([command]) => expect(["build", "clippy", "fmt", "test"]).toContain(command),
  node: ([path], document) => expect(isBeside(document, path), path).toBe(true),
  cp: ([path], document) => expect(isBeside(document, path), path).toBe(true),
};

let server;
let admin;
let rest;
let workshop;

beforeAll(async () => {
  server = await privateRedis();
  admin = new Redis(server.url);
  rest = await startRestEndpoint({ redisUrl: server.url });
  const { url, token } = rest;
  workshop = openWorkshop({
    REDIS_URL: server.url,
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
  await rest.stop();
});

/** How a block of each language is tried. */
const TRIALS = {
  async js(block) {
    const firstLine = block.code.split("\n", 1)[0];
    if (Object.hasOwn(NOT_RUN, firstLine)) return workshop.parse(block);
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

  // Run, with what they print, by the test of that page.
  console: ({ code, document }) => {
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
