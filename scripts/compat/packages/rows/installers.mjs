/**
 * Package managers: each installs the package from a registry and has to choose this machine's addon by itself.
 */
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DEADLINES, execute } from "../../../../tooling/execute.mjs";
import { temporary } from "../../../../tooling/workspace.mjs";
import { NPM_TOOLS, npmTool } from "../../../release/tools.mjs";
import { check, emptyProject, installWithNpm } from "../projects.mjs";

/** @type {import("../rows.mjs").Row[]} */
export const INSTALLER_ROWS = [
  {
    name: "npm",
    title: "npm, install scripts disallowed",
    async run(context) {
      const home = await context.npmProject();
      const addons = readdirSync(join(home, "node_modules", "@idioteque")).filter((name) => name.startsWith("redis-"));
      const expected = context.release.platform.manifest.name.split("/")[1];
      if (addons.join() !== expected) throw new Error(`npm has installed ${addons.join(", ")}, not just ${expected}`);
      await checkWith([process.execPath], home, context);
      return spawnSync("npm", ["--version"], { encoding: "utf8", timeout: 60_000 }).stdout.trim();
    },
  },
  {
    name: "npm-elsewhere",
    title: "npm, for another machine: the error says so",
    async run(context) {
      const home = await installWithNpm("npm-elsewhere", context, ["--os=win32", "--cpu=arm64"]);
      return failsSaying("redis-win32-arm64-msvc is: node_modules is for another kind of machine", home, context);
    },
  },
  {
    name: "npm-omit",
    title: "npm, optional dependencies left out: the error says so",
    async run(context) {
      const home = await installWithNpm("npm-omit", context, ["--omit=optional"]);
      return failsSaying("optional dependencies were left out", home, context);
    },
  },
  {
    name: "pnpm",
    title: "pnpm",
    async run(context) {
      const [name, version] = NPM_TOOLS.pnpm;
      const pnpm = join(await npmTool(name, version), "pnpm", "bin", "pnpm.cjs");
      const home = emptyProject("pnpm");
      writeFileSync(
        join(home, ".npmrc"),
        `@idioteque:registry=${context.registry}\nstore-dir=${temporary("pnpm-store")}\n`,
      );
      const args = [pnpm, "add", wanted(context), "--ignore-scripts"];
      await execute(process.execPath, args, { cwd: home, deadline: DEADLINES.install });
      await checkWith([process.execPath], home, context);
      return version;
    },
  },
  yarnRow("yarn", "Yarn, node_modules", "node-modules"),
  yarnRow("yarn-pnp", "Yarn, Plug'n'Play", "pnp"),
];

function yarnRow(name, title, linker) {
  return {
    name,
    title,
    async run(context) {
      const [tool, version] = NPM_TOOLS.yarn;
      const yarn = [process.execPath, join(await npmTool(tool, version), tool, "bin", "yarn.js")];
      const home = emptyProject(name);
      writeFileSync(join(home, "yarn.lock"), "");
      writeFileSync(join(home, ".yarnrc.yml"), yarnSettings(linker, context.registry, temporary(`${name}-global`)));
      await execute(yarn[0], [yarn[1], "add", wanted(context)], {
        cwd: home,
        env: { ...process.env, YARN_ENABLE_IMMUTABLE_INSTALLS: "false" },
        deadline: DEADLINES.install,
      });
      if (existsSync(join(home, ".pnp.cjs")) !== (linker === "pnp")) throw new Error("Yarn has used another linker");
      await checkWith([...yarn, "node"], home, context);
      return version;
    },
  };
}

/** Under Plug'n'Play `import` finds packages only with Yarn's loader. */
function yarnSettings(linker, registry, global) {
  return `nodeLinker: ${linker}
pnpEnableEsmLoader: true
enableScripts: false
enableTelemetry: false
enableGlobalCache: false
globalFolder: ${global}
unsafeHttpWhitelist: ["127.0.0.1"]
npmScopes:
  idioteque:
    npmRegistryServer: ${registry}
`;
}

function wanted({ release: { main } }) {
  return `${main.manifest.name}@${main.manifest.version}`;
}

async function checkWith(command, home, context) {
  for (const file of ["require.cjs", "import.mjs"]) await check(home, [...command, file], context);
}

async function failsSaying(reason, home, context) {
  const outcome = await check(home, [process.execPath, "require.cjs"], context).catch((error) => error);
  for (const part of ["ERR_REDIS_LOAD", reason]) {
    if (!outcome?.output?.includes(part))
      throw new Error(`It does not say "${part}": ${outcome?.output ?? "it works"}`);
  }
  return "ERR_REDIS_LOAD";
}
