// The folders beside the package stand on their own: what tests, benchmark, scripts and examples share is in `tooling`.
// Running a file of another folder in a process of its own is no import.
import { readdirSync, readFileSync } from "node:fs";
import { join, posix } from "node:path";
import { describe, expect, it } from "vitest";
import { ROOT } from "../../tooling/setup.mjs";

const FOLDERS = ["__test__", "bench", "examples", "scripts"];
const IMPORT = /(?:\bfrom\s*|\bimport\s*\(?\s*|\brequire\(\s*)(["'])(\.\.?\/[^"']+)\1/g;

describe.each(FOLDERS)("%s", (folder) => {
  it("imports nothing from the other folders", () => {
    const others = FOLDERS.filter((other) => other !== folder);
    const imports = importsOf(folder);
    expect(imports.length).toBeGreaterThan(10);
    expect(imports.filter(({ folder }) => others.includes(folder))).toEqual([]);
  });
});

describe("tooling", () => {
  it("imports nothing from the folders that share it", () => {
    expect(importsOf("tooling").filter(({ folder }) => FOLDERS.includes(folder))).toEqual([]);
  });
});

/**
 * The files of the checkout that the sources in a folder import, also for their types.
 *
 * @param {string} folder
 * @returns {{ by: string, path: string, folder: string }[]} `folder` is the one of the checkout that the path is in
 */
function importsOf(folder) {
  return sourcesIn(folder).flatMap((by) =>
    [...readFileSync(join(ROOT, by), "utf8").matchAll(IMPORT)].map(([, , name]) => {
      const path = posix.join(posix.dirname(by), name);
      return { by, path, folder: path.split("/")[0] };
    }),
  );
}

function sourcesIn(folder) {
  return readdirSync(join(ROOT, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = posix.join(folder, entry.name);
    if (entry.isDirectory()) return /^(node_modules|\..*)$/.test(entry.name) ? [] : sourcesIn(path);
    return /\.([cm]?[jt]s|jsx)$/.test(entry.name) ? [path] : [];
  });
}
