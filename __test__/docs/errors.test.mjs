/**
 * The tables of error texts: each row is used and documented, and what the addon and the JavaScript side both say is the same.
 */
import { readdirSync } from "node:fs";
import { createRequire } from "node:module";
import { posix } from "node:path";
import { describe, expect, test } from "vitest";
import { addonTexts, asMarkdown } from "../../tooling/error-texts.mjs";
import { ROOT } from "../../tooling/setup.mjs";
import { read } from "../support/document.mjs";

const { CALLS, LOADING, PHRASES } = createRequire(import.meta.url)("../../lib/error-texts.js");
const tables = addonTexts();
const tableOf = (name) => tables.find((table) => table.name === name);

/** The names that only the JavaScript side has: what a client, the engine or OpenTelemetry has to do with. */
const OF_CLIENTS = [
  "clientDidNotAnswer",
  "passedToClient",
  "requestAborted",
  "incompleteResponse",
  "databaseNotNamed",
  "wrongTimeout",
  "claimMadeNoError",
  "unknownOption",
];

/** The sources below some folders, as paths in the checkout. */
function sources(extension, ...folders) {
  return folders.flatMap((folder) =>
    readdirSync(posix.join(ROOT, folder), { withFileTypes: true }).flatMap((entry) => {
      const path = posix.join(folder, entry.name);
      if (entry.isDirectory()) return sources(extension, path);
      return path.endsWith(extension) ? [path] : [];
    }),
  );
}

/** What is taken from the tables by a Rust source, as `table::name`. */
function takenBy(source) {
  const taken = [];
  const aliases = new Map();
  for (const [, path] of source.matchAll(/\berror_texts::((?:\w+::)*(?:\{[^}]*\}|\w+(?: as \w+)?))/g)) {
    const [, prefix, list] = /^((?:\w+::)*)\{?([^}]*)\}?$/s.exec(path);
    for (const item of list.split(",").map((item) => item.trim())) {
      const [name, alias = name] = `${prefix}${item}`.split(" as ");
      if (name.includes("::")) taken.push(name);
      else aliases.set(alias, name);
    }
  }
  for (const [alias, name] of aliases) {
    for (const [, text] of source.matchAll(new RegExp(`\\b${alias}::(\\w+)`, "g"))) taken.push(`${name}::${text}`);
  }
  return taken;
}

const snake = (name) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

describe("the tables of the addon", () => {
  const outside = sources(".rs", "core/src", "src").filter((path) => !path.startsWith("core/src/error_texts/"));

  test("are read whole", () => {
    for (const { name, rows, declared } of tables) expect(rows.length, name).toBe(declared);
    expect(tables.flatMap(({ rows }) => rows).length).toBeGreaterThan(100);
    expect(tables.flatMap(({ phrases }) => phrases).length).toBeGreaterThan(60);
    expect(tables.flatMap(({ advices }) => advices).length).toBeGreaterThan(7);
  });

  test("have no row that nothing uses", () => {
    const taken = new Set(outside.flatMap((path) => takenBy(read(path))));
    const unused = tables.flatMap(({ name, rows, phrases }) => {
      const names = read(`core/src/error_texts/${name}.rs`).replace(/"(?:[^"\\]|\\.)*"|\/\/.*$/gm, "");
      const isUsed = (text) =>
        taken.has(`${name}::${text}`) || names.match(new RegExp(`\\b${text}\\b`, "g")).length > 1;
      return [...rows, ...phrases].filter((text) => !isUsed(text.name)).map((text) => `${name}::${text.name}`);
    });
    expect(unused).toEqual([]);
  });

  test("say nothing twice", () => {
    const all = tables.flatMap(({ rows, phrases }) => [
      ...rows.map(({ sentence, advice }) => `${sentence} ${advice}`),
      ...phrases.map(({ text }) => text),
    ]);
    expect(all.filter((text, index) => all.indexOf(text) !== index)).toEqual([]);
  });

  test("are where every error is made", () => {
    // Other code may only change one: a literal has the rest of another error.
    const literal = /\b(?:StoreError|ConfigError) \{([^{}]*)\}/g;
    const elsewhere = outside.filter((path) => {
      const [code] = read(path).split("#[cfg(test)]");
      return [...code.matchAll(literal)].some(([, fields]) => /\bmessage:/.test(fields) && !fields.includes(".."));
    });
    // Of these, the struct itself.
    expect(elsewhere).toEqual(["core/src/config/error.rs", "core/src/error.rs"]);
  });

  test("are in docs/errors.md (`npx vitest run __test__/docs/errors.test.mjs -u` writes them there)", async () => {
    const [intro] = read("docs/errors.md").split(/^## /m);
    await expect(intro + asMarkdown(tables)).toMatchFileSnapshot("../../docs/errors.md");
  });
});

describe("the tables of the JavaScript side", () => {
  test("say what the addon says", () => {
    for (const [name, { code, sentence, advice }] of Object.entries(CALLS)) {
      const row = tableOf("calls").rows.find((row) => row.name === snake(name));
      expect({ code, sentence, advice }, name).toEqual({
        code: row?.code,
        sentence: row?.sentence,
        advice: row?.advice,
      });
    }
    for (const [name, text] of Object.entries(PHRASES)) {
      const phrase = tableOf("calls").phrases.find((phrase) => phrase.name.toLowerCase() === snake(name));
      if (OF_CLIENTS.includes(name)) expect(phrase, name).toBe(undefined);
      else expect(text, name).toBe(phrase?.text);
    }
  });

  test("have no row that nothing uses", () => {
    const code = sources(".js", "lib")
      .filter((path) => path !== "lib/error-texts.js")
      .map(read)
      .join("\n");
    const names = Object.entries({ CALLS, LOADING, PHRASES }).flatMap(([table, rows]) =>
      Object.keys(rows).map((name) => `${table}.${name}`),
    );
    expect(names.filter((name) => !new RegExp(`\\b${name}\\b`).test(code))).toEqual([]);
  });

  test("are where the sentences of lib/client-store and lib/load-error are", () => {
    const paths = sources(".js", "lib/client-store", "lib/load-error");
    const spaced = paths.filter((path) => /new (?:\w*Error|RedisStoreError)\(["`]/.test(read(path)));
    expect(spaced).toEqual([]);
  });
});

test("every code is explained in index.d.ts and in docs/troubleshooting.md", () => {
  const codes = new Set(read("core/src/error.rs").match(/ERR_REDIS_[A-Z]+/g));
  expect(codes.size).toBeGreaterThan(7);
  const used = new Set(tables.flatMap(({ rows }) => rows.map(({ code }) => code)));
  expect(used).toEqual(codes);
  const types = read("index.d.ts");
  const page = read("docs/troubleshooting.md");
  for (const code of codes) {
    expect(types).toMatch(new RegExp(`^ \\* - \`${code}\`: \\S`, "m"));
    expect(types).toMatch(new RegExp(`^ {2}\\| "${code}"`, "m"));
    expect(page).toMatch(new RegExp(`^\\| \`${code}\` \\| \\S`, "m"));
  }
});
