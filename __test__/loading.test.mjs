// The package's door: how it is imported, what it exports, and what it says where its addon cannot be loaded.
import { execFile } from "node:child_process";
import { cpSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { describe, expect, it, onTestFinished } from "vitest";
import { RedisStoreError } from "../index.js";

const root = fileURLToPath(new URL("..", import.meta.url));
const run = promisify(execFile);

/** What a Node.js process prints that runs this code where the package can be found by its name. */
async function print(type, code) {
  const { stdout } = await run(process.execPath, [`--input-type=${type}`, "--eval", code], { cwd: root });
  return stdout.trim();
}

describe("the package", () => {
  it("is imported by name, as a whole, and required", async () => {
    const show = "console.log(typeof createRedisStore, RedisStoreError.name)";
    const names = "{ createRedisStore, RedisStoreError }";
    expect(await print("module", `import ${names} from "@idioteque/redis"; ${show}`)).toBe("function RedisStoreError");
    expect(await print("module", `import all from "@idioteque/redis"; const ${names} = all; ${show}`)).toBe(
      "function RedisStoreError",
    );
    expect(await print("commonjs", `const ${names} = require("@idioteque/redis"); ${show}`)).toBe(
      "function RedisStoreError",
    );
  });

  it("lets a process end that has only made stores", async () => {
    const code = `
      const { createRedisStore } = require("@idioteque/redis");
      createRedisStore("redis://127.0.0.1:1");
      createRedisStore({ socket: { host: "127.0.0.1", port: 1 } });
      console.log("made");`;
    expect(await print("commonjs", code)).toBe("made");
  });

  it.each([
    ["there is none", undefined],
    ["it is for another machine", 'throw new Error("wrong ELF class")'],
  ])("says which machine it is on and what to do where its addon cannot be loaded: %s", (_, binding) => {
    const dir = mkdtempSync(join(tmpdir(), "idioteque-redis-"));
    onTestFinished(() => rmSync(dir, { recursive: true }));
    for (const file of ["index.js"]) cpSync(join(root, file), join(dir, file));
    if (binding) writeFileSync(join(dir, "binding.js"), binding);
    let error;
    try {
      createRequire(join(dir, "file.js"))("./index.js");
    } catch (caught) {
      error = caught;
    }
    expect(error).toBeInstanceOf(Error);
    for (const part of [process.platform, process.arch, process.versions.node, "npm"]) {
      expect(error.message).toContain(part);
    }
    if (process.platform === "linux") expect(error.message).toMatch(/glibc \d|musl/);
    expect(error.cause.message).toMatch(binding ? "wrong ELF class" : "binding.js");
  });
});

describe("RedisStoreError", () => {
  it("is an Error with its own name, and with the properties that apply", () => {
    const error = new RedisStoreError("message", { code: "ERR_REDIS_CLOSED", key: "key", cause: undefined });
    expect(error).toBeInstanceOf(Error);
    expect(error.message).toBe("message");
    expect(String(error)).toBe("RedisStoreError: message");
    expect(error.stack).toMatch(/^RedisStoreError: message\n/);
    expect(Object.entries(error)).toEqual([
      ["code", "ERR_REDIS_CLOSED"],
      ["key", "key"],
    ]);
    expect("cause" in error).toBe(false);
    expect(Object.hasOwn(error, "name")).toBe(false);
  });

  it("has its cause as errors of the language have it", () => {
    const cause = new Error("cause");
    const error = new RedisStoreError("message", { code: "ERR_REDIS_CONNECTION", cause });
    expect(error.cause).toBe(cause);
    expect(Object.keys(error)).toEqual(["code"]);
  });
});
