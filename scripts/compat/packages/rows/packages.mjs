/**
 * What the packages themselves have to be: contents, sizes, types, and the contract kept by what is installed from
 * them.
 */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { execute } from "../../../../tooling/execute.mjs";
import {
  assertContents,
  assertNoInstallScripts,
  MAIN_LIMIT,
  mainFiles,
  PLATFORM_LIMIT,
  platformFiles,
} from "../../../../tooling/package/contents.mjs";
import { ROOT } from "../../../../tooling/setup.mjs";
import { GLIBC_FLOOR, neededGlibc } from "../../../release/glibc-floor.mjs";
import { NPM_TOOLS, npmTool, SCHEMA_CHECKERS } from "../../../release/tools.mjs";

const CONTRACT_DEADLINE_MS = 600_000;

/** @type {import("../rows.mjs").Row[]} */
export const PACKAGE_ROWS = [
  {
    name: "contents",
    title: "Contents of the packages, no install scripts",
    async run({ release: { main, platform, others } }) {
      assertContents(main.files, mainFiles());
      for (const one of [platform, ...others]) {
        const target = one.manifest.name.replace("@idioteque/redis-", "");
        assertContents(one.files, platformFiles(target));
        if (one.manifest.engines.node !== main.manifest.engines.node) throw new Error(`${target}: other engines`);
      }
      for (const { manifest } of [main, platform, ...others]) assertNoInstallScripts(manifest);
      assertSize(main, MAIN_LIMIT);
      assertSize(platform, PLATFORM_LIMIT);
      return [main, platform].map((one) => `${one.manifest.name.split("/")[1]} ${sizes(one)}`).join("; ");
    },
  },
  {
    name: "glibc",
    title: `glibc that the addon needs: at most ${GLIBC_FLOOR}`,
    async run({ addon }) {
      // Again, of what was packed: the build has asserted it of what it made.
      return neededGlibc(addon);
    },
  },
  {
    name: "publint",
    title: "publint, strict",
    async run({ release: { main } }) {
      const [name, version] = NPM_TOOLS.publint;
      const modules = await npmTool(name, version);
      await execute(process.execPath, [join(modules, "publint", "src", "cli.js"), "--strict", main.tarball], {
        cwd: ROOT,
      });
      return version;
    },
  },
  {
    name: "attw",
    title: "Are the types wrong?",
    async run({ release: { main } }) {
      const [name, version] = NPM_TOOLS.attw;
      const modules = await npmTool(name, version);
      await execute(process.execPath, [join(modules, name, "dist", "index.js"), main.tarball], { cwd: ROOT });
      return version;
    },
  },
  {
    name: "sbom",
    title: "The list of bundled crates, against the schema of CycloneDX 1.6",
    async run({ release: { platform } }) {
      const [name, version] = NPM_TOOLS.cyclonedx;
      const modules = await npmTool(name, version, SCHEMA_CHECKERS);
      const { Spec, Validation } = createRequire(join(modules, "file.js"))(name);
      const sbom = readFileSync(join(platform.home, "sbom.cdx.json"), "utf8");
      const problems = await new Validation.JsonStrictValidator(Spec.Version.v1dot6).validate(sbom);
      if (problems !== null) throw new Error(JSON.stringify(problems));
      return `${JSON.parse(sbom).components.length} crates`;
    },
  },
  {
    name: "contract",
    title: "The contract suite, on the installed package",
    async run(context) {
      const home = await context.npmProject();
      const args = ["run", "--config", join("scripts", "compat", "packages", "contract.config.mjs")];
      const output = await execute(process.execPath, [join(ROOT, "node_modules", "vitest", "vitest.mjs"), ...args], {
        cwd: ROOT,
        env: { ...process.env, IDIOTEQUE_PACKAGE: join(home, "node_modules", "@idioteque", "redis"), NO_COLOR: "1" },
        deadline: CONTRACT_DEADLINE_MS,
      });
      return /Contract: (.+)/.exec(output)[1];
    },
  },
];

function assertSize({ manifest, unpackedSize }, limit) {
  if (unpackedSize > limit)
    throw new Error(`${manifest.name} has ${unpackedSize} bytes unpacked; ${limit} are allowed`);
}

function sizes({ size, unpackedSize }) {
  return `${megabytes(size)} packed, ${megabytes(unpackedSize)} unpacked`;
}

function megabytes(bytes) {
  return `${(bytes / 1024 / 1024).toFixed(2)} MiB`;
}
