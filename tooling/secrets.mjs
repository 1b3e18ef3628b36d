/**
 * Passwords and tokens of the tests, all with one text in them, and a search of everything that an error shows.
 */
import { inspect } from "node:util";

/** Part of every password, token and passphrase in the tests. It must be in no error. */
export const SECRET_MARK = "hunter2";

/**
 * A secret with that text.
 *
 * @param {string} label distinguishes it from other secrets
 */
export const secret = (label) => `${SECRET_MARK}-${label}`;

/**
 * All that a log, a console or a serialiser could make of a value: its text, its stack, its causes, all own properties, hidden
 * ones and those of symbols included.
 *
 * @param {unknown} value
 * @returns {string}
 */
export function everythingOf(value) {
  const seen = new Set();
  const texts = [];
  const visit = (part) => {
    if (typeof part === "string") texts.push(part);
    if (part === null || typeof part !== "object" || seen.has(part)) return;
    seen.add(part);
    texts.push(
      String(part?.message),
      inspect(part, { depth: Number.POSITIVE_INFINITY, showHidden: true, getters: true }),
    );
    texts.push(jsonOf(part));
    for (const key of Reflect.ownKeys(part)) {
      texts.push(String(key));
      visit(part[key]);
    }
  };
  visit(value);
  return texts.join("\n");
}

function jsonOf(value) {
  try {
    return JSON.stringify(value) ?? "";
  } catch {
    return "";
  }
}
