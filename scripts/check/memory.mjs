/**
 * `npm run test:memory`: builds the addon with AddressSanitizer and runs a workload over it in Node.js, so that every access
 * to memory that is not allocated ends the process with a report. Linux only; needs GCC's or Clang's `libasan.so`.
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
 * Builds the addon with AddressSanitizer in all Rust code but the standard library: the addon, `core`, which has no `unsafe`
 * but hands its buffers to crates that have, and those crates. `--target` keeps the flags off build scripts and macros.
 */
function build() {
  terminal.line("  … building the addon with AddressSanitizer");
  const env = {
    ...requireCargo(),
    // A stable compiler takes `-Z` only with this; a nightly one ignores it.
    RUSTC_BOOTSTRAP: "1",
    CARGO_PROFILE_RELEASE_LTO: "off",
    CARGO_PROFILE_RELEASE_CODEGEN_UNITS: "16",
    RUSTFLAGS: "-Zsanitizer=address --cfg sanitized -Cstrip=none -Cdebuginfo=1",
  };
  const build = ["build", "--release", "--package", "idioteque-redis", "--target", TARGET, "--target-dir", TARGET_DIR];
  const { status } = spawnSync("cargo", build, {
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
          // Node.js does not free everything at its end, and leaks of the addon cannot be distinguished from that. V8 reserves address
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
