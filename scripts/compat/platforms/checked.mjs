/**
 * The targets that nothing here can run: for each whether its Rust is at least checked (`cargo check`, with std from its
 * sources), which compiles no program and links nothing.
 */

/**
 * @typedef {object} Unrun
 * @property {string} name what it is called on the command line
 * @property {string} title
 * @property {string} triple
 * @property {string[]} [packages] of Debian
 * @property {string} [prepare]
 * @property {NodeJS.ProcessEnv} env
 */

/**
 * What stands for a C compiler: it makes empty files. It passes for Clang, which is what compiles C on these systems: ring's
 * build script wants it for Windows on arm64. It does not know `-?`, by which Clang in Microsoft's clothes is recognised.
 */
const COMPILER = `#!/bin/sh
for word; do
  [ "$before" = -o ] && : > "$word"
  case $word in
    -E) echo '"clang"' ;;
    '-?') exit 1 ;;
    -o/*) : > "\${word#-o}" ;;
  esac
  before=$word
done
exit 0
`;
/** What stands for an archiver. The file that Microsoft's makes is looked for, and named by an option. */
const ARCHIVER = `#!/bin/sh
for word; do
  case $word in
    [-/][oO][uU][tT]:*) : > "\${word#?????}" ;;
  esac
done
exit 0
`;

/** @type {Unrun[]} */
export const UNRUN = [
  { name: "darwin-x64", title: "macOS x64", triple: "x86_64-apple-darwin", env: {} },
  { name: "darwin-arm64", title: "macOS arm64", triple: "aarch64-apple-darwin", env: {} },
  { name: "win32-arm64-msvc", title: "Windows arm64", triple: "aarch64-pc-windows-msvc", env: {} },
  { name: "freebsd-x64", title: "FreeBSD x64", triple: "x86_64-unknown-freebsd", env: {} },
  { name: "android-arm64", title: "Android arm64", triple: "aarch64-linux-android", env: {} },
].map((target) => ({ ...target, std: true, ...withoutC(target.triple) }));

/**
 * The build scripts of ring and mimalloc compile C, for which the system's headers are missing. Checking Rust needs none of
 * what they make: a compiler and an archiver that make empty files are enough.
 */
function withoutC(triple) {
  const home = "/work/no-c";
  const write = (name, text) => `cat > ${home}/${name} << 'END'\n${text}END\nchmod +x ${home}/${name}\n`;
  const name = triple.replaceAll("-", "_");
  return {
    prepare: `mkdir -p ${home}\n${write("cc", COMPILER)}${write("ar", ARCHIVER)}`,
    env: { [`CC_${name}`]: `${home}/cc`, [`CXX_${name}`]: `${home}/cc`, [`AR_${name}`]: `${home}/ar` },
  };
}
