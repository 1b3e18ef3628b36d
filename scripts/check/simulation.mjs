/**
 * `npm run test:simulation [-- --seeds 100000 --first 0 --of cluster]`: plays histories of one connection and of a cluster (or of one
 * of the two) in simulated time, each made from a number, and checks what a store promises. Of the first one that fails,
 * everything that happened is printed; `--of cluster --seeds 1 --first 17` plays one again. `cargo test` plays the first
 * 2,000 of a connection and 500 of a cluster.
 */
import { spawnSync } from "node:child_process";
import { parseArgs } from "node:util";
import { ROOT, requireCargo } from "../../tooling/setup.mjs";

const { values: flags } = parseArgs({
  options: {
    seeds: { type: "string", default: "100000" },
    first: { type: "string", default: "0" },
    of: { type: "string", default: "" },
  },
});
const env = {
  ...requireCargo(),
  IDIOTEQUE_SIMULATION_SEEDS: flags.seeds,
  IDIOTEQUE_SIMULATION_FIRST: flags.first,
  RUST_BACKTRACE: "0",
};
const tests = `${flags.of && `${flags.of}::`}simulation::tests::every_history`;
const args = ["test", "-p", "idioteque-redis-core", "--lib", tests, "--", "--nocapture"];
const { status } = spawnSync("cargo", args, { cwd: ROOT, env, stdio: "inherit" });
process.exitCode = status ?? 1;
