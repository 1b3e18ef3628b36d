// The worker's contract over TLS: a URL, configuration objects, and instances whose settings are adopted.
import { readFileSync } from "node:fs";
import { afterAll, beforeAll } from "vitest";
import { createAuthority } from "../../tooling/servers/certificates.mjs";
import { startTlsRedis } from "../../tooling/servers/tls.mjs";
import { describeContract } from "../support/contract.mjs";
import { sharedRedis } from "../support/redis.mjs";
import { TLS_INPUTS } from "../support/tls-inputs.mjs";

const { newId } = sharedRedis();
const before = process.env.NODE_EXTRA_CA_CERTS;
let server;
let servers;

beforeAll(async () => {
  server = await startTlsRedis(createAuthority());
  process.env.NODE_EXTRA_CA_CERTS = server.caFile;
  servers = { url: server.url, tlsUrl: server.tlsUrl, tlsPort: server.tlsPort, ca: readFileSync(server.caFile) };
});

afterAll(async () => {
  if (before === undefined) delete process.env.NODE_EXTRA_CA_CERTS;
  else process.env.NODE_EXTRA_CA_CERTS = before;
  await server?.stop();
});

describeContract(TLS_INPUTS, () => servers, newId);
