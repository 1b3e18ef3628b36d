/**
 * `npm run test:simulation [-- --seeds 100000 --first 0]`: plays histories of one connection in simulated time, each made from a
 * number, and checks what a store promises. Of the first one that fails, everything that happened is printed; `--seeds 1
 * --first 17` plays one again. `cargo test` plays the first two thousand.
 */
import { spawnSync } from "node:child_process";
import { parseArgs } from "node:util";
import { ROOT, requireCargo } from "../../tooling/setup.mjs";

const { values: flags } = parseArgs({
  options: { seeds: { type: "string", default: "100000" }, first: { type: "string", default: "0" } },
});
const env = {
  ...requireCargo(),
  IDIOTEQUE_SIMULATION_SEEDS: flags.seeds,
  IDIOTEQUE_SIMULATION_FIRST: flags.first,
  RUST_BACKTRACE: "0",
};
const args = ["test", "-p", "idioteque-redis-core", "--lib", "every_history", "--", "--nocapture"];
const { status } = spawnSync("cargo", args, { cwd: ROOT, env, stdio: "inherit" });
process.exitCode = status ?? 1;
