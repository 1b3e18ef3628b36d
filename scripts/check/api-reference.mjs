/**
 * Builds the API reference from the types with TypeDoc, and follows the links of its pages and of all documents. Fails at each
 * warning of TypeDoc, and at each link that leads nowhere.
 */
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { execute } from "../../tooling/execute.mjs";
import { brokenLinks, brokenPageLinks, documentPaths } from "../../tooling/links.mjs";
import { ROOT } from "../../tooling/setup.mjs";
import { temporary } from "../../tooling/workspace.mjs";
import { npmTool } from "../release/tools.mjs";

/** TypeDoc reads types through an interface of the compiler that version 7 does not have. */
const TYPEDOC = ["typedoc", "0.28.20", ["typescript@6.0.3"]];
const TYPES = ["index.d.ts", "admin.d.ts", "otel.d.ts"].map((name) => join(ROOT, name));
const OUT = join(ROOT, "target", "api");

/** Members of types that are made from lists of names, which cannot have comments of their own. */
function mappedMembers() {
  const source = readFileSync(TYPES[0], "utf8");
  const names = (type) => {
    const [, list] = new RegExp(`type ${type} = \\{\\s*\\[Name in(.*?)\\]`, "s").exec(source);
    return [...list.matchAll(/"(\w+)"/g)].map(([, name]) => name);
  };
  const members = [
    ...["IoredisConnectionOptions", "IoredisSentinelOptions"].flatMap((type) =>
      names("IoredisOwnOptions").map((name) => `redis.${type}.${name}`),
    ),
    ...names("NodeRedisMethods").map((name) => `redis.NodeRedisClient.${name}`),
    "redis.RedisStore.[asyncDispose]",
    "redis/admin.RedisAdmin.[asyncDispose]",
  ];
  return members.map((member) => `@idioteque/${member}`);
}

async function build() {
  const typedoc = await npmTool(...TYPEDOC);
  const home = temporary("api-reference");
  const write = (name, value) => {
    writeFileSync(join(home, name), JSON.stringify(value));
    return join(home, name);
  };
  const tsconfig = write("tsconfig.json", {
    compilerOptions: {
      strict: true,
      module: "nodenext",
      target: "es2023",
      types: ["node"],
      typeRoots: [join(ROOT, "node_modules/@types")],
    },
    files: TYPES,
  });
  const options = write("typedoc.json", {
    entryPoints: TYPES,
    tsconfig,
    out: OUT,
    name: "@idioteque/redis",
    readme: "none",
    includeVersion: true,
    // The checkout has no address that pages could lead to.
    disableSources: true,
    githubPages: false,
    includeHierarchySummary: false,
    validation: {
      notExported: true,
      invalidLink: true,
      rewrittenLink: true,
      notDocumented: true,
      unusedMergeModuleWith: true,
    },
    intentionallyNotDocumented: mappedMembers(),
    packagesRequiringDocumentation: ["@idioteque/redis"],
    treatWarningsAsErrors: true,
  });
  rmSync(OUT, { recursive: true, force: true });
  await execute(process.execPath, [join(typedoc, "typedoc/bin/typedoc"), "--options", options], { cwd: ROOT });
  if (!existsSync(join(OUT, "index.html"))) throw new Error("TypeDoc wrote no pages");
}

async function main() {
  await build();
  const broken = [
    ...brokenPageLinks(OUT),
    ...documentPaths().flatMap((path) => brokenLinks(path).map(({ target, line }) => `${path}:${line}: ${target}`)),
  ];
  if (broken.length > 0) throw new Error(`These links lead nowhere:\n${broken.join("\n")}`);
  console.log(`${join(OUT, "index.html")} and all documents: no warnings, and every link leads somewhere`);
}

await main().catch((error) => {
  console.error(error.output ?? error.message);
  process.exitCode = 1;
});
