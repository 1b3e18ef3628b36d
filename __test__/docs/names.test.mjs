/**
 * The documentation is complete and consistent: its links lead somewhere, what it names exists, and every option, error
 * code and page stands in it.
 */
import { readdirSync } from "node:fs";
import { basename, join, posix } from "node:path";
import { describe, expect, test } from "vitest";
import { createRedisStore } from "../../index.js";
import { brokenLinks } from "../../tooling/links.mjs";
import { links } from "../../tooling/markdown.mjs";
import { ROOT } from "../../tooling/setup.mjs";
import { allDocuments, read, scriptsBeside } from "../support/document.mjs";
import { sharedRedis } from "../support/redis.mjs";

const { url } = sharedRedis();
const documents = allDocuments();
const textOf = (path) => documents.find((document) => document.path === path).text;

describe.each(documents)("$path", ({ path, text }) => {
  test("its links lead somewhere", () => {
    expect(brokenLinks(path)).toEqual([]);
  });

  test("its scripts exist", () => {
    const named = [...text.matchAll(/npm run ([\w:-]+)/g)].map(([, script]) => script);
    expect(scriptsBeside(path)).toEqual(expect.arrayContaining(named));
  });

  test("its tests exist", () => {
    const named = [...text.matchAll(/npx vitest run (?!-)([\w./-]+)(?: -t "([^"]+)")?/g)];
    const missing = named.filter(([, path, title]) => {
      const files = filesIn("__test__").filter((file) => file.endsWith(".test.mjs") && file.includes(path));
      if (title === undefined) return files.length === 0;
      return !files.some((file) => titlesIn(read(file)).some((found) => new RegExp(title).test(found)));
    });
    expect(missing.map(([command]) => command)).toEqual([]);
  });

  test("its error codes exist", () => {
    const named = new Set(text.match(/ERR_REDIS_[A-Z]+/g));
    expect([...named].filter((code) => !errorCodes().has(code))).toEqual([]);
  });
});

/** What the tests in a source, and the groups they are in, are called. */
function titlesIn(source) {
  return [...source.matchAll(/^ *(?:it|test|describe)\b.*?\(\s*(["'`])(.*?)\1/gm)].map(([, , title]) => title);
}

/** The codes in the types, which are those of the addon and of lib. */
function errorCodes() {
  return new Set(read("index.d.ts").match(/ERR_REDIS_[A-Z]+/g));
}

test("what ARCHITECTURE.md names is in the code", () => {
  const sources = ["src", "core/src", "lib"].flatMap((dir) => filesIn(dir).filter((path) => /\.(rs|js)$/.test(path)));
  const code = [...sources, "index.js", "index.d.ts", "Cargo.toml"].map(read).join("\n");
  const words = new Set(code.match(/\w+/g));
  const named = [...textOf("ARCHITECTURE.md").matchAll(/`([A-Za-z_]\w*)(?:::(\w+))?`/g)];
  expect(named.length).toBeGreaterThan(20);
  expect(named.flatMap(([, ...parts]) => parts).filter((part) => part !== undefined && !words.has(part))).toEqual([]);
});

test("CONTRIBUTING.md has every folder of the checkout, and every script", () => {
  const text = textOf("CONTRIBUTING.md");
  const ignored = read(".gitignore").split("\n");
  const folders = readdirSync(ROOT, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && !entry.name.startsWith(".") && !ignored.includes(`/${entry.name}`))
    .map(({ name }) => name);
  expect(folders.filter((name) => !text.includes(`\`${name}\``))).toEqual([]);
  // A script by its name, or by that of its folder.
  const isNamed = (path) =>
    text.includes(`${basename(path)}\``) || path.split("/").some((part) => text.includes(`\`${part}/\``));
  expect(filesIn("scripts").filter((path) => !isNamed(path))).toEqual([]);
});

/** The files below a folder of the checkout, as paths in it. */
function filesIn(dir) {
  return readdirSync(join(ROOT, dir), { withFileTypes: true }).flatMap((entry) => {
    const path = posix.join(dir, entry.name);
    return entry.isDirectory() ? filesIn(path) : [path];
  });
}

test("docs/README.md leads to every page", () => {
  const targets = links(textOf("docs/README.md")).map(({ target }) => `docs/${target}`);
  const pages = documents.map(({ path }) => path).filter((path) => /^docs\/(?!README)/.test(path));
  expect(targets).toEqual(expect.arrayContaining(pages));
});

test("docs/options.md has every option, and no other", () => {
  const [, body] = /interface RedisStoreOptions \{(.*?)^\}/ms.exec(read("index.d.ts"));
  const options = [...body.matchAll(/^ {2}(\w+)\?:/gm)].map(([, name]) => name);
  const text = textOf("docs/options.md");
  expect([...text.matchAll(/^## `(\w+)`$/gm)].map(([, name]) => name)).toEqual(options);
  expect([...text.matchAll(/^\| \[`(\w+)`\]/gm)].map(([, name]) => name)).toEqual(options);
  // What the types call an option, the addon does too.
  for (const option of options) {
    expect(() => createRedisStore(url, { [option]: null }), option).not.toThrow();
    expect(() => createRedisStore(url, { [option]: Symbol(option) }), option).toThrow(TypeError);
  }
});

test("docs/troubleshooting.md has every error code", () => {
  const inAddon = read("core/src/error.rs").match(/ERR_REDIS_[A-Z]+/g);
  const explained = [...textOf("docs/troubleshooting.md").matchAll(/^\| `(ERR_REDIS_[A-Z]+)` \|/gm)].map(
    ([, code]) => code,
  );
  expect(explained).toEqual(expect.arrayContaining(inAddon));
  expect(new Set(explained)).toEqual(errorCodes());
});

test("docs/troubleshooting.md has every reply that the store treats in a way of its own", () => {
  const [, decision] = /pub fn retry_decision.*?\{(.*?)^\}/ms.exec(read("core/src/transport/retry_policy.rs"));
  const [, advice] = /^const ADVICE.*?= \[(.*?)^\];/ms.exec(read("core/src/error_texts/replies.rs"));
  const codes = new Set(`${decision}${advice}`.match(/(?<=")[A-Z]{3,}(?=")/g));
  expect(codes.size).toBeGreaterThan(10);
  const text = textOf("docs/troubleshooting.md");
  expect([...codes].filter((code) => !text.includes(`\`${code}\``))).toEqual([]);
});

test("docs/performance.md says of every case of the benchmark what it is", () => {
  const [figures, explained] = textOf("docs/performance.md").split("## Reading the figures");
  const known = [...explained.matchAll(/^\| (`.*?) \|/gm)].flatMap(([, names]) => {
    const parts = [...names.matchAll(/`([\w*-]+)`/g)].map(([, name]) => name);
    const suffixes = parts.filter((part) => part.startsWith("-"));
    const whole = parts.filter((part) => !part.startsWith("-"));
    return [...whole, ...whole.flatMap((name) => suffixes.map((suffix) => name + suffix))];
  });
  const patterns = known.map((name) => new RegExp(`^${name.replace("*", ".+").replace("-N", "-\\d+")}$`));
  const reported = [...figures.matchAll(/<sub>([\w-]+)<\/sub>/g)].map(([, name]) => name);
  const named = filesIn("bench/experiments").flatMap((path) =>
    [...read(path).matchAll(/\bname: "([\w-]+)"/g)].map(([, name]) => name),
  );
  expect(reported.length).toBeGreaterThan(30);
  expect([...reported, ...named].filter((name) => !patterns.some((pattern) => pattern.test(name)))).toEqual([]);
});

test("docs/support.md names the versions that are tested", () => {
  const text = textOf("docs/support.md");
  const tools = read("scripts/release/tools.mjs");
  const versions = /NODE_VERSIONS = \[(.*?)\]/s.exec(tools)[1].match(/\d+\.\d+\.\d+/g);
  for (const version of versions) expect(text).toContain(`| Node.js ${version.split(".")[0]} | ${version} | yes |`);
  for (const name of ["Bun", "Deno"]) {
    const [, version] = new RegExp(`\\["${name.toLowerCase()}", "([\\d.]+)"\\]`).exec(tools);
    expect(text).toContain(`| ${name} | ${version} |`);
  }
  const servers = [...textOf("docs/topologies.md").matchAll(/^\| (?:Redis|Valkey) (\d+\.\d+\.\d+) \|/gm)];
  expect(servers.length).toBeGreaterThan(3);
  expect(servers.filter(([, version]) => !text.includes(` | ${version} | `))).toEqual([]);
});

test("docs/deployment.md names the versions that were tried", () => {
  const tools = JSON.parse(read("scripts/compat/frameworks/tools.json"));
  const text = textOf("docs/deployment.md");
  const named = Object.entries(tools).filter(([tool]) => tool !== "webpack-cli");
  expect(named.filter(([tool, version]) => !text.includes(`| ${tool} ${version} |`))).toEqual([]);
});

test("docs/platforms.md says the size of the package that was tried", () => {
  const text = textOf("docs/platforms.md");
  const tried = /redis-linux-x64-gnu ([\d.]+) MiB packed, ([\d.]+) MiB unpacked/.exec(text).slice(1);
  const said = /a download of about ([\d.]+) MiB and takes ([\d.]+) MiB on disk/.exec(text).slice(1);
  expect(said).toEqual(tried.map((size) => Number(size).toFixed(1)));
});
