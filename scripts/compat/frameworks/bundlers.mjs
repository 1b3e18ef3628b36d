/**
 * `examples/order.mjs` through each bundler, with the configuration in docs/deployment.md.
 */
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { execute } from "../../../tooling/execute.mjs";
import { codeBlocks } from "../../../tooling/markdown.mjs";
import { ROOT } from "../../../tooling/setup.mjs";
import { temporary } from "../../../tooling/workspace.mjs";
import { checkJournal, checkNothingLeft } from "./order.mjs";
import { install, readJson } from "./project.mjs";

const GUIDE = "docs/deployment.md";

/** `file` is the configuration, `args` what Node.js is called with; `alone`: what was built has to do without packages. */
const BUNDLERS = [
  { name: "package external", tool: "esbuild", file: "esbuild.mjs", args: ["esbuild.mjs"] },
  { name: "addon beside the bundle", tool: "esbuild", file: "esbuild-all.mjs", args: ["esbuild-all.mjs"], alone: true },
  {
    name: "package external",
    tool: "webpack",
    file: "webpack.config.mjs",
    args: ["node_modules/webpack-cli/bin/cli.js"],
  },
  { name: "SSR build", tool: "vite", file: "vite.config.mjs", args: ["node_modules/vite/bin/vite.js", "build"] },
  {
    name: "package external",
    tool: "rollup",
    file: "rollup.config.mjs",
    args: ["node_modules/rollup/dist/bin/rollup", "-c", "rollup.config.mjs"],
  },
];

/**
 * @param {import("./run.mjs").Context} context
 * @returns {Promise<import("./run.mjs").Row[]>}
 */
export async function bundlerRows({ main, registry, redis, redisUrl }) {
  const home = temporary("bundlers");
  const tools = readJson(join(ROOT, "scripts/compat/frameworks/tools.json"));
  layOut(home);
  await install(home, { dependencies: { [main.name]: main.version }, devDependencies: tools }, registry);
  const blocks = codeBlocks(readFileSync(join(ROOT, GUIDE), "utf8"));

  /** Runs the program in a directory, and looks at what it printed and left behind. */
  async function runMain(cwd) {
    const [program] = readdirSync(cwd).filter((name) => /^main\.[cm]?js$/.test(name));
    const output = await execute(process.execPath, [program], { cwd, env: { ...process.env, REDIS_URL: redisUrl } });
    checkJournal(output);
    if (!output.includes('{"event":"over","backend":"redis","inProgress":false}')) throw new Error(output);
    await checkNothingLeft(redis);
  }

  async function bundle({ file, args, alone }) {
    const block = blocks.find(({ title }) => title === file);
    if (!block) throw new Error(`${GUIDE} has no block that begins with "// ${file}"`);
    const dist = join(home, "dist");
    rmSync(dist, { recursive: true, force: true });
    writeFileSync(join(home, file), block.code);
    await execute(process.execPath, args, { cwd: home });
    if (!alone) return runMain(dist);
    cpSync(dist, temporary("alone"), { recursive: true });
    return runMain(temporary("alone"));
  }

  /** What hosts like Vercel do: find the files that the program needs, and take only those along. */
  async function trace() {
    const { nodeFileTrace } = createRequire(join(home, "package.json"))("@vercel/nft");
    const { fileList } = await nodeFileTrace([join(home, "src/main.mjs")], { base: home });
    const target = temporary("traced");
    for (const path of fileList) cpSync(join(home, path), join(target, path), { verbatimSymlinks: true });
    return runMain(join(target, "src"));
  }

  return [
    { name: "no bundler", tool: "node", version: process.versions.node, check: () => runMain(join(home, "src")) },
    ...BUNDLERS.map((one) => ({ ...one, version: tools[one.tool], check: () => bundle(one) })),
    { name: "file tracing", tool: "@vercel/nft", version: tools["@vercel/nft"], check: trace },
  ];
}

function layOut(home) {
  mkdirSync(join(home, "src"), { recursive: true });
  cpSync(join(ROOT, "tooling/workflow"), join(home, "tooling/workflow"), { recursive: true });
  cpSync(join(ROOT, "examples/order.mjs"), join(home, "src/main.mjs"));
}
