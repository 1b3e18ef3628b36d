/**
 * Programs that compile against the types of the earlier release, compiled against these. In `types/breaking.mts` a comment before each
 * line that does not compile any more has words of the changelog; all else has to compile.
 */
import { deepStrictEqual, ok } from "node:assert";
import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { execute } from "../../../tooling/execute.mjs";
import { ROOT } from "../../../tooling/setup.mjs";
import { changesSince } from "./changelog.mjs";

const PROGRAMS = fileURLToPath(new URL("types", import.meta.url));
const MODULES = join(ROOT, "node_modules");
const COMPILER = join(MODULES, "typescript", "bin", "tsc");
/** What the programs import besides. */
const CLIENTS = ["ioredis", "redis"];
/** Strictest first: what compiles there compiles with less. */
const SETTINGS = {
  strict: { strict: true, exactOptionalPropertyTypes: true, noUncheckedIndexedAccess: true, skipLibCheck: false },
  lax: { strict: false, skipLibCheck: true },
};
const BREAKING = "breaking.mts";

/** @param {import("./run.mjs").Context} context */
export async function checkTypes({ check, home, earlier, current }) {
  for (const client of CLIENTS) symlinkSync(join(MODULES, client), join(home, "node_modules", client), "junction");
  const programs = readdirSync(PROGRAMS);
  for (const [name, settings] of Object.entries(SETTINGS)) {
    for (const program of programs) {
      await check(`${program} compiles against ${earlier.version} (${name})`, async () => {
        deepStrictEqual(await errorsOf({ home, side: earlier, program, settings }), []);
      });
      if (program === BREAKING) continue;
      await check(`${program} compiles against ${current.version} (${name})`, async () => {
        deepStrictEqual(await errorsOf({ home, side: current, program, settings }), []);
      });
    }
  }
  await check("what does not compile any more stands in the changelog, and nothing else does", async () => {
    const errors = await errorsOf({ home, side: current, program: BREAKING, settings: SETTINGS.strict });
    const marked = markedLines(join(PROGRAMS, BREAKING));
    deepStrictEqual(
      [...new Set(errors.map(({ line }) => line))],
      marked.map(({ line }) => line),
    );
    const changes = changesSince(earlier.version);
    for (const { words } of marked) ok(changes.includes(words), `The changelog does not say "${words}"`);
  });
}

/** The lines behind a comment `// Breaking: …`. */
function markedLines(path) {
  const lines = readFileSync(path, "utf8").split("\n");
  return lines.flatMap((text, index) => {
    const [, words] = /^\s*\/\/ (Breaking: .*)$/.exec(text) ?? [];
    return words === undefined ? [] : [{ line: index + 2, words }];
  });
}

/** @returns {Promise<{ line: number, text: string }[]>} */
async function errorsOf({ home, side, program, settings }) {
  const folder = join(home, "types", `${side.name}-${basename(program)}-${settings.strict}`);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, program), readFileSync(join(PROGRAMS, program)));
  const compilerOptions = {
    target: "es2022",
    lib: ["es2022"],
    module: "node16",
    moduleResolution: "node16",
    noEmit: true,
    typeRoots: [join(MODULES, "@types")],
    types: ["node"],
    paths: { "@idioteque/redis": [join(side.home, "index.d.ts")] },
    ...settings,
  };
  const config = join(folder, "tsconfig.json");
  writeFileSync(config, JSON.stringify({ compilerOptions, files: [program] }));
  const output = await execute(process.execPath, [COMPILER, "-p", config, "--pretty", "false"], { cwd: folder }).catch(
    (error) => error.output ?? Promise.reject(error),
  );
  const found = [...output.matchAll(/^(.*?)\((\d+),\d+\): error (.*)$/gm)];
  if (found.length === 0 && output.trim() !== "") throw new Error(output);
  return found.map(([, file, line, text]) => ({ line: Number(line), text: `${basename(file)}: ${text}` }));
}
