/**
 * `npm run test:memory`: builds the addon with AddressSanitizer and runs a workload over it in Node.js, so that every access
 * to memory that is not ours to touch ends the process with a report. Linux only; needs GCC's or Clang's `libasan.so`.
 */
import { spawnSync } from "node:child_process";
import { copyFileSync, existsSync } from "node:fs";
import { join } from "node:path";
import { ensureRedisServer, startRedis } from "../../tooling/servers/redis-server.mjs";
import { ROOT, requireCargo } from "../../tooling/setup.mjs";
import { createTerminal } from "../../tooling/terminal.mjs";

const terminal = createTerminal();
const TARGET = `${{ x64: "x86_64", arm64: "aarch64" }[process.arch]}-unknown-linux-gnu`;
const TARGET_DIR = join(ROOT, "target", "sanitized");

/** The runtime of the sanitizer. It has to be in the process before anything else allocates. */
function findRuntime() {
  for (const compiler of ["gcc", "clang"]) {
    const { stdout } = spawnSync(compiler, ["-print-file-name=libasan.so"], { encoding: "utf8" });
    // A compiler that does not have the file prints its bare name.
    if (stdout?.startsWith("/") && existsSync(stdout.trim())) return stdout.trim();
  }
  throw new Error("libasan.so was not found: install GCC (Debian: apt install gcc), which brings it");
}

/**
 * Builds the addon so that all of its own code is watched, which is where every `unsafe` is; the crates it uses are as
 * usual, `core` among them, which forbids it.
 */
function build() {
  terminal.line("  … building the addon with AddressSanitizer");
  const env = {
    ...requireCargo(),
    // A stable compiler takes `-Z` only like this; a nightly one does not mind.
    RUSTC_BOOTSTRAP: "1",
    CARGO_PROFILE_RELEASE_LTO: "off",
    CARGO_PROFILE_RELEASE_CODEGEN_UNITS: "16",
  };
  const build = [
    "rustc",
    "--release",
    "--lib",
    "--crate-type",
    "cdylib",
    "--target",
    TARGET,
    "--target-dir",
    TARGET_DIR,
  ];
  const watched = ["--", "-Zsanitizer=address", "--cfg", "sanitized", "-Cstrip=none", "-Cdebuginfo=1"];
  const { status } = spawnSync("cargo", [...build, ...watched], {
    cwd: ROOT,
    env,
    stdio: ["ignore", "inherit", "inherit"],
  });
  if (status !== 0) throw new Error("the addon could not be built");
  const addon = join(TARGET_DIR, "idioteque-redis.node");
  copyFileSync(join(TARGET_DIR, TARGET, "release", "libidioteque_redis.so"), addon);
  return addon;
}

async function main() {
  if (process.platform !== "linux") throw new Error("this check needs Linux");
  const runtime = findRuntime();
  const addon = build();
  ensureRedisServer({ log: (text) => terminal.line(`  … ${text}`) });
  const server = await startRedis();
  try {
    const { status, signal } = spawnSync(
      process.execPath,
      ["--expose-gc", join(ROOT, "scripts", "check", "memory-workload.mjs")],
      {
        stdio: ["ignore", "inherit", "inherit"],
        env: {
          ...process.env,
          LD_PRELOAD: runtime,
          // Node.js does not give back everything at its end, and what is ours cannot be told from that. V8 reserves address
          // space that the sanitizer must not count as an allocation that failed.
          ASAN_OPTIONS:
            "detect_leaks=0:allocator_may_return_null=1:abort_on_error=0:exitcode=99:detect_stack_use_after_return=0",
          NAPI_RS_NATIVE_LIBRARY_PATH: addon,
          REDIS_URL: server.url,
        },
      },
    );
    if (status !== 0)
      throw new Error(signal ? `the workload ended by ${signal}` : `the workload ended with status ${status}`);
  } finally {
    await server.stop();
  }
}

await main().catch((error) => {
  terminal.line(`${terminal.red("✗")} ${error.message}`);
  process.exitCode = 1;
});
