// An error that nobody catches, with stores of both open and calls in flight: the status is Node.js's own.
import { strictEqual } from "node:assert";
import { spawnSync } from "node:child_process";

const [first, second, url] = process.argv.slice(2);
const source = `
  const stores = ${JSON.stringify([first, second])}.map((home) => require(home).createRedisStore(${JSON.stringify(url)}));
  Promise.all(stores.map((store) => store.isExecutionInProgress("uncaught"))).then(() => {
    for (const store of stores) store.getExecutionTaskResults("uncaught").catch(() => {});
    setImmediate(() => { throw new Error("nobody catches this"); });
  });
`;
const { status, stderr } = spawnSync(process.execPath, ["--eval", source], { encoding: "utf8", timeout: 30_000 });
strictEqual(status, 1, stderr);
strictEqual(stderr.includes("nobody catches this"), true, stderr);
console.log("checked");
