/**
 * The types are the API reference: each export says where to read on, functions and methods say what they throw and show a
 * call, and numbers that are times have a unit.
 */
import { describe, expect, test } from "vitest";
import { codeBlocks } from "../../tooling/markdown.mjs";
import { openWorkshop, read } from "../support/document.mjs";

const COMMENT = String.raw`/\*\*(?:(?!\*/)[\s\S])*\*/`;
const EXPORT = new RegExp(
  String.raw`(${COMMENT}\n)?^export (?:declare )?(interface|class|type|function) (\w+)([^\n]*)`,
  "gm",
);
const MEMBER = new RegExp(String.raw`(${COMMENT}\n)?^ {2}(?:readonly )?(\w+)(\??)([:(])([^\n]*)`, "gm");

/** Names that an example may use without saying where they come from. */
const NAMES = {
  createRedisStore: 'import { createRedisStore } from "@idioteque/redis";',
  register: 'import { register } from "@idioteque/redis/otel";',
  store: 'declare const store: import("@idioteque/redis").RedisStore;',
  admin: 'declare const admin: import("@idioteque/redis/admin").RedisAdmin;',
};

/** Objects whose methods are calls. */
const OBJECTS = ["RedisStore", "RedisAdmin"];
const TIMES = /(?:Ms|[tT]imeout|^ttl|Ttl|olderThan)$/;

describe.each(["index.d.ts", "admin.d.ts", "otel.d.ts"])("%s", (path) => {
  const source = read(path);
  const exported = [...source.matchAll(EXPORT)].map(([, comment = "", kind, name, rest]) => ({
    comment,
    kind,
    name,
    rest,
  }));
  const membersOf = (name) => {
    const [, body = ""] =
      new RegExp(`^export (?:declare )?(?:interface|class) ${name}\\b[^\\n]*\\{\\n(.*?)^\\}`, "ms").exec(source) ?? [];
    return [...body.matchAll(MEMBER)].map(([, comment = "", member, , mark, type]) => ({
      comment,
      name: `${name}.${member}`,
      member,
      isMethod: mark === "(" || type.trim().startsWith("("),
      type,
    }));
  };
  const members = exported.flatMap(({ name }) => membersOf(name));
  const namesOf = (list) => list.map(({ name }) => name);

  test("each export has a comment, and a tag that says where to read on", () => {
    expect(exported.length).toBeGreaterThan(1);
    const overloads = namesOf(exported).filter((name, index, all) => all.indexOf(name) !== index);
    const without = exported.filter(({ comment, name }) => !overloads.includes(name) && !comment.includes("@see "));
    expect(namesOf(without)).toEqual([]);
  });

  test("functions say what they take, give and throw, and show a call", () => {
    const tags = (rest) => {
      const parameters = [...rest.matchAll(/(\w+)\??: /g)].map(([, parameter]) => `@param ${parameter} `);
      return ["@returns ", "@throws ", "@example", ...parameters];
    };
    const functions = exported.filter(({ kind }) => kind === "function");
    const without = functions.filter(({ comment, rest }) => tags(rest).some((tag) => !comment.includes(tag)));
    expect(namesOf(without)).toEqual([]);
  });

  test("methods of stores and admins say what they reject with, and show a call", () => {
    const methods = members.filter(({ name, isMethod }) => isMethod && OBJECTS.includes(name.split(".")[0]));
    const cannotFail = /Does not reject|does not throw/;
    const without = methods.filter(
      ({ comment }) => !comment.includes("@example") || !(comment.includes("@throws ") || cannotFail.test(comment)),
    );
    expect(namesOf(without)).toEqual([]);
  });

  test("each member has a comment", () => {
    const without = members.filter(({ comment, type }) => comment === "" && !type.startsWith(" never"));
    expect(namesOf(without)).toEqual([]);
  });

  test("times have a unit", () => {
    const times = members.filter(({ member, type }) => TIMES.test(member) && /\bnumber\b/.test(type));
    expect(namesOf(times.filter(({ comment }) => !/milliseconds?/i.test(comment)))).toEqual([]);
  });

  test("the examples compile", { timeout: 60_000 }, async () => {
    const comments = source.match(new RegExp(COMMENT, "g"));
    const blocks = comments.flatMap((comment) => codeBlocks(comment.replace(/^ *\* ?/gm, "")));
    expect(blocks.length).toBeGreaterThan(1);
    const workshop = openWorkshop({});
    try {
      await workshop.check(...blocks.map(({ code }) => ({ code: complete(code) })));
    } finally {
      workshop.close();
    }
  });
});

/** An example with what it takes for granted before it. */
function complete(code) {
  const missing = Object.entries(NAMES).filter(
    ([name]) =>
      new RegExp(`\\b${name}\\b`).test(code) && !new RegExp(`(?:const|using|import \\{) ${name}\\b`).test(code),
  );
  return [...missing.map(([, source]) => source), code, "export {};", ""].join("\n");
}
