/**
 * An npm registry on the loopback interface that has just our packages, so that package managers choose the platform's
 * as they do for users: by `os`, `cpu` and `libc` in a registry's answer.
 *
 * An installation asks for two things, a package's versions and its tarball, and `npm publish` sends both in one request.
 * Verdaccio would answer too, but has to be installed, started and published to, and dates what is published with today.
 */
import { createHash } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";

const HOST = "127.0.0.1";
/** Some package managers refuse what is only hours old. */
const PUBLISHED = "2024-01-01T00:00:00.000Z";
/** Bytes of what may be published: the largest package, in Base64, many times over. */
const REQUEST_LIMIT = 64 * 1024 * 1024;
const REQUEST_DEADLINE_MS = 60_000;

/**
 * @param {import("../../release/stage.mjs").Packed[]} [packages] what it has from the beginning
 * @returns {Promise<{ url: string, published: () => string[], stop: () => void }>} `published` names what was published, in
 *   that order
 */
export async function startRegistry(packages = []) {
  const answers = new Map();
  const packuments = new Map();
  const published = [];
  const server = createServer({ requestTimeout: REQUEST_DEADLINE_MS }, async (request, response) => {
    const path = decodeURIComponent(request.url.split("?")[0]);
    if (request.method === "PUT") {
      const [status, answer] = await publish(request, path).catch((error) => [400, { error: error.message }]);
      response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(answer));
      return;
    }
    const answer = answers.get(path);
    response.writeHead(answer === undefined ? 404 : 200, { "content-type": answer?.type ?? "application/json" });
    response.end(answer?.body ?? "{}");
  });
  server.listen(0, HOST);
  await once(server, "listening");
  const url = `http://${HOST}:${server.address().port}`;

  /** A version that is published again takes the place of what was there. */
  function add(manifest, body, tags = { latest: manifest.version }) {
    const path = `/${manifest.name}/-/${manifest.name.split("/")[1]}-${manifest.version}.tgz`;
    const dist = { tarball: url + path, ...digests(body) };
    answers.set(path, { body, type: "application/octet-stream" });
    const described = packument(manifest, dist, tags, packuments.get(manifest.name));
    packuments.set(manifest.name, described);
    answers.set(`/${manifest.name}`, { body: JSON.stringify(described) });
  }

  async function publish(request, path) {
    if (!request.headers.authorization) return [401, { error: "no login" }];
    const { name, versions, "dist-tags": tags, _attachments } = JSON.parse(await bodyOf(request));
    const [manifest] = Object.values(versions);
    if (path !== `/${name}` || manifest.name !== name) throw new Error(`${path} is not ${name}`);
    if (published.includes(`${name}@${manifest.version}`)) return [403, { error: "there is this version already" }];
    const body = Buffer.from(Object.values(_attachments)[0].data, "base64");
    if (digests(body).integrity !== manifest.dist.integrity) throw new Error("The tarball is not the one described");
    add(manifest, body, tags);
    published.push(`${name}@${manifest.version}`);
    return [201, { success: true }];
  }

  for (const { manifest, tarball } of packages) add(manifest, readFileSync(tarball));
  return { url, published: () => [...published], stop: () => server.close().closeAllConnections() };
}

async function bodyOf(request) {
  const chunks = [];
  let size = 0;
  for await (const chunk of request) {
    size += chunk.length;
    if (size > REQUEST_LIMIT) throw new Error(`more than ${REQUEST_LIMIT} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

function digests(body) {
  const digest = (algorithm, encoding) => createHash(algorithm).update(body).digest(encoding);
  return { shasum: digest("sha1", "hex"), integrity: `sha512-${digest("sha512", "base64")}` };
}

/** What a registry says of a package, with the versions that it had before. */
function packument(manifest, dist, tags, before) {
  const { name, version } = manifest;
  return {
    _id: name,
    name,
    "dist-tags": { ...before?.["dist-tags"], ...tags },
    versions: { ...before?.versions, [version]: { ...manifest, _id: `${name}@${version}`, dist } },
    time: { created: PUBLISHED, modified: PUBLISHED, ...before?.time, [version]: PUBLISHED },
  };
}
