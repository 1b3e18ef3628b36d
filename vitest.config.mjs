// Vitest: which files are tests, what runs around them, and how long they may take.
import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["__test__/**/*.test.mjs"],
    reporters: ["default", "./__test__/support/contract-count.mjs"],
    globalSetup: "__test__/support/global-setup.mjs",
    setupFiles: "__test__/support/record-errors.mjs",
    // Deadlines, not expectations: a test that hangs should say so, a slow machine should not fail.
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
