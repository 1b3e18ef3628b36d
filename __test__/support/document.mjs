/**
 * The documentation as something that can be run: its code blocks in processes of their own, where the package is found by
 * its name, with the names that they take for granted.
 */
import { execFile } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { documentPaths } from "../../tooling/links.mjs";
import { codeBlocks } from "../../tooling/markdown.mjs";
import { createAuthority } from "../../tooling/servers/certificates.mjs";
import { ROOT } from "../../tooling/setup.mjs";

const DEADLINE_MS = 30_000;
const TYPE_SETTINGS = "__test__/types/tsconfig.json";

/** Names that a block may use without saying where they come from, and where they come from. */
const NAMES = {
  createRedisStore: 'import { createRedisStore } from "@idioteque/redis";',
  createRedisStoreFromEnv: 'import { createRedisStoreFromEnv } from "@idioteque/redis";',
  Redis: 'import { Redis } from "ioredis";',
  Cluster: 'import { Cluster } from "ioredis";',
  readFileSync: 'import { readFileSync } from "node:fs";',
  store: `import { createRedisStore as open } from "@idioteque/redis";
const store = open(process.env.REDIS_URL);`,
  redis: `import { Redis as Client } from "ioredis";
const redis = new Client(process.env.REDIS_URL);`,
  client: `import { Redis as Client } from "ioredis";
const client = new Client(process.env.REDIS_URL);`,
  dispatcher: "const dispatcher = { dispatch() {} };",
  server: `import { createServer } from "node:http";
const server = createServer((request, response) => setTimeout(() => response.end(), 300)).listen(0, "127.0.0.1");`,
  sentinels: 'const sentinels = [{ host: "127.0.0.1", port: 1 }];',
  nodes: 'const nodes = [{ host: "127.0.0.1", port: 1 }];',
  url: "const url = process.env.UPSTASH_REDIS_REST_URL;",
  token: "const token = process.env.UPSTASH_REDIS_REST_TOKEN;",
  password: 'const password = "secret";',
  ca: `import { readFileSync as readCa } from "node:fs";
const ca = readCa("ca.pem", "utf8");`,
  cert: `import { readFileSync as readCert } from "node:fs";
const cert = readCert("cert.pem", "utf8");`,
  key: `import { readFileSync as readKey } from "node:fs";
const key = readKey("key.pem", "utf8");`,
};

/** What is done with a block that only defines something: the code that calls it. */
const USES = [
  [
    "export async function handler(event)",
    'await handler({ Records: [{ body: JSON.stringify({ id: "order-1", event: { name: "order.placed" } }) }] });',
  ],
  [
    "probes.listen(",
    `if (!probes.listening) await new Promise((resolve) => probes.once("listening", resolve));
for (const path of ["live", "ready"]) {
  const response = await fetch(\`http://127.0.0.1:\${probes.address().port}/\${path}\`);
  const text = await response.text();
  if (response.status !== 200) throw new Error(\`/\${path} answered \${response.status}: \${text}\`);
}`,
  ],
  [
    "new NodeSDK(",
    `const { createRedisStore: open } = await import("@idioteque/redis");
await open(process.env.REDIS_URL).beginExecution("traced");
await sdk.shutdown();`,
  ],
  [
    "prometheus.getMetricsRequestHandler(",
    `const { createRedisStore: open } = await import("@idioteque/redis");
const { Redis: Admin } = await import("ioredis");
const [store, admin] = [open(process.env.REDIS_URL), new Admin(process.env.REDIS_URL)];
await open("redis://127.0.0.1:1", { commandTimeout: 50 }).beginExecution("fails").catch(() => {});
await admin.config("SET", "min-replicas-to-write", "1");
const call = store.beginExecution("is sent again");
for (const end = Date.now() + 5000; store.stats().retries === 0; await new Promise((resolve) => setTimeout(resolve, 10)))
  if (Date.now() > end) throw new Error("nothing was sent again");
await admin.config("SET", "min-replicas-to-write", "0");
await call;
const response = await fetch(\`http://127.0.0.1:\${process.env.METRICS_PORT}/metrics\`);
console.log(await response.text());`,
  ],
  [
    'process.once("SIGTERM"',
    // A connection with an answer to come, which its client keeps open afterwards, for five seconds if the server lets it.
    `const { Agent, get } = await import("node:http");
if (!server.listening) await new Promise((resolve) => server.once("listening", resolve));
const begun = new Promise((resolve) => server.once("request", resolve));
const agent = new Agent({ keepAlive: true });
get({ port: server.address().port, agent }).on("response", (response) => response.resume());
await begun;
process.kill(process.pid, "SIGTERM");
for (const end = Date.now() + 4000; ; await new Promise((resolve) => setTimeout(resolve, 10))) {
  const code = await store.isExecutionInProgress("x").then(() => "", (error) => error.code);
  if (code === "ERR_REDIS_CLOSED") break;
  if (Date.now() > end) throw new Error("the store was not closed");
}`,
  ],
];

/** The worker's package, which a test cannot install: the worker of the examples stands in for it. */
const WORKER = JSON.stringify(join(ROOT, "tooling/workflow/worker.mjs"));

/** The text of a file of the checkout. */
export function read(path) {
  return readFileSync(join(ROOT, path), "utf8");
}

/** Whether there is a file where a document's commands run: in its example, or in the checkout. */
export function isBeside(document, path) {
  return existsSync(join(ROOT, homeOf(document), path));
}

/** The scripts that `npm run` has there. */
export function scriptsBeside(document) {
  return Object.keys(JSON.parse(read(join(homeOf(document), "package.json"))).scripts);
}

function homeOf(document) {
  return document.startsWith("examples/") ? dirname(document) : ".";
}

/**
 * @typedef {import("../../tooling/markdown.mjs").CodeBlock & { document: string }} Block `document` is a path in the checkout
 *
 * @returns {{ path: string, text: string, blocks: Block[] }[]} all documents
 */
export function allDocuments() {
  return documentPaths().map((path) => {
    const text = read(path);
    return { path, text, blocks: codeBlocks(text).map((block) => ({ ...block, document: path })) };
  });
}

/**
 * A place to run blocks in: inside the checkout, so that its packages and the package itself are found by their names.
 *
 * @param {Record<string, string>} env what the blocks find in their environment
 */
export function openWorkshop(env) {
  mkdirSync(join(ROOT, "target"), { recursive: true });
  const dir = mkdtempSync(join(ROOT, "target", "documents-"));
  const authority = createAuthority();
  const { cert, key } = authority.issue({ names: ["localhost"] });
  for (const [name, text] of Object.entries({ ca: authority.cert, cert, key }))
    writeFileSync(join(dir, `${name}.pem`), text);
  let files = 0;

  const write = (extension, code) => {
    files += 1;
    const path = join(dir, `block-${files}.${extension}`);
    writeFileSync(path, code);
    return path;
  };
  const node = (...args) =>
    promisify(execFile)(process.execPath, args, {
      cwd: dir,
      env: { ...process.env, ...env },
      timeout: DEADLINE_MS,
      killSignal: "SIGKILL",
    });

  return {
    /** Runs a block of JavaScript. Rejects when it throws; resolves with the lines it printed. */
    async run({ code }) {
      const { stdout } = await node(write("mjs", complete(code)));
      return stdout.split("\n").filter(Boolean);
    },

    /** What a configuration file exports. */
    async load({ code }) {
      return (await import(write("mjs", code))).default;
    },

    /** Rejects when a block of JavaScript is not well-formed. */
    async parse({ code }) {
      await node("--check", write("mjs", code));
    },

    /** Rejects, with what the compiler says, when a block of TypeScript has an error. */
    async check(...blocks) {
      const { compilerOptions } = JSON.parse(read(TYPE_SETTINGS));
      const files = blocks.map(({ code }) => write("mts", code));
      const project = write("json", JSON.stringify({ compilerOptions, files }));
      const compiler = join(ROOT, "node_modules/typescript/bin/tsc");
      await node(compiler, "-p", project).catch((error) => {
        throw new Error(error.stdout || error.message);
      });
    },

    close: () => rmSync(dir, { recursive: true, force: true }),
  };
}

/** The block with what it takes for granted before it, and with its use and its end behind it. */
function complete(code) {
  const prelude = Object.entries(NAMES)
    .filter(([name]) => uses(code, name) && !declares(code, name))
    .map(([, source]) => source);
  const [, use = ""] = USES.find(([start]) => code.includes(start)) ?? [];
  const own = code.replaceAll('from "idioteque"', `from ${WORKER}`);
  // Clients that a block leaves open would keep its process alive.
  return [...prelude, own, use, "process.exit(0);", ""].join("\n");
}

function uses(code, name) {
  return new RegExp(`(?<![.\\w"'-])${name}(?![\\w"':])`).test(code.replace(/\/\/.*$/gm, ""));
}

function declares(code, name) {
  return new RegExp(`(?:const|let|class|function) ${name}\\b|import[^;]*\\b${name}\\b[^;]*from`).test(code);
}
