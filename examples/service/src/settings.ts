// What the environment says. The store reads its own part itself: `REDIS_URL`, or the names of Upstash and Vercel KV.

/** Where the service listens. */
export const PORT = numberOf("PORT", 3000);

/** How long it goes on serving, while it says that it is not ready, before it stops: until no load balancer sends anything more. */
export const DRAIN_MS = numberOf("DRAIN_MS", 0);

/** When it ends at the latest, counted from the signal. Shorter than what the platform allows: 30 seconds in Kubernetes. */
export const SHUTDOWN_MS = numberOf("SHUTDOWN_MS", 20_000);

/** How long it waits, when it ends, for what was recorded to be sent. */
export const FLUSH_MS = numberOf("FLUSH_MS", 2_000);

/** How long each step of an order takes. */
export const STEP_MS = numberOf("STEP_MS", 50);

function numberOf(name: string, usual: number): number {
  const text = process.env[name];
  const value = text === undefined || text === "" ? usual : Number(text);
  if (!Number.isSafeInteger(value) || value < 0) throw new Error(`${name} must be a number, got ${text}`);
  return value;
}
