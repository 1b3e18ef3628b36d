// The HTTP service: its routes, its probes, and how it stops.
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { setTimeout as delay } from "node:timers/promises";
import { type RedisStore, RedisStoreError } from "@idioteque/redis";
import { SpanKind, SpanStatusCode, trace } from "@opentelemetry/api";
import { placeOrder } from "./orders.js";
import { DRAIN_MS } from "./settings.js";

const PING_MS = 500;
const tracer = trace.getTracer("orders");

type Answer = { status: number; body: unknown };

export interface Service {
  server: Server;
  /** Says that it is not ready, and stops when it has answered what has begun. */
  stop: () => Promise<void>;
}

export function createService(store: RedisStore): Service {
  let isStopping = false;

  const server = createServer(async (request, response) => {
    const answer = await respond(request).catch(failure);
    // Node.js closes connections that are idle, and these after their answer.
    if (isStopping) response.setHeader("connection", "close");
    send(response, answer);
  });

  async function respond(request: IncomingMessage): Promise<Answer> {
    const { pathname } = new URL(request.url ?? "/", "http://localhost");
    if (pathname === "/live") return { status: 200, body: { alive: true } };
    if (pathname === "/ready") return readiness();
    const [, id] = /^\/orders\/([\w-]+)$/.exec(pathname) ?? [];
    if (id === undefined) return { status: 404, body: { error: "There is no such page" } };
    if (request.method === "PUT") return inSpan("PUT /orders/{id}", async () => ok(await placeOrder(store, id)));
    if (request.method === "GET") return inSpan("GET /orders/{id}", async () => ok(await progressOf(id)));
    return { status: 405, body: { error: "An order can be placed (PUT) and looked at (GET)" } };
  }

  /** Whether this process should get requests. One that cannot reach Redis should not, but need not be restarted. */
  async function readiness(): Promise<Answer> {
    if (isStopping) return { status: 503, body: { ready: false, error: "It is stopping" } };
    try {
      return ok({ ready: true, milliseconds: await store.ping({ timeout: PING_MS }) });
    } catch (error) {
      return { status: 503, body: { ready: false, error: messageOf(error) } };
    }
  }

  async function progressOf(id: string) {
    return { results: await store.getExecutionTaskResults(id) };
  }

  async function stop() {
    isStopping = true;
    await delay(DRAIN_MS);
    const closed = once(server, "close");
    server.close();
    // Node.js 18 does not do that by itself.
    server.closeIdleConnections();
    await closed;
  }

  return { server, stop };
}

/** What an HTTP instrumentation would do: the span that the store's are under. */
function inSpan(name: string, action: () => Promise<Answer>): Promise<Answer> {
  return tracer.startActiveSpan(name, { kind: SpanKind.SERVER }, async (span) => {
    try {
      return await action();
    } catch (error) {
      span.setStatus({ code: SpanStatusCode.ERROR });
      throw error;
    } finally {
      span.end();
    }
  });
}

function ok(body: unknown): Answer {
  return { status: 200, body };
}

/** What the store could not do may be tried again: a step that has a result does not run again. */
function failure(error: unknown): Answer {
  console.error(error);
  if (error instanceof RedisStoreError) return { status: 503, body: { error: error.code } };
  return { status: 500, body: { error: "Something went wrong" } };
}

function send(response: ServerResponse, { status, body }: Answer) {
  response.writeHead(status, { "content-type": "application/json" }).end(`${JSON.stringify(body)}\n`);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
