/**
 * Clients of Upstash and Vercel KV, one row for each that the contract is checked on.
 */
import { Redis } from "@upstash/redis";
import { createClient, kv } from "@vercel/kv";

const address = ({ rest }) => ({ url: rest.url, token: rest.token, enableTelemetry: false });

const SETTINGS = [
  ["", {}],
  [" without automatic deserialisation", { automaticDeserialization: false }],
  [" with plain answers", { responseEncoding: false }],
  [" without auto-pipelining", { enableAutoPipelining: false }],
  [" without read-your-writes", { readYourWrites: false }],
  [" that never tries again", { retry: false }],
  [" with a signal", { signal: () => AbortSignal.timeout(60_000) }],
];

function withMiddleware(redis) {
  redis.use?.((request, next) => next(request));
  return redis;
}

/** Somebody else's way to the endpoint: `fetch`, and nothing decoded on the way. */
function requester({ rest }) {
  return {
    async request({ path = [], body }) {
      const response = await fetch([rest.url, ...path].join("/"), {
        method: "POST",
        headers: { authorization: `Bearer ${rest.token}` },
        body: JSON.stringify(body),
      });
      const answer = await response.json();
      if (!response.ok) throw new Error(answer.error);
      return answer;
    },
  };
}

/** @type {import("./inputs.mjs").Input[]} */
export const UPSTASH_INPUTS = [
  { name: "an Upstash configuration", make: ({ rest: { url, token } }) => ({ url, token }) },
  {
    name: "an Upstash configuration that insists",
    options: { connection: "native" },
    make: ({ rest: { url, token } }) => ({ url: new URL(url).href, token, readYourWrites: false }),
  },
  {
    name: "Upstash, adopted without read-ahead",
    options: { connection: "native", readAhead: false },
    make: (servers) => new Redis(address(servers)),
  },
  ...SETTINGS.map(([label, settings]) => ({
    name: `Upstash${label}`,
    make: (servers) => new Redis({ ...address(servers), ...settings }),
  })),
  {
    name: "Upstash, told to use it",
    options: { connection: "client" },
    make: (servers) => new Redis(address(servers)),
  },
  { name: "Upstash with middleware", make: (servers) => withMiddleware(new Redis(address(servers))) },
  { name: "Upstash with a requester", make: (servers) => new Redis(requester(servers)) },
  { name: "Vercel KV", make: (servers) => createClient(address(servers)) },
  {
    name: "Vercel KV from the environment",
    make({ rest }) {
      process.env.KV_REST_API_URL = rest.url;
      process.env.KV_REST_API_TOKEN = rest.token;
      return kv;
    },
  },
].map((input) => ({ backend: "upstash", at: "url", end: () => {}, ...input }));
