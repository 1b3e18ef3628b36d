/**
 * The contract suite with `index.js` of the checkout replaced by an installed package, whose directory is in
 * `IDIOTEQUE_PACKAGE`. Nothing else of the checkout's package may be loaded.
 */
import { join } from "node:path";
import { defineConfig } from "vitest/config";
import base from "../../../vitest.config.mjs";

const { IDIOTEQUE_PACKAGE } = process.env;
if (!IDIOTEQUE_PACKAGE) throw new Error("IDIOTEQUE_PACKAGE has to name the directory of the installed package");

export default defineConfig({
  root: join(import.meta.dirname, "../../.."),
  resolve: { alias: [{ find: /^(\.\.\/)+index\.js$/, replacement: join(IDIOTEQUE_PACKAGE, "index.js") }] },
  test: {
    ...base.test,
    include: ["__test__/contract/contract*.test.mjs"],
    setupFiles: [join(import.meta.dirname, "contract-setup.mjs")],
  },
});
