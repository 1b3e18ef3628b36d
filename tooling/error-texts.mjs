/**
 * The tables of error texts as data: those of the addon, read from its sources, and those of lib/error-texts.js.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "./setup.mjs";

const FOLDER = "core/src/error_texts";

/** The tables of the addon, in the order of the page. */
const TABLES = ["calls", "connections", "replies", "http", "values", "urls", "clients", "unsupported"];

const LITERAL = '"(?:[^"\\\\]|\\\\.)*"';
const ROW = new RegExp(`^ {4}(\\w+)\\([\\w, ]*\\) => (\\w+),\\s*(${LITERAL}),\\s*(${LITERAL});`, "gms");
const CONSTANT = new RegExp(`^pub const (\\w+): &str =\\s*(${LITERAL});`, "gms");
const FUNCTION = new RegExp(`^pub fn (\\w+)\\([^)]*\\) -> String \\{\\s*format!\\(\\s*(${LITERAL})`, "gms");

/**
 * @typedef {object} Table
 * @property {string} name of its module
 * @property {string} title what its texts are about
 * @property {{ name: string, code: string, sentence: string, advice: string }[]} rows
 * @property {{ name: string, text: string }[]} phrases parts of sentences, and sentences without a code
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
      declared: (source.match(/^ {4}\w+\(.*?\) => /gm) ?? []).length,
    };
  });
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
    .map(({ title, rows }) =>
      [
        `## ${title}`,
        "",
        "| `code` | message | what to do |",
        "| --- | --- | --- |",
        ...rows.map(({ code, sentence, advice }) => `| \`${code}\` | ${cell(sentence)} | ${cell(advice)} |`),
        "",
      ].join("\n"),
    )
    .join("\n");
}

function cell(text) {
  return text
    .replace(/\{(\w+)\}/g, "*$1*")
    .replaceAll("{{", "{")
    .replaceAll("}}", "}")
    .replaceAll("|", "\\|");
}
