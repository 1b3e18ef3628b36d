/**
 * Runtimes: the package required, imported, and loaded by worker threads alone on each, against a real Redis, in
 * processes that have to end by themselves.
 */
import { join } from "node:path";
import { NODE_VERSIONS, NPM_TOOLS, nodeBinary, npmTool } from "../../../release/tools.mjs";
import { check } from "../projects.mjs";

/** @type {import("../rows.mjs").Row[]} */
export const RUNTIME_ROWS = [
  ...NODE_VERSIONS.map((version) => ({
    name: `node-${version.split(".")[0]}`,
    title: `Node.js ${version.split(".")[0]}: require, import, worker threads`,
    async run(context) {
      await checkAll(context, [await nodeBinary(version)]);
      return version;
    },
  })),
  otherRow("bun", "Bun", (modules) => {
    const platform = `bun-linux-${process.arch === "arm64" ? "aarch64" : process.arch}`;
    return [join(modules, "@oven", platform, "bin", "bun"), "run"];
  }),
  otherRow("deno", "Deno", (modules) => {
    const binary = join(modules, "@deno", `linux-${process.arch}-glibc`, "deno");
    return [binary, "run", "--allow-all", "--no-prompt"];
  }),
];

function otherRow(name, title, commandIn) {
  return {
    name,
    title: `${title}: require, import, worker threads`,
    async run(context) {
      const [tool, version] = NPM_TOOLS[name];
      await checkAll(context, commandIn(await npmTool(tool, version)));
      return version;
    },
  };
}

async function checkAll(context, command) {
  const home = await context.npmProject();
  for (const file of ["require.cjs", "import.mjs", "workers.cjs"]) await check(home, [...command, file], context);
}
