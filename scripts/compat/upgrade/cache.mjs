/**
 * Where the upgrade test keeps the earlier release: `IDIOTEQUE_UPGRADE_CACHE` in the environment, else a folder beside the packages.
 */
import { join } from "node:path";
import { ROOT } from "../../../tooling/setup.mjs";

export const CACHE = process.env.IDIOTEQUE_UPGRADE_CACHE ?? join(ROOT, "node_modules", ".cache", "test-upgrade");
