/**
 * Sees to it, after each file of the contract suite, that it was the installed package that was tested.
 */
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { afterAll, expect } from "vitest";

const ROOT = join(import.meta.dirname, "../../..");

afterAll(() => {
  const loaded = Object.keys(createRequire(import.meta.url).cache);
  expect(loaded).toContain(join(process.env.IDIOTEQUE_PACKAGE, "index.js"));
  const ours = (file) => dirname(file) === ROOT || file.startsWith(join(ROOT, "lib"));
  expect(loaded.filter(ours)).toEqual([]);
});
