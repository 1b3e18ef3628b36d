/**
 * What is tried on each target: the checks of the package test (`packages/project`) and the contract suite, in a project in
 * which npm has installed the packed packages as it does on such a machine.
 */
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { ROOT } from "../../../tooling/setup.mjs";
import { installWithNpm } from "../packages/projects.mjs";
import { startRegistry } from "../packages/registry.mjs";
import { layOutSuite, RUN_SUITE, SUITE_NEEDS } from "./contract/lay-out.mjs";

/** Milliseconds. Emulators take ten to fifty times as long, and the machine may have other work; Wine makes its own files when it first runs. */
const CHECK_DEADLINE = 600_000;
const CONTRACT_DEADLINE = 1_200_000;

/**
 * Installs the packages, and what the contract suite needs, into a project.
 *
 * @param {import("./targets.mjs").Target} target
 * @param {Awaited<ReturnType<import("../../release/stage.mjs").stageRelease>>} release
 * @returns {Promise<string>} its directory
 */
export async function project(target, release) {
  const registry = await startRegistry([release.main, release.platform, ...release.others]);
  let home;
  try {
    const flags = [...target.npm, ...SUITE_NEEDS.map(inThisVersion)];
    home = await installWithNpm(target.name, { registry: registry.url, release }, flags);
  } finally {
    registry.stop();
  }
  layOutSuite(home);
  return home;
}

function inThisVersion(name) {
  const home = join(ROOT, "node_modules", name, "package.json");
  const { name: real, version } = JSON.parse(readFileSync(home, "utf8"));
  return real === name ? `${name}@${version}` : `${name}@npm:${real}@${version}`;
}

/**
 * Runs all checks.
 *
 * @param {object} where
 * @param {string} where.home of the project
 * @param {import("./targets.mjs").Target} where.target
 * @param {Awaited<ReturnType<import("./runtimes.mjs").fetchRuntime>>} where.runtime
 * @param {import("./system.mjs").System} where.system
 * @param {import("../../../tooling/servers/redis-server.mjs").RedisServer} where.redis
 * @param {(text: string) => void} say
 * @returns {Promise<Record<"node" | "loading" | "workers" | "contract", string>>} the columns of the table
 */
export async function check({ home, target, runtime, system, redis }, say) {
  const sockets = target.npm.includes("--os=win32") ? {} : { REDIS_UNIX_SOCKET: redis.unixSocketPath };
  const node = (args, deadline = CHECK_DEADLINE) =>
    system.run(["env", ...runtime.variables, ...target.emulator, runtime.program, ...args], {
      cwd: home,
      env: { REDIS_URL: redis.url, ...sockets },
      deadline,
      ldd: target.ldd,
      shared: [home, runtime.home, dirname(redis.unixSocketPath)],
    });
  const checked = async (args, deadline) => {
    say(args.join(" "));
    const output = await node(args, deadline);
    if (!/^checked\r?$/m.test(output)) throw new Error(`${args.join(" ")} has checked nothing:\n${output}`);
    return output;
  };
  if (target.prepareEmulator) {
    say("preparing the emulator");
    await system.run(["sh", "-e", "-c", target.prepareEmulator], { deadline: CHECK_DEADLINE });
  }
  const [version] = /\d+\.\d+\.\d+/.exec(await node(["--version"]));
  const results = { node: version };
  for (const [column, run] of Object.entries({
    async loading() {
      for (const file of ["require.cjs", "import.mjs"]) await checked([file]);
      return "✓";
    },
    async workers() {
      await checked(["workers.cjs", "alone"]);
      await checked(["workers.cjs"]);
      return "✓";
    },
    async contract() {
      const output = await checked([RUN_SUITE], CONTRACT_DEADLINE);
      return `${/contract: (\d+ of \d+)/.exec(output)[1]} tests`;
    },
  })) {
    results[column] = await run().catch((error) => {
      say(`✗ ${error.message}`);
      const kept = /contract: (\d+ of \d+)/.exec(error.output ?? "")?.[1];
      return kept ? `✗ ${kept} tests` : "✗";
    });
  }
  return results;
}
