// What is published: the files that are needed and no others, nothing that runs when it is installed, and a description
// that registries and tools can read.
import { execFileSync, spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { assertContents, mainFiles } from "../../tooling/package/contents.mjs";
import { bundledCrates } from "../../tooling/package/crates.mjs";
import { namedVersions, versionProblem } from "../../tooling/package/versions.mjs";

const root = fileURLToPath(new URL("../..", import.meta.url));
const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));

describe("the package", () => {
  it("holds what its entry points load, their types, README and LICENSE, and nothing else", () => {
    const output = execFileSync("npm", ["pack", "--dry-run", "--json", "--ignore-scripts", "--silent"], {
      cwd: root,
      encoding: "utf8",
      timeout: 60_000,
    });
    const [{ files }] = Object.values(JSON.parse(output));
    expect(files.map(({ path }) => path).sort()).toEqual(mainFiles());
    expect(mainFiles()).toEqual(
      expect.arrayContaining([
        "index.js",
        "index.d.ts",
        "lib/adopted-client.js",
        "lib/load-error/failure.js",
        "otel.d.ts",
        "lib/otel.js",
      ]),
    );
  });

  it("would not be taken with a file too many or too few", () => {
    expect(() => assertContents(["index.js", ".env"], ["index.js"])).toThrow("not to be in it: .env");
    expect(() => assertContents([], ["index.js"])).toThrow("missing from the package: index.js");
  });

  it("runs nothing when it is installed, and needs no other package", () => {
    const whileInstalling = /^(pre|post)?(install|prepare)$/;
    expect(Object.keys(manifest.scripts).filter((name) => whileInstalling.test(name))).toEqual([]);
    expect(manifest.dependencies).toBe(undefined);
    // For who uses it: `@idioteque/redis/otel` alone loads it.
    expect(manifest.peerDependencies).toEqual({ "@opentelemetry/api": expect.any(String) });
    expect(manifest.peerDependenciesMeta).toEqual({ "@opentelemetry/api": { optional: true } });
  });

  it("describes itself", () => {
    expect(manifest).toMatchObject({
      name: "@idioteque/redis",
      license: "MIT",
      type: "commonjs",
      engines: { node: ">=16" },
      publishConfig: { access: "public" },
    });
    for (const field of ["description", "author", "homepage"]) expect(manifest[field], field).toBeTypeOf("string");
    expect(manifest.keywords).toEqual(expect.arrayContaining(["idioteque", "redis"]));
  });

  it("has one version everywhere, and is released by no other tag", () => {
    const versions = namedVersions();
    expect(versionProblem(versions)).toBe(undefined);
    expect(versionProblem(versions, `v${manifest.version}`)).toBe(undefined);
    expect(versionProblem(versions, "v9.9.9")).toBe(`The tag is v9.9.9, but the version is ${manifest.version}.`);
    for (const file of Object.keys(versions).filter((name) => name !== "package.json")) {
      expect(versionProblem({ ...versions, [file]: "9.9.9" })).toContain(`${file} names 9.9.9`);
      expect(versionProblem({ ...versions, [file]: undefined })).toContain(`${file} names none`);
    }
    expect(Object.keys(versions)).toEqual(expect.arrayContaining(["fuzz/Cargo.lock", "examples/nextjs/package.json"]));
  });

  it("is not released by a script that would not look", () => {
    const check = (...args) =>
      spawnSync(process.execPath, [join(root, "scripts/release/check-version.mjs"), ...args], {
        encoding: "utf8",
        timeout: 60_000,
      });
    expect(check(`v${manifest.version}`)).toMatchObject({ status: 0, stdout: `${manifest.version}\n`, stderr: "" });
    expect(check("v9.9.9")).toMatchObject({ status: 1, stderr: expect.stringContaining("The tag is v9.9.9") });
  });

  it("bundles no crate whose licence asks for more than a notice", () => {
    const permissive =
      /^(MIT|MIT-0|Apache-2\.0|ISC|BSD-[23]-Clause|Zlib|BSL-1\.0|Unicode-3\.0|Unlicense|0BSD|CC0-1\.0)$/;
    // Mozilla's root certificates, as data.
    const allowed = (name) => permissive.test(name) || name === "CDLA-Permissive-2.0";
    const { crates } = bundledCrates("x86_64-unknown-linux-gnu");
    expect(crates.length).toBeGreaterThan(50);
    for (const { name, license } of crates) {
      const choices = license.replace(/[()]/g, "").split(" OR ");
      const kept = choices.some((choice) => choice.split(" AND ").every(allowed));
      expect(kept, `${name}: ${license}`).toBe(true);
    }
  });
});
