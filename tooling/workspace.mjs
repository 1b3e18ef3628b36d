/**
 * Where the package test keeps things: downloads and builds in a cache that outlives a run, projects in a temporary
 * folder that does not.
 */
import { mkdirSync, mkdtempSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ROOT } from "./setup.mjs";

/** `IDIOTEQUE_PACKAGE_CACHE` in the environment, else a folder beside the packages. */
export const CACHE = process.env.IDIOTEQUE_PACKAGE_CACHE ?? join(ROOT, "node_modules", ".cache", "test-package");

const scratch = realpathSync(mkdtempSync(join(tmpdir(), "idioteque-package-")));
process.on("exit", () => rmSync(scratch, { recursive: true, force: true }));

/** A folder in the cache. */
export function cached(...names) {
  return created(join(CACHE, ...names));
}

/** A folder that is removed when this process ends. */
export function temporary(...names) {
  return created(join(scratch, ...names));
}

function created(path) {
  mkdirSync(path, { recursive: true });
  return path;
}
