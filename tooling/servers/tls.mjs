/**
 * Redis behind TLS: a server with TLS itself, and an endpoint in front of another server for what Redis cannot be
 * made to do, such as presenting an expired certificate.
 */
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createConnection } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createServer } from "node:tls";
import { freePort, startRedis } from "./redis-server.mjs";

/** Where everything listens. */
export const HOST = "127.0.0.1";

/** The names that servers have here. */
export const NAMES = ["localhost", HOST];

/**
 * Starts a server that listens in TLS besides its plaintext port.
 *
 * @param {import("./certificates.mjs").Authority} authority signs its certificate
 * @param {object} [options]
 * @param {"yes" | "no"} [options.clients] whether it requires client certificates, of the same authority
 * @param {string[]} [options.args] further arguments of `redis-server`
 * @returns {Promise<import("./redis-server.mjs").RedisServer &
 *   { tlsPort: number, tlsUrl: string, caFile: string, certFile: string, keyFile: string }>}
 *   `caFile` holds the authority's certificate, the others what the server presents
 */
export async function startTlsRedis(authority, { clients = "no", args = [] } = {}) {
  const dir = mkdtempSync(join(tmpdir(), "idioteque-redis-tls-"));
  const { cert, key } = authority.issue({ names: NAMES });
  const file = (name, content) => {
    writeFileSync(join(dir, name), content, { mode: 0o600 });
    return join(dir, name);
  };
  const caFile = file("ca.pem", authority.cert);
  const [certFile, keyFile] = [file("cert.pem", cert), file("key.pem", key)];
  const files = ["--tls-cert-file", certFile, "--tls-key-file", keyFile];
  const tlsPort = await freePort();
  const tls = ["--tls-port", String(tlsPort), ...files, "--tls-ca-cert-file", caFile, "--tls-auth-clients", clients];
  const remove = () => rmSync(dir, { recursive: true, force: true });
  const server = await startRedis({ args: [...tls, ...args] }).catch((error) => {
    remove();
    throw error;
  });
  const { stop } = server;
  return Object.assign(server, {
    tlsPort,
    tlsUrl: `rediss://${HOST}:${tlsPort}`,
    caFile,
    certFile,
    keyFile,
    async stop() {
      await stop();
      remove();
    },
  });
}

/**
 * Starts an endpoint that takes TLS and forwards to a server in plaintext.
 *
 * @param {{ host: string, port: number }} server
 * @param {import("node:tls").TlsOptions} options of the endpoint: its `cert`, `key` and what it requires of clients
 * @returns {Promise<{ port: number, names: (string | false)[], protocols: string[], stop: () => Promise<void> }>} `names` are
 *   those it was called by (SNI), and `protocols` the versions of TLS, one each per connection
 */
export async function startTlsEndpoint({ host, port }, options) {
  const [names, protocols, sockets] = [[], [], new Set()];
  const keep = (socket) => {
    sockets.add(socket);
    socket.on("error", () => {}).once("close", () => sockets.delete(socket));
  };
  const endpoint = createServer(options, (socket) => {
    names.push(socket.servername);
    protocols.push(socket.getProtocol());
    const upstream = createConnection({ host, port });
    keep(upstream);
    socket.on("error", () => {});
    socket.pipe(upstream).pipe(socket);
    socket.once("close", () => upstream.destroy());
    upstream.once("close", () => socket.destroy());
  });
  endpoint.on("connection", keep).on("tlsClientError", () => {});
  endpoint.listen(0, HOST);
  await once(endpoint, "listening");
  return {
    port: endpoint.address().port,
    names,
    protocols,
    async stop() {
      endpoint.close();
      for (const socket of sockets) socket.destroy();
      await once(endpoint, "close");
    },
  };
}
