/**
 * `node scripts/release/publish.mjs FOLDER` publishes what `stage.mjs` has put there, the platforms first: whoever installs
 * the main package must find them. What the registry has already is left alone, so that a release that stopped half-way can
 * be run again. With provenance, unless `--no-provenance` says that this is no workflow; `--dry-run` publishes nothing. The
 * registry and the login to it are those of npm's configuration.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { DEADLINES, execute } from "../../tooling/execute.mjs";

const { values: flags, positionals } = parseArgs({
  options: { "dry-run": { type: "boolean" }, "no-provenance": { type: "boolean" } },
  allowPositionals: true,
});

async function publish(folder) {
  const { name, version } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  if (!flags["dry-run"] && (await isPublished(name, version, folder))) {
    console.log(`${name}@${version} is published already`);
    return;
  }
  const args = ["publish", "--access", "public", "--ignore-scripts", "--loglevel", "error"];
  // Who asks for no version gets the latest, which is to be none that is tried out.
  args.push("--tag", version.includes("-") ? "next" : "latest");
  if (flags["dry-run"]) args.push("--dry-run");
  if (!flags["no-provenance"]) args.push("--provenance");
  await execute("npm", args, { cwd: folder, deadline: DEADLINES.install });
  console.log(`${name}@${version} ${flags["dry-run"] ? "would be" : "is"} published`);
}

/** A registry that cannot be reached, or refuses to answer, has not said that it lacks the package. */
async function isPublished(name, version, cwd) {
  const args = ["view", `${name}@${version}`, "version", "--json", "--prefer-online"];
  const output = await execute("npm", args, { cwd }).catch((error) => {
    if (/\bE404\b/.test(error.output)) return "";
    throw error;
  });
  return output.includes(version);
}

async function main() {
  const [home] = positionals.map((path) => resolve(path));
  if (home === undefined) throw new Error("node scripts/release/publish.mjs [--dry-run] [--no-provenance] FOLDER");
  const platforms = readdirSync(join(home, "npm")).map((name) => join(home, "npm", name));
  for (const folder of [...platforms, home]) await publish(folder);
}

await main().catch((error) => {
  console.error(error.message);
  process.exitCode = 1;
});
