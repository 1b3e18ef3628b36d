/**
 * `npm run release:rehearse`: a release with everything but npm's registry and the other machines. It makes all packages by
 * the scripts of the release workflow, publishes them to a registry on the loopback interface (as a dry run, for real, and
 * once more), installs from that, and runs a program with a real Redis.
 *
 * The addon is the one that was built for this machine, or `--addon FILE`; the packages of the other platforms hold a file
 * that only takes its place. Where this is no workflow that says which repository it is, the packages name one that does not exist.
 */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { DEADLINES, execute } from "../../tooling/execute.mjs";
import { links } from "../../tooling/markdown.mjs";
import { isAbsolute, repositoryOf } from "../../tooling/package/repository.mjs";
import { ensureRedisServer, startRedis } from "../../tooling/servers/redis-server.mjs";
import { addonFiles, ROOT, setup } from "../../tooling/setup.mjs";
import { createTerminal } from "../../tooling/terminal.mjs";
import { temporary } from "../../tooling/workspace.mjs";
import { check, installWithNpm } from "../compat/packages/projects.mjs";
import { startRegistry } from "../compat/packages/registry.mjs";
import { stageRelease } from "./stage.mjs";

/** Domains below `example` belong to nobody. */
const NOWHERE = {
  GITHUB_SERVER_URL: "https://git.example",
  GITHUB_REPOSITORY: "rehearsal/redis",
  GITHUB_REF_TYPE: "tag",
};

const terminal = createTerminal();
const { values: flags } = parseArgs({ options: { addon: { type: "string" } } });

async function main() {
  if (!flags.addon) await setup(terminal);
  ensureRedisServer({ log: (text) => terminal.line(`  … ${text}`) });
  const addon = flags.addon ?? addonFiles()[0];
  const version = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")).version;
  const repository = repositoryOf(process.env) ?? repositoryOf({ ...NOWHERE, GITHUB_REF_NAME: `v${version}` });

  await step(`the version is ${version} everywhere`, () => node("check-version.mjs", [`v${version}`]));
  const release = await step(`packages of ${repository.url}`, () => stageRelease(addon, repository));
  const all = [release.main, release.platform, ...release.others];
  terminal.line(`    ${release.others.length} of them hold a file in place of their addon`);
  for (const { manifest, size, unpackedSize } of [release.main, release.platform]) {
    terminal.line(`    ${manifest.name}: ${size} bytes packed, ${unpackedSize} unpacked`);
  }
  await step("they name the repository, and no link of the README is relative", () =>
    checkDescriptions(all, repository),
  );

  const registry = await startRegistry();
  const redis = await startRedis();
  try {
    const publish = publisher(registry.url, release.main.home);
    await step(`npm publish --dry-run of ${all.length} packages`, async () => {
      const output = await publish("--dry-run");
      expectCount(output.match(/ would be published$/gm), all.length);
      expectCount(registry.published(), 0);
    });
    await step("npm publish to a registry on the loopback interface, the main package last", async () => {
      expectCount((await publish()).match(/ is published$/gm), all.length);
      const names = registry.published();
      expectCount(names, all.length);
      if (names.at(-1) !== `${release.main.manifest.name}@${version}`) throw new Error(`last is ${names.at(-1)}`);
    });
    await step("once more: all are published already", async () => {
      expectCount((await publish()).match(/ is published already$/gm), all.length);
    });
    const context = { release, registry: registry.url, redisUrl: redis.url };
    const home = await step("npm install from there, in an empty project", () => installWithNpm("rehearsal", context));
    await step("only the addon for this machine is installed", () => checkInstalled(home, release));
    for (const file of ["require.cjs", "import.mjs", "workers.cjs"])
      await step(`${file}, with a Redis`, () => check(home, [process.execPath, file], context));
  } finally {
    registry.stop();
    await redis.stop();
  }
}

/** Runs `publish.mjs` with a login to the local registry alone: no configuration of the user is read. */
function publisher(registry, folder) {
  const settings = join(temporary("rehearsal-npm"), "npmrc");
  const { host } = new URL(registry);
  writeFileSync(settings, `registry=${registry}/\n//${host}/:_authToken=rehearsal\n`);
  const env = { ...process.env, npm_config_userconfig: settings, npm_config_registry: `${registry}/` };
  return (...args) => node("publish.mjs", ["--no-provenance", ...args, folder], env);
}

function node(script, args, env) {
  const path = join(ROOT, "scripts", "release", script);
  return execute(process.execPath, [path, ...args], { cwd: ROOT, env, deadline: DEADLINES.install });
}

function checkDescriptions(packages, { url }) {
  for (const { home, manifest } of packages) {
    const { name, homepage, bugs, repository } = manifest;
    if (repository?.url !== `git+${url}.git`) throw new Error(`${name}: its repository is ${repository?.url}`);
    if (!homepage?.startsWith(url) || !bugs?.url.startsWith(url)) throw new Error(`${name}: other addresses`);
    const text = readFileSync(join(home, "README.md"), "utf8");
    const relative = links(text).filter(({ target }) => !isAbsolute(target));
    if (relative.length > 0) throw new Error(`${name}: README.md has the relative link ${relative[0].target}`);
  }
}

function checkInstalled(home, { platform }) {
  const scope = join(home, "node_modules", "@idioteque");
  const found = readdirSync(scope).map((name) => `@idioteque/${name}`);
  const expected = ["@idioteque/redis", platform.manifest.name];
  if (found.sort().join() !== expected.sort().join()) throw new Error(`installed are ${found.join(", ")}`);
}

function expectCount(found, expected) {
  if ((found ?? []).length !== expected) throw new Error(`${(found ?? []).length} in place of ${expected}`);
}

async function step(title, action) {
  const progress = terminal.progress(title);
  const result = await Promise.resolve(action()).finally(progress.end);
  terminal.line(`  ${terminal.green("✓")} ${title}`);
  return result;
}

await main().catch((error) => {
  terminal.line(`${terminal.red("✗")} ${error.message}`);
  process.exitCode = 1;
});
