// A release is published in an order in which it can be installed at any time, can be run again after it stopped half-way, and
// ends at the first thing that goes wrong. npm itself publishes, to a registry that notes what it is sent.
import { execFile } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { ROOT } from "../../tooling/setup.mjs";

const SCRIPT = join(ROOT, "scripts", "release", "publish.mjs");
const [FIRST, SECOND, MAIN] = ["@someone/store-first", "@someone/store-second", "@someone/store"];
let npmrc;

describe("publishing a release", () => {
  beforeAll(() => {
    const home = mkdtempSync(join(tmpdir(), "idioteque-npmrc-"));
    npmrc = join(home, "npmrc");
    writeFileSync(npmrc, "");
    return () => rmSync(home, { recursive: true, force: true });
  });

  it("publishes the platforms first and the main package last", async () => {
    const registry = await startRegistry();
    expect(await publish(staged("1.2.3"), registry)).toMatchObject({ code: 0 });
    expect(registry.sent).toEqual([FIRST, SECOND, MAIN].map((name) => ({ name, tags: { latest: "1.2.3" } })));
  });

  it("leaves alone what is published already", async () => {
    const registry = await startRegistry({ [FIRST]: "1.2.3", [SECOND]: "1.2.2" });
    const { code, stdout } = await publish(staged("1.2.3"), registry);
    expect({ code, stdout }).toEqual({
      code: 0,
      stdout: `${FIRST}@1.2.3 is published already\n${SECOND}@1.2.3 is published\n${MAIN}@1.2.3 is published\n`,
    });
    expect(registry.sent.map(({ name }) => name)).toEqual([SECOND, MAIN]);
  });

  it("makes no version the latest that is only tried out", async () => {
    const registry = await startRegistry();
    await publish(staged("1.2.3-rc.1"), registry);
    expect(registry.sent.at(-1)).toEqual({ name: MAIN, tags: { next: "1.2.3-rc.1" } });
  });

  it("sends nothing in a dry run, without a login too", async () => {
    const registry = await startRegistry();
    expect(await publish(staged("1.2.3"), registry, "--dry-run")).toMatchObject({
      code: 0,
      stdout: expect.stringContaining(`${MAIN}@1.2.3 would be published`),
    });
    expect(registry.sent).toEqual([]);
  });

  it("does not take a registry that fails for one that lacks the package", async () => {
    const registry = await startRegistry({ [FIRST]: undefined });
    expect(await publish(staged("1.2.3"), registry)).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^npm view @someone\/store-first@1\.2\.3 .*failed.*503/s),
    });
    expect(registry.sent).toEqual([]);
  });

  it("publishes no main package without its platforms", async () => {
    const registry = await startRegistry({}, SECOND);
    expect(await publish(staged("1.2.3"), registry)).toMatchObject({ code: 1 });
    expect(registry.sent.map(({ name }) => name)).toEqual([FIRST]);
  });
});

/** A folder with packages, laid out as stage.mjs does. */
function staged(version) {
  const home = mkdtempSync(join(tmpdir(), "idioteque-staged-"));
  onTestFinished(() => rmSync(home, { recursive: true, force: true }));
  const write = (folder, name) => {
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, "package.json"), JSON.stringify({ name, version, files: [] }));
  };
  write(home, MAIN);
  write(join(home, "npm", "first"), FIRST);
  write(join(home, "npm", "second"), SECOND);
  return home;
}

/**
 * @param {Record<string, string | undefined>} [versions] what there is; of a package without a version it cannot say
 * @param {string} [refused] a package that may not be published
 */
async function startRegistry(versions = {}, refused) {
  const sent = [];
  const server = createServer(async (request, response) => {
    const name = decodeURIComponent(request.url.split("?")[0].slice(1));
    const answer = (status, body = {}) =>
      response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
    if (request.method === "PUT") {
      let text = "";
      for await (const chunk of request.setEncoding("utf8")) text += chunk;
      if (name === refused) return answer(403);
      sent.push({ name, tags: JSON.parse(text)["dist-tags"] });
      return answer(201);
    }
    if (!Object.hasOwn(versions, name)) return answer(404);
    const version = versions[name];
    if (version === undefined) return answer(503);
    const dist = { tarball: `http://127.0.0.1/${name}.tgz`, shasum: "0".repeat(40) };
    return answer(200, { name, "dist-tags": { latest: version }, versions: { [version]: { name, version, dist } } });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => server.close().closeAllConnections());
  return { sent, port: server.address().port };
}

function publish(home, { port }, ...flags) {
  const login = flags.includes("--dry-run") ? {} : { [`npm_config_//127.0.0.1:${port}/:_authToken`]: "test" };
  const env = {
    ...process.env,
    ...login,
    npm_config_userconfig: npmrc,
    npm_config_cache: join(home, "..", `${home.split("/").at(-1)}-cache`),
    npm_config_registry: `http://127.0.0.1:${port}/`,
    npm_config_fetch_retries: "0",
  };
  onTestFinished(() => rmSync(env.npm_config_cache, { recursive: true, force: true }));
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      [SCRIPT, "--no-provenance", ...flags, home],
      { env, timeout: 120_000 },
      (error, ...output) => resolve({ code: error?.code ?? 0, stdout: output[0], stderr: output[1] }),
    );
  });
}
