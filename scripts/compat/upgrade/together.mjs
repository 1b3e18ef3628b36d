/**
 * Both releases in one process: two addons, each with its own threads, in the main thread and in worker threads, in either order. The
 * scripts of `together/` run in processes of their own, because it is looked at how these end.
 */
import { deepStrictEqual } from "node:assert";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { execute } from "../../../tooling/execute.mjs";

const SCRIPTS = fileURLToPath(new URL("together", import.meta.url));
const DEADLINE_MS = 60_000;

/** What each script shows. */
const CLAIMS = {
  "idle.mjs": "a process ends by itself while stores of both are connected and idle",
  "closed.mjs": "one is closed, the other goes on; calls after the end are refused by each with its own error",
  "exit.mjs": "process.exit() with calls of both in flight",
  "shared-client.mjs": "one client is passed to both",
  "threads.mjs": "worker threads with one, the other or both, which end in any order",
  "only-threads.mjs": "only worker threads load them, and end before others begin",
  "terminated.mjs": "worker threads with both are terminated in the middle of calls",
  "uncaught.mjs": "an error that nobody catches ends the process with its own status",
};

/** @param {import("./run.mjs").Context} context */
export async function checkTogether({ check, earlier, current, servers: { redis } }) {
  await check("every script has been given a name", () => {
    deepStrictEqual(
      readdirSync(SCRIPTS)
        .filter((name) => name.endsWith(".mjs"))
        .sort(),
      Object.keys(CLAIMS).sort(),
    );
  });
  for (const [name, claim] of Object.entries(CLAIMS)) {
    for (const [first, second] of [
      [earlier, current],
      [current, earlier],
    ]) {
      await check(`${claim} (${first.version} is loaded first)`, async () => {
        await redis.admin.flushall();
        const args = [join(SCRIPTS, name), first.home, second.home, redis.server.url];
        const output = await execute(process.execPath, args, { cwd: SCRIPTS, deadline: DEADLINE_MS });
        if (!/^checked$/m.test(output)) throw new Error(`${name} has checked nothing:\n${output}`);
      });
    }
  }
}
