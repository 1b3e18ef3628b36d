// The admin API is found by its name, and the store loads nothing of it.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { ROOT } from "../../tooling/setup.mjs";
import { printedBy } from "../support/child.mjs";
import { privateRedis } from "../support/redis.mjs";

const NAMES = "{ createRedisAdmin, createRedisAdminFromEnv, RedisStoreError }";
const SHOW = "console.log(typeof createRedisAdmin, typeof createRedisAdminFromEnv, RedisStoreError.name)";

test("the admin API is imported and required by name", () => {
  const expected = "function function RedisStoreError";
  expect(printedBy("module", `import ${NAMES} from "@idioteque/redis/admin"; ${SHOW}`)).toBe(expected);
  expect(printedBy("commonjs", `const ${NAMES} = require("@idioteque/redis/admin"); ${SHOW}`)).toBe(expected);
});

test("its errors are those of the store", () => {
  const code = `import { RedisStoreError as One } from "@idioteque/redis";
    import { RedisStoreError as Other } from "@idioteque/redis/admin"; console.log(One === Other);`;
  expect(printedBy("module", code)).toBe("true");
});

test("the store loads nothing of it, and an admin that was only made lets the process end", () => {
  const loaded = `const { createRedisStore } = require("@idioteque/redis"); createRedisStore("redis://127.0.0.1:1");
    console.log(Object.keys(require.cache).map((path) => path.split(/[\\\\/]/).pop()).join(" "));`;
  expect(printedBy("commonjs", loaded)).toMatch(/^index\.js \S+\.node$/);
  expect(
    printedBy("commonjs", `require("@idioteque/redis/admin").createRedisAdmin("redis://h"); console.log("made")`),
  ).toBe("made");
});

test("threads that ask are terminated without harm, also while nothing answers", async () => {
  const server = await privateRedis();
  const code = `
    const { Worker } = require("node:worker_threads");
    const { once } = require("node:events");
    const asking = \`
      const admin = require("@idioteque/redis/admin").createRedisAdmin("${server.url}");
      (async () => {
        await admin.execution("x");
        require("node:worker_threads").parentPort.postMessage("asking");
        for (;;) for await (const one of admin.executions());
      })();\`;
    (async () => {
      for (let count = 0; count < 10; count += 1) {
        const worker = new Worker(asking, { eval: true });
        await once(worker, "message");
        if (count === 7) process.kill(${server.pid}, "SIGSTOP");
        await worker.terminate();
        if (count === 7) process.kill(${server.pid}, "SIGCONT");
      }
      console.log("over");
    })();`;
  expect(printedBy("commonjs", code)).toBe("over");
});

test("the command line is what package.json says", () => {
  const { bin } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
  expect(bin).toEqual({ "idioteque-redis": "lib/cli/main.js" });
  expect(existsSync(join(ROOT, bin["idioteque-redis"]))).toBe(true);
  expect(readFileSync(join(ROOT, bin["idioteque-redis"]), "utf8")).toMatch(/^#!\/usr\/bin\/env node\n/);
});
