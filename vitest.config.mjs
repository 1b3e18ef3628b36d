// Vitest: which files are tests, what runs around them, and how long they may take.
import { configDefaults, defineConfig } from "vitest/config";
import { full, workers } from "./__test__/support/scale.mjs";

/** They need namespaces of the kernel, which a container may not have: for the full suite of `npm run test:faults`. */
const FULL_ONLY = ["__test__/faults/addresses.test.mjs"];

export default defineConfig({
  test: {
    include: ["__test__/**/*.test.mjs"],
    exclude: full ? configDefaults.exclude : [...configDefaults.exclude, ...FULL_ONLY],
    reporters: ["default", "./__test__/support/contract-count.mjs"],
    globalSetup: "__test__/support/global-setup.mjs",
    setupFiles: "__test__/support/record-errors.mjs",
    maxWorkers: workers,
    // Deadlines, not expectations: a test that hangs should say so, a slow machine should not fail.
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
