/**
 * An npm registry on the loopback interface that has just our packages, so that package managers choose the platform's
 * as they do for users: by `os`, `cpu` and `libc` in a registry's answer.
 *
 * An installation asks for two things, a package's versions and its tarball. Verdaccio would answer too, but has to be
 * installed, started and published to, and dates what is published with today.
 */
import { createHash } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";

const HOST = "127.0.0.1";
/** Some package managers refuse what is only hours old. */
const PUBLISHED = "2024-01-01T00:00:00.000Z";

/**
 * @param {import("../../release/stage.mjs").Packed[]} packages
 * @returns {Promise<{ url: string, stop: () => void }>}
 */
export async function startRegistry(packages) {
  const answers = new Map();
  const server = createServer((request, response) => {
    const answer = answers.get(decodeURIComponent(request.url.split("?")[0]));
    response.writeHead(answer === undefined ? 404 : 200, { "content-type": answer?.type ?? "application/json" });
    response.end(answer?.body ?? "{}");
  });
  server.listen(0, HOST);
  await once(server, "listening");
  const url = `http://${HOST}:${server.address().port}`;

  for (const { manifest, tarball } of packages) {
    const body = readFileSync(tarball);
    const path = `/${manifest.name}/-/${manifest.name.split("/")[1]}-${manifest.version}.tgz`;
    const digest = (algorithm, encoding) => createHash(algorithm).update(body).digest(encoding);
    const dist = {
      tarball: url + path,
      shasum: digest("sha1", "hex"),
      integrity: `sha512-${digest("sha512", "base64")}`,
    };
    answers.set(path, { body, type: "application/octet-stream" });
    answers.set(`/${manifest.name}`, { body: JSON.stringify(packument(manifest, dist)) });
  }
  return { url, stop: () => server.close().closeAllConnections() };
}

function packument(manifest, dist) {
  const { name, version } = manifest;
  return {
    _id: name,
    name,
    "dist-tags": { latest: version },
    versions: { [version]: { ...manifest, _id: `${name}@${version}`, dist } },
    time: { created: PUBLISHED, modified: PUBLISHED, [version]: PUBLISHED },
  };
}
