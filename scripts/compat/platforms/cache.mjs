/**
 * Where the test of platforms keeps what it fetches and builds, as it takes long to make again: `IDIOTEQUE_PLATFORMS_CACHE` in
 * the environment, else a folder of the user's cache.
 */
import { mkdirSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";

export const CACHE =
  process.env.IDIOTEQUE_PLATFORMS_CACHE ??
  join(process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "idioteque-redis", "platforms");

/** A folder in it. */
export function cached(...names) {
  const path = join(CACHE, ...names);
  mkdirSync(path, { recursive: true });
  return path;
}
