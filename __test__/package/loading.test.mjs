// The package's entry: how it is imported and what it exports.
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";
import { RedisStoreError } from "../../index.js";

const root = fileURLToPath(new URL("../..", import.meta.url));
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
