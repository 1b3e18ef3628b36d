/**
 * The tables of error texts as data: those of the addon, read from its sources, and those of lib/error-texts.js.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "./setup.mjs";

const FOLDER = "core/src/error_texts";

/** The tables of the addon, in the order of the page. */
const TABLES = ["calls", "connections", "replies", "http", "values", "urls", "clients", "unsupported", "admin"];

const LITERAL = '"(?:[^"\\\\]|\\\\.)*"';
const ROW = new RegExp(`^ {4}(\\w+)\\([\\w, ]*\\) => (\\w+),\\s*(${LITERAL}),\\s*(${LITERAL});`, "gms");
const CONSTANT = new RegExp(`^pub const (\\w+): &str =\\s*(${LITERAL});`, "gms");
const FUNCTION = new RegExp(`^pub fn (\\w+)\\([^)]*\\) -> String \\{\\s*format!\\(\\s*(${LITERAL})`, "gms");

const ADVICES = /^const ADVICE: \[\(&str, &str, &str\); (\d+)\] = \[(.*?)^\];/ms;
const ADVICE = new RegExp(`\\(\\s*(${LITERAL}),\\s*(${LITERAL}),\\s*(${LITERAL}|\\w+),?\\s*\\)`, "g");
const NAMED = new RegExp(`^const (\\w+): &str =\\s*(${LITERAL});`, "gms");

/**
 * @typedef {object} Table
 * @property {string} name of its module
 * @property {string} title what its texts are about
 * @property {{ name: string, code: string, sentence: string, advice: string }[]} rows
 * @property {{ name: string, text: string }[]} phrases parts of sentences, and sentences without a code
 * @property {{ reply: string, start: string, advice: string }[]} advices what to do about a refusal, by the server's code
 *   and how its words begin
 */

/** @returns {Table[]} */
export function addonTexts() {
  const files = readdirSync(join(ROOT, FOLDER)).filter((file) => file !== "mod.rs");
  if (files.length !== TABLES.length) throw new Error(`not all of ${files} are in TABLES`);
  return TABLES.map((name) => {
    const source = readFileSync(join(ROOT, FOLDER, `${name}.rs`), "utf8");
    const rows = [...source.matchAll(ROW)].map(([, name, code, sentence, advice]) => ({
      name,
      code: `ERR_REDIS_${code.toUpperCase()}`,
      sentence: textOf(sentence),
      advice: textOf(advice),
    }));
    const phrases = [...source.matchAll(CONSTANT), ...source.matchAll(FUNCTION)];
    return {
      name,
      title: source.match(/^\/\/! ([^.:]*)/)[1],
      rows,
      phrases: phrases.map(([, name, literal]) => ({ name, text: textOf(literal) })),
      advices: advicesOf(source),
      declared: (source.match(/^ {4}\w+\(.*?\) => /gm) ?? []).length,
    };
  });
}

function advicesOf(source) {
  const [, declared, body] = ADVICES.exec(source) ?? [];
  if (body === undefined) return [];
  const named = new Map([...source.matchAll(NAMED)].map(([, name, literal]) => [name, literal]));
  const advices = [...body.matchAll(ADVICE)].map(([, reply, start, advice]) => ({
    reply: textOf(reply),
    start: textOf(start),
    advice: textOf(named.get(advice) ?? advice),
  }));
  if (advices.length !== Number(declared)) throw new Error(`${declared} advices, of which ${advices.length} were read`);
  return advices;
}

/** What a string literal of Rust says. Placeholders stay as they are. */
function textOf(literal) {
  return literal
    .slice(1, -1)
    .replace(/\\\n\s*/g, "")
    .replace(/\\n/g, "\n")
    .replace(/\\(["\\])/g, "$1");
}

/**
 * The tables as a page shows them, where braces are those of placeholders or stand for themselves.
 *
 * @param {Table[]} tables
 * @returns {string}
 */
export function asMarkdown(tables) {
  return tables
    .filter(({ rows }) => rows.length > 0)
    .map(({ title, rows, advices }) =>
      [
        `## ${title}`,
        "",
        "| `code` | message | what to do |",
        "| --- | --- | --- |",
        ...rows.map(({ code, sentence, advice }) => `| \`${code}\` | ${cell(sentence)} | ${cell(advice)} |`),
        "",
        ...adviceLines(advices),
      ].join("\n"),
    )
    .join("\n");
}

function adviceLines(advices) {
  if (advices.length === 0) return [];
  const told = ({ reply, start }) => `\`${reply}\`${start === "" ? "" : `, with a text that begins with "${start}"`}`;
  return [
    "*advice*, by the server's code:",
    "",
    "| *reply* | *advice* |",
    "| --- | --- |",
    ...advices.map((one) => `| ${told(one)} | ${cell(one.advice)} |`),
    "",
  ];
}

function cell(text) {
  return text
    .replace(/\{(\w+)\}/g, "*$1*")
    .replaceAll("{{", "{")
    .replaceAll("}}", "}")
    .replaceAll("|", "\\|");
}
