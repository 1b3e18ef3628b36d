/**
 * An HTTP endpoint with Upstash's REST protocol over a real Redis server: single commands, `/pipeline` and
 * `/multi-exec`, bearer tokens, base64 answers, sync tokens, errors, and failures on purpose.
 *
 * https://upstash.com/docs/redis/features/restapi
 */
import { timingSafeEqual } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";
import { createSecureServer as createHttp2Server } from "node:http2";
import { createServer as createSecureServer } from "node:https";
import { setTimeout as delay } from "node:timers/promises";
import { Redis } from "ioredis";
import { secret } from "../secrets.mjs";

const HOST = "127.0.0.1";

/** A request larger than this is refused, as Upstash does with its own limit. */
const MAX_BODY_BYTES = 64 * 1024 * 1024;

/**
 * @typedef {object} Fault what happens to one request
 * @property {number} [delay] milliseconds that the answer is held back
 * @property {Promise<void>} [stall] what the answer waits for behind the reply to the first command; cut if it rejects
 * @property {"before" | "after"} [cut] the connection is cut before the commands are carried out, or after
 * @property {number} [status] answered with this status, such as 429; the commands are not carried out
 * @property {string} [error] the error in that answer
 * @property {string} [body] the whole body of that answer, instead of `{ "error": … }`
 * @property {Record<string, string>} [headers] headers of that answer, such as `retry-after`
 *
 * @typedef {object} RestRequest
 * @property {string} path
 * @property {import("node:http").IncomingHttpHeaders} headers
 * @property {unknown} body the parsed JSON
 * @property {string} httpVersion such as `"1.1"`
 *
 * @typedef {object} RestEndpoint
 * @property {string} url
 * @property {string} token
 * @property {RestRequest[]} requests all that came in with the right token, oldest first
 * @property {string} syncToken the last one that was given out
 * @property {number} syncTokenBytes the least length of those to come
 * @property {number} connections how many were ever made
 * @property {(...faults: Fault[]) => void} inject the next requests meet these, one each
 * @property {() => void} clearFaults drops those that no request has met
 * @property {() => Promise<void>} stop
 */

/**
 * Starts an endpoint on a free port of the loopback interface.
 *
 * @param {object} options
 * @param {string} options.redisUrl the server that carries out the commands
 * @param {string} [options.token]
 * @param {{ key: string | Buffer, cert: string | Buffer }} [options.tls] makes it `https://`
 * @param {boolean} [options.http2] with `tls`, offers HTTP/2 too
 * @param {number} [options.port]
 * @param {boolean} [options.transactions] whether it has `/multi-exec`
 * @param {number} [options.latency] milliseconds that every request and every answer is held back
 * @returns {Promise<RestEndpoint>}
 */
export async function startRestEndpoint({
  redisUrl,
  token = secret("token"),
  tls,
  http2 = false,
  port = 0,
  latency = 0,
  transactions = true,
}) {
  const redis = new Redis(redisUrl, { lazyConnect: true });
  const faults = [];
  const endpoint = {
    url: "",
    token,
    requests: [],
    syncToken: "",
    syncTokenBytes: 0,
    connections: 0,
    inject,
    clearFaults,
    stop,
  };
  const sockets = new Set();
  let answered = 0;

  function inject(...more) {
    faults.push(...more);
  }

  function clearFaults() {
    faults.length = 0;
  }

  async function handle(request, response) {
    const text = await readBody(request);
    if (!sameText(request.headers.authorization, `Bearer ${token}`)) throw new RestError("Unauthorized", 401);
    if (request.method !== "POST") throw new RestError("ERR only POST is supported here", 405);
    const body = parse(text);
    // A proxy is asked for the whole URL.
    const path = new URL(request.url, "http://endpoint").pathname;
    endpoint.requests.push({ path, headers: request.headers, body, httpVersion: request.httpVersion });

    const fault = faults.shift() ?? {};
    if (fault.cut === "before") return cut(request);
    if (latency > 0) await delay(latency);
    if (fault.delay !== undefined) await delay(fault.delay);
    if (fault.status !== undefined) {
      for (const [name, value] of Object.entries(fault.headers ?? {})) response.setHeader(name, value);
      return send(response, fault.status, fault.body ?? JSON.stringify({ error: fault.error ?? "ERR injected" }));
    }
    const encoding = request.headers["upstash-encoding"] === "base64" ? "base64" : "utf8";
    if (path === "/multi-exec" && !transactions) throw new RestError(`ERR unknown path ${path}`, 404);
    const answer = await carryOut(redis, path, body, encoding);
    if (fault.cut === "after") return cut(request);
    if (latency > 0) await delay(latency);
    answered += 1;
    endpoint.syncToken = `local=${answered}`.padEnd(endpoint.syncTokenBytes, "0");
    response.setHeader("upstash-sync-token", endpoint.syncToken);
    const json = JSON.stringify(answer);
    if (fault.stall) {
      const first = Array.isArray(answer) ? JSON.stringify(answer[0]).length + 1 : 0;
      response.writeHead(200, { "content-type": "application/json" }).write(json.slice(0, first));
      await fault.stall.catch(() => cut(request));
      return void response.end(json.slice(first));
    }
    send(response, 200, json);
  }

  const listener = (request, response) =>
    handle(request, response).catch((error) => {
      const status = error instanceof RestError ? error.status : 400;
      send(response, status, JSON.stringify({ error: error.message }));
    });
  const server = http2
    ? createHttp2Server({ ...tls, allowHTTP1: true }, listener)
    : tls
      ? createSecureServer(tls, listener)
      : createServer(listener);
  server.on("connection", (socket) => {
    endpoint.connections += 1;
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
  });

  async function stop() {
    server.close();
    for (const socket of sockets) socket.destroy();
    await once(server, "close");
    redis.disconnect();
  }

  server.listen(port, HOST);
  await once(server, "listening");
  endpoint.url = `${tls ? "https" : "http"}://${HOST}:${server.address().port}`;
  return endpoint;
}

class RestError extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

/** Ends the connection that a request came over. With HTTP/2, its others go down with it. */
function cut(request) {
  (request.stream?.session ?? request.socket).destroy();
}

async function carryOut(redis, path, body, encoding) {
  const encode = (reply) => encodeReply(reply, encoding);
  if (path === "/") {
    const [name, ...args] = checkCommand(body);
    return { result: encode(await redis.callBuffer(name, ...args)) };
  }
  if (path !== "/pipeline" && path !== "/multi-exec") throw new RestError(`ERR unknown path ${path}`, 404);
  if (!Array.isArray(body)) throw new RestError("ERR failed to parse pipeline request", 400);
  const queue = path === "/pipeline" ? redis.pipeline() : redis.multi();
  for (const command of body) {
    const [name, ...args] = checkCommand(command);
    queue.callBuffer(name, ...args);
  }
  const replies = await queue.exec();
  return replies.map(([error, reply]) => (error ? { error: error.message } : { result: encode(reply) }));
}

function checkCommand(command) {
  const wellFormed = Array.isArray(command) && command.length > 0;
  if (!wellFormed || !command.every((part) => typeof part === "string" || typeof part === "number")) {
    throw new RestError("ERR failed to parse command", 400);
  }
  // In capitals, because of answers to names in small letters ioredis makes something of its own.
  const [name, ...args] = command.map(String);
  return [name.toUpperCase(), ...args];
}

/** Strings in the encoding that was asked for, except a bare `OK`; numbers and null as they are. */
function encodeReply(reply, encoding) {
  if (Array.isArray(reply)) return reply.map((item) => encodeReply(item, encoding));
  if (typeof reply === "string") return encodeReply(Buffer.from(reply), encoding);
  if (!Buffer.isBuffer(reply)) return reply;
  const text = reply.toString("utf8");
  return text === "OK" ? text : reply.toString(encoding);
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new RestError(`ERR failed to parse JSON body: ${error.message}`, 400);
  }
}

async function readBody(request) {
  const chunks = [];
  let size = 0;
  for await (const chunk of request) {
    size += chunk.length;
    if (size > MAX_BODY_BYTES) throw new RestError("ERR max request size exceeded", 413);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

function sameText(one, other) {
  const [a, b] = [Buffer.from(one ?? ""), Buffer.from(other)];
  return a.length === b.length && timingSafeEqual(a, b);
}

function send(response, status, body) {
  if (response.destroyed) return;
  response.writeHead(status, { "content-type": "application/json" }).end(body);
}
