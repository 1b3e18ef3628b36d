/**
 * Task ids and values that stores and clients could get wrong, for whoever compares what two of them write and read.
 */

/** With and without a function's name, names of `Object.prototype`, an array's index, more than ASCII, a NUL, a hash tag. */
export const TASK_IDS = ["pay", "pay:charge", "__proto__", "constructor", "7", "é🚀", "nul\0", "{a}"];

/** Of every JSON type; with a `toJSON`, a lone surrogate, and more than a short string. */
export const VALUES = [
  null,
  0,
  -1.5,
  1e21,
  "",
  "é🚀\0",
  "\ud800",
  [],
  {},
  { a: [1, { b: null }] },
  new Date(0),
  "x".repeat(300),
];
