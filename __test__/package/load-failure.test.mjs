// What the package says where its addon cannot be loaded: on which machine, why, and what to do; and what it says where
// none ever could.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { parseTriple } from "@napi-rs/cli";
import { describe, expect, it } from "vitest";
import { builtAddon, installCopy, PACKAGE } from "../support/package-copy.mjs";

const require = createRequire(import.meta.url);
const { target, bytes } = builtAddon();
const onLinux = process.platform === "linux";

/** A process that looks as if it ran somewhere else. */
const pretend = (properties) =>
  `for (const [name, value] of Object.entries(${JSON.stringify(properties)}))
    Object.defineProperty(process, name, { value });`;

/** A Linux whose C library is musl, in all places where it shows. */
const PRETEND_MUSL = `
  const fs = require("fs");
  const { readFileSync } = fs;
  fs.readFileSync = (path, ...rest) => (path === "/usr/bin/ldd" ? "musl libc" : readFileSync(path, ...rest));
  process.report.getReport = () => ({ header: {}, sharedObjects: ["/lib/ld-musl-x86_64.so.1"] });`;

describe("where the addon cannot be loaded", () => {
  it("loads it where nothing is wrong", async () => {
    expect(await installCopy({ packages: { [target]: bytes } }).load()).toEqual({ type: "function" });
  });

  it("names the machine, its C library and the runtime, has a code, and keeps what the loader said", async () => {
    const { load } = installCopy({ packages: { [target]: "" } });
    const error = await load();
    expect(error).toMatchObject({ name: "RedisStoreError", code: "ERR_REDIS_LOAD" });
    expect(error.message).toContain(`${process.platform}-${process.arch}`);
    expect(error.message).toContain(`Node.js ${process.versions.node}`);
    if (onLinux) expect(error.message).toMatch(/with (glibc \d+\.\d+|musl),/);
    const said = error.causes.find((message) => /too short|not a valid|no such|slice is not valid/i.test(message));
    expect(said).toBeDefined();
    expect(error.message).toContain(said.split("\n")[0]);
  });

  it("says that the optional dependency is missing, and what it tried", async () => {
    const { home, load } = installCopy();
    const { message } = await load();
    expect(message).toContain(`The package @idioteque/redis-${target}, which holds it, is not installed`);
    expect(message).toContain("npm install --include=optional");
    expect(message).toContain("package-lock.json");
    expect(message).toContain(`@idioteque/redis-${target}@${PACKAGE.version}`);
    expect(message).toContain(`- ${join(home, "lib", `idioteque-redis.${target}.node`)}: not there`);
    expect(message).not.toContain("wasi");
  });

  it("says in a clone of the repository to build it, before all else", async () => {
    const { home, load } = installCopy();
    mkdirSync(join(home, "core"));
    writeFileSync(join(home, "Cargo.toml"), "");
    const { message } = await load();
    expect(message).toContain(`This is a clone of the repository (${home}), and the addon has not been built`);
    expect(message).toMatch(/^Build it there: `npm run build`/m);
    expect(message).not.toContain("is not installed");
  });

  it("says that node_modules, or the lock file, is from another kind of machine", async () => {
    const other = process.platform === "win32" ? "darwin-arm64" : "win32-x64-msvc";
    const { message } = await installCopy({ packages: { [other]: bytes } }).load();
    expect(message).toContain(`but @idioteque/redis-${other} is: node_modules is for another kind of machine`);
    expect(message).toContain("install again on the machine, or in the image, that runs it");
    expect(message).toContain(`--os=${process.platform} --cpu=${process.arch}`);
  });

  it("says that the file is damaged", async () => {
    const { message } = await installCopy({ packages: { [target]: "version https://git-lfs" } }).load();
    expect(message).toContain("is damaged: it is not a compiled file at all");
    expect(message).toContain("npm cache clean --force");
  });

  it("says which processor the file is for", async () => {
    const foreign = Buffer.from(bytes);
    const other = process.arch === "arm64" ? "x64" : "arm64";
    // The header of the other processor's files of this system.
    if (onLinux) foreign.writeUInt16LE(other === "arm64" ? 183 : 62, 18);
    else if (process.platform === "darwin") foreign.writeUInt32LE(other === "arm64" ? 0x0100000c : 0x01000007, 4);
    else foreign.writeUInt16LE(other === "arm64" ? 0xaa64 : 0x8664, foreign.readUInt32LE(60) + 4);
    const { message } = await installCopy({ packages: { [target]: foreign } }).load();
    expect(message).toContain(`is for ${process.platform}-${other}`);
    expect(message).toContain(`this is ${process.platform}-${process.arch}`);
  });

  it("says that there is none for this platform, and for which there is", async () => {
    const before = pretend({ platform: "sunos", arch: "x64" });
    const { message } = await installCopy({ packages: { [target]: bytes } }).load({ before });
    expect(message).toContain("There is no addon for sunos-x64; there is one for linux-x64-gnu");
    expect(message).toContain("npm run build");
  });

  it("says that Node.js is too old", async () => {
    const before = pretend({ versions: { ...process.versions, node: "14.21.3" } });
    const { message } = await installCopy().load({ before });
    expect(message).toContain("Node.js 14.21.3");
    expect(message).toContain("This Node.js is too old: 16 or later is needed");
  });

  it("says that addons are switched off", async () => {
    const { message } = await installCopy({ packages: { [target]: bytes } }).load({ nodeOptions: ["--no-addons"] });
    expect(message).toContain("Native addons are switched off");
    expect(message).toContain("--allow-addons");
  });

  it("says that the environment names another file", async () => {
    const env = { NAPI_RS_NATIVE_LIBRARY_PATH: "/nowhere/addon.node" };
    const { message } = await installCopy({ packages: { [target]: bytes } }).load({ env });
    expect(message).toContain("NAPI_RS_NATIVE_LIBRARY_PATH names /nowhere/addon.node, which is not there");
  });

  it("says that the addon is of another version, and what to do with each package manager", async () => {
    const written = `VERSION = "${PACKAGE.version}"`;
    for (const [trace, lockFile, install] of [
      [".package-lock.json", "package-lock.json", "npm install"],
      [".modules.yaml", "pnpm-lock.yaml", "pnpm install"],
      [".yarn-state.yml", "yarn.lock", "yarn install"],
      [".bun", "bun.lock", "bun install"],
    ]) {
      const { dir, home, load } = installCopy({ packages: { [target]: bytes } });
      writeFileSync(join(dir, "node_modules", trace), "");
      const code = readFileSync(join(home, "index.js"), "utf8");
      expect(code).toContain(written);
      writeFileSync(join(home, "index.js"), code.replace(written, 'VERSION = "99.0.0"'));
      const { code: errorCode, message } = await load();
      expect(errorCode).toBe("ERR_REDIS_LOAD");
      expect(message).toContain(`The addon is of another version: `);
      expect(message).toContain(`is of ${PACKAGE.version}, and the package in ${home} is of `);
      expect(message).toContain(`${lockFile} name`);
      expect(message).toContain(`run \`${install}\``);
    }
  });

  it("compares versions also where the generated loader loads the addon, and of one that the environment names", async () => {
    const { home, load } = installCopy({ packages: { [target]: bytes } });
    const code = readFileSync(join(home, "index.js"), "utf8");
    writeFileSync(join(home, "index.js"), code.replace(`VERSION = "${PACKAGE.version}"`, 'VERSION = "99.0.0"'));
    const addon = join(home, "addon.node");
    writeFileSync(addon, bytes);
    const { message } = await load({ env: { NAPI_RS_NATIVE_LIBRARY_PATH: addon } });
    expect(message).toContain(`NAPI_RS_NATIVE_LIBRARY_PATH names ${addon}, which is of version ${PACKAGE.version}`);
  });

  it("says that the package is there and its file is not", async () => {
    const { dir, load } = installCopy({ packages: { [target]: undefined } });
    writeFileSync(join(dir, "pnpm-lock.yaml"), "");
    const { message } = await load();
    expect(message).toContain(
      `The package @idioteque/redis-${target}, which holds it, is installed, but its file idioteque-redis.${target}.node`,
    );
    expect(message).toContain(".dockerignore");
    expect(message).toContain("`pnpm install`");
    expect(message).not.toMatch(/is not installed|C library/);
  });

  it("says what a bundler has put in place of the addon", async () => {
    for (const [stub, what] of [
      ["module.exports = {};", "an empty object"],
      ['module.exports = "./idioteque-redis-ABC.node";', 'the string "./idioteque-redis-ABC.node"'],
      ['module.exports = "";', 'the string ""'],
      ["module.exports = new Uint8Array(8);", "another object"],
    ]) {
      const { dir, load } = installCopy({ packages: { [target]: bytes } });
      const home = join(dir, "node_modules", `@idioteque/redis-${target}`);
      writeFileSync(join(home, "package.json"), JSON.stringify({ main: "stub.js" }));
      writeFileSync(join(home, "stub.js"), stub);
      const { code, message } = await load();
      expect(code).toBe("ERR_REDIS_LOAD");
      expect(message).toContain(`In place of the addon there is ${what}: a bundler has replaced it`);
      expect(message).toContain("serverExternalPackages");
    }
  });

  it("says that Yarn has not unpacked it", async () => {
    const { dir, load } = installCopy();
    const before = `
      Object.defineProperty(process.versions, "pnp", { value: "3" });
      require("module").findPnpApi = () => ({ resolveToUnqualified: () => "${dir}/.yarn/unplugged/addon" });`;
    const { message } = await load({ before });
    expect(message).toContain("Yarn keeps the addon in .yarn/unplugged, which is not there");
    expect(message).toContain("Run `yarn install` on this machine");
    expect(message).not.toContain("npm ");
  });

  it("says that it was packed from the sources", async () => {
    const { message } = await installCopy({ packed: true }).load();
    expect(message).toContain("The package was packed from its sources (npm pack), without the addon");
    expect(message).toContain(`@idioteque/redis@${PACKAGE.version}`);
    expect(message).not.toContain("left out");
  });

  it("says that a bundler has included it", async () => {
    const { message } = await installCopy({ without: ["index.d.ts"] }).load();
    expect(message).toContain("a bundler has included it");
    expect(message).toContain("serverExternalPackages");
  });

  it("says that it may not look, where it may not", async () => {
    const { load } = installCopy({ packages: { [target]: bytes } });
    const forbid = (words) => `
      const fs = require("fs");
      fs.existsSync = () => { throw new Error(${JSON.stringify(words)}); };
      process.dlopen = () => { throw new Error("no"); };`;
    const onDeno = await load({ before: forbid('Requires read access to "/x", run again with the --allow-read flag') });
    expect(onDeno.message).toContain("Start Deno with --allow-ffi --allow-read --allow-env");
    expect((await load({ before: forbid("not now") })).message).toContain("Why cannot be found out: not now.");
  });

  it("says something useful also where its own loader is not there", async () => {
    const { message, causes } = await installCopy({ without: ["lib/binding.js"] }).load();
    expect(message).toContain(`@idioteque/redis-${target}`);
    expect(causes[0]).toContain("binding.js");
  });

  // What only Linux has: two C libraries, one of them with versions.
  if (onLinux) {
    it("says that glibc is too old, and which it needs", async () => {
      const newest = bytes.latin1Slice().match(/GLIBC_2\.\d\d/g)[0];
      const demanding = Buffer.from(bytes.latin1Slice().replaceAll(newest, "GLIBC_2.99"), "latin1");
      const { message } = await installCopy({ packages: { [target]: demanding } }).load();
      expect(message).toMatch(/glibc is too old: the addon needs 2\.99, this is 2\.\d+/);
      expect(message).toMatch(/version [`']GLIBC_2\.99' not found/);
    });

    it("says that it was copied from a Linux with the other C library", async () => {
      const arch = process.arch;
      const onGlibc = await installCopy({ packages: { [`linux-${arch}-musl`]: bytes } }).load();
      expect(onGlibc.message).toContain(`but @idioteque/redis-linux-${arch}-musl is: node_modules is for the other C`);
      expect(onGlibc.message).toContain("this one has glibc");
      expect(onGlibc.message).toContain("--libc=glibc");

      const onMusl = await installCopy({ packages: { [`linux-${arch}-gnu`]: "" } }).load({ before: PRETEND_MUSL });
      expect(onMusl.message).toContain(`on linux-${arch} with musl,`);
      expect(onMusl.message).toContain(`The package @idioteque/redis-linux-${arch}-musl, which holds it, is not`);
      expect(onMusl.message).toContain("this one has musl, as Alpine does");
      expect(onMusl.message).toContain("--libc=musl");
    });

    it("says that the file is not complete", async () => {
      const { message } = await installCopy({ packages: { [target]: bytes.subarray(0, 128) } }).load();
      expect(message).toContain("The addon is damaged: the file is not complete");
    });
  }

  it("has the platforms that there are packages for", () => {
    const { SUPPORTED } = require("../../lib/load-error/packages.js");
    const built = PACKAGE.napi.targets.map((triple) => parseTriple(triple).platformArchABI);
    expect(built.sort()).toEqual([...SUPPORTED].sort());
  });
});

describe("where there is no Node.js", () => {
  it("sends the bundlers of edge runtimes, Workers and browsers elsewhere, and Node.js to the addon", () => {
    const conditions = PACKAGE.exports["."];
    for (const name of ["edge-light", "workerd", "browser"]) expect(conditions[name]).toBe("./lib/unsupported.js");
    // The first that a bundler has is taken: what is for Node.js and the browser at once, as Electron is, can load
    // it.
    expect(Object.keys(conditions).slice(0, 2)).toEqual(["types", "node"]);
    expect(conditions.default).toBe("./index.js");
  });

  it("can be imported, and says why it makes no store", () => {
    const { createRedisStore, RedisStoreError } = require("../../lib/unsupported.js");
    let error;
    try {
      createRedisStore("redis://localhost");
    } catch (caught) {
      error = caught;
    }
    expect(error).toBeInstanceOf(RedisStoreError);
    expect(error).toMatchObject({ name: "RedisStoreError", code: "ERR_REDIS_LOAD" });
    expect(error.message).toContain("edge runtime");
    expect(Object.keys(require("../../lib/unsupported.js"))).toEqual(Object.keys(require("../../index.js")));
  });
});
