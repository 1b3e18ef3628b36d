"use strict";
// Times, sizes and texts as people write and read them.

const UNITS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 };

const SHORT = { "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t" };

/** `7d`, `90m`, `500ms` in milliseconds; undefined for what is none. */
function readDuration(text) {
  const [, number, unit] = /^(\d+(?:\.\d+)?)(ms|[smhdw])$/.exec(text) ?? [];
  return number === undefined ? undefined : Number(number) * UNITS[unit];
}

/** At most four characters: `45s`, `12m`, `3h`, `99d`. */
function duration(ms) {
  if (ms === undefined) return "?";
  if (ms < 99.5 * UNITS.s) return `${Math.round(ms / UNITS.s)}s`;
  if (ms < 99.5 * UNITS.m) return `${Math.round(ms / UNITS.m)}m`;
  if (ms < 48.5 * UNITS.h) return `${Math.round(ms / UNITS.h)}h`;
  return `${Math.round(ms / UNITS.d)}d`;
}

/** At most six characters: `344B`, `1.2K`, `12M`. */
function size(bytes) {
  if (bytes === undefined) return "?";
  let rest = bytes;
  let unit = 0;
  for (; rest >= 1_023.5 && unit < 5; unit += 1) rest /= 1_024;
  return `${unit > 0 && rest < 9.95 ? rest.toFixed(1) : Math.round(rest)}${"BKMGTP"[unit]}`;
}

/** A number with its thousands apart. */
function count(number) {
  return number === undefined ? "?" : String(number).replace(/\B(?=(\d{3})+$)/g, " ");
}

/** `1 execution`, `2 executions` */
function many(number, noun) {
  return `${count(number)} ${noun}${number === 1 ? "" : "s"}`;
}

/** A text of a server as a terminal may show it: characters that control it, or the direction of writing, are escaped. */
function printable(text) {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]|\\/gu, (char) => {
    const code = char.codePointAt(0).toString(16);
    return SHORT[char] ?? (code.length > 4 ? `\\u{${code}}` : `\\u${code.padStart(4, "0")}`);
  });
}

/** A text of JSON that a terminal may show: the same characters are escaped, as JSON has it. */
function printableJson(text) {
  const escaped = (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`;
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu, (char) => char.split("").map(escaped).join(""));
}

/** A value as JSON that a terminal may show. */
function asJson(value) {
  return printableJson(JSON.stringify(value));
}

module.exports = { asJson, count, duration, many, printable, printableJson, readDuration, size };
