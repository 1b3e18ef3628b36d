// What a store hands out when its package is loaded in contexts of `vm`, as test runners do: the addon is the same for all.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { createContext, runInContext } from "node:vm";
import { expect, it, onTestFinished } from "vitest";
import { sharedRedis } from "../support/redis.mjs";
import { outcomeOf } from "../support/temporary.mjs";

const { url, newId, admin } = sharedRedis();
const INDEX = fileURLToPath(new URL("../../index.js", import.meta.url));

/**
 * Loads the package in a context of its own, which has the globals of Node.js, but its own built-in objects. As with test
 * runners, its files run there, and the addon and Node.js's own modules are everybody's.
 */
function loadInContext() {
  const context = createContext({ process, setTimeout });
  const load = (file) => {
    const module = { exports: {} };
    const wrapper = `(function (require, module, __filename, __dirname) {${readFileSync(file, "utf8")}\n})`;
    const outer = createRequire(file);
    const require = (name) => (/^\..*\.js$/.test(name) ? load(outer.resolve(name)) : outer(name));
    runInContext(wrapper, context)(require, module, file, dirname(file));
    return module.exports;
  };
  return { ...load(INDEX), Object: runInContext("Object", context), TypeError: runInContext("TypeError", context) };
}

it.each(["the first context", "the next one"])("results and errors are of the caller's realm: %s", async () => {
  const realm = loadInContext();
  const store = realm.createRedisStore(url);
  onTestFinished(() => store.close());
  const id = newId();
  await store.commitExecutionTaskResult(id, "task", { order: { lines: [] } });
  const alone = await store.getExecutionTaskResult(id, "task");
  const { task: inTable } = await store.getExecutionTaskResults(id);
  for (const result of [alone, inTable]) {
    expect(result.order).toBeInstanceOf(realm.Object);
    expect(result.order).not.toBeInstanceOf(Object);
  }

  const { error } = await outcomeOf(store.commitExecutionTaskResult(id, "task", 1n));
  expect(error).toBeInstanceOf(realm.RedisStoreError);
  expect(error.cause).toBeInstanceOf(realm.TypeError);
  await admin.hset(`${id}-results`, "broken", "{");
  const { error: unparsable } = await outcomeOf(store.getExecutionTaskResult(id, "broken"));
  expect(unparsable).toBeInstanceOf(realm.RedisStoreError);
});
