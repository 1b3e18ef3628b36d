"use strict";
// The names of an execution's keys, and what execution a key belongs to, if it is one of ours.

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** What is put behind the id to name each key; the worker's own names for them. */
const SUFFIXES = { execution: "", transactions: "-transactions", results: "-results" };
const PARTS = Object.keys(SUFFIXES);
const HASHES = ["transactions", "results"];

/** @typedef {"execution" | "transactions" | "results"} Part which of the three keys of an execution */

class Keys {
  /**
   * @param {object} settings
   * @param {string} settings.keyPrefix
   * @param {boolean} settings.hashTags
   */
  constructor({ keyPrefix, hashTags }) {
    this.prefix = keyPrefix;
    this.hashTags = hashTags;
  }

  /**
   * The three keys of an execution.
   *
   * @param {string} id
   * @returns {Record<Part, string>}
   */
  of(id) {
    const base = `${this.prefix}${this.hashTags ? `{${id}}` : id}`;
    return { execution: base, transactions: `${base}-transactions`, results: `${base}-results` };
  }

  /**
   * What execution a key would belong to. Whether it does is seen from its type and its siblings.
   *
   * @param {string} key
   * @returns {{ id: string, part: Part } | undefined}
   */
  parse(key) {
    if (!key.startsWith(this.prefix)) return undefined;
    let rest = key.slice(this.prefix.length);
    const part = HASHES.find((name) => rest.endsWith(SUFFIXES[name])) ?? "execution";
    if (part !== "execution") rest = rest.slice(0, -SUFFIXES[part].length);
    if (this.hashTags) {
      if (!rest.startsWith("{") || !rest.endsWith("}")) return undefined;
      rest = rest.slice(1, -1);
    }
    return rest === "" ? undefined : { id: rest, part };
  }

  /**
   * The pattern of `SCAN` for keys of these parts whose id matches.
   *
   * @param {Part[]} parts
   * @param {string} match a pattern of Redis
   */
  pattern(parts, match = "*") {
    const [open, close] = this.hashTags ? ["{", "}"] : ["", ""];
    const suffix = parts.length === 1 ? SUFFIXES[parts[0]] : parts.includes("execution") ? "*" : "-[rt]*s";
    return `${escapePattern(this.prefix)}${open}${match}${close}${suffix}`.replace(/\*{2,}/g, "*");
  }
}

/** Text that a pattern matches as it is. */
function escapePattern(text) {
  return text.replace(/[*?[\]\\^]/g, "\\$&");
}

/**
 * A pattern of Redis (`*`, `?`, `[a-z]`, `[^a]`, `\x`) as a function.
 *
 * @param {string} pattern
 * @returns {(text: string) => boolean}
 */
function matcher(pattern) {
  const token = /\\(.)|\*|\?|\[(\^?)((?:\\.|[^\]\\])*)\]|./gsu;
  const source = pattern.replace(token, (all, escaped, not, set) => {
    if (all === "*") return ".*";
    if (all === "?") return ".";
    if (set !== undefined) return set === "" ? "(?!)" : `[${not}${set.replace(/\\(.)|([[\]^])/gsu, "\\$1$2")}]`;
    return (escaped ?? all).replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&");
  });
  const expression = new RegExp(`^${source}$`, "s");
  return (text) => expression.test(text);
}

const isUuid = (id) => UUID.test(id);

module.exports = { Keys, PARTS, isUuid, matcher };
