/**
 * A collector that takes in what is sent to it over OTLP, without understanding it.
 */
import { once } from "node:events";
import { createServer } from "node:http";
import { gunzipSync } from "node:zlib";

/**
 * Starts it on a free port of the loopback interface.
 *
 * @returns {Promise<{
 *   url: string,
 *   received: (path: string) => string,
 *   requests: (path: string) => object[],
 *   stop: () => Promise<void>,
 * }>} `received` is all that came to a path such as `/v1/traces`: names are in it as they are, also in the binary encoding;
 *   `requests` is what came there as JSON
 */
export async function startCollector() {
  const bodies = new Map();
  const server = createServer(async (request, response) => {
    const chunks = await request.toArray();
    const body = Buffer.concat(chunks);
    const text = (request.headers["content-encoding"] === "gzip" ? gunzipSync(body) : body).toString("latin1");
    bodies.set(request.url, [...(bodies.get(request.url) ?? []), text]);
    response.writeHead(200, { "content-type": request.headers["content-type"] }).end();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    received: (path) => (bodies.get(path) ?? []).join(""),
    requests: (path) => (bodies.get(path) ?? []).map((text) => JSON.parse(text)),
    async stop() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}
