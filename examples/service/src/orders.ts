// An order in three steps. The result of each is committed before the next one begins, so that an order that was interrupted goes on
// where it was, in whichever process it is placed again.
import { setTimeout as delay } from "node:timers/promises";
import type { RedisStore } from "@idioteque/redis";
import { STEP_MS } from "./settings.js";

const STEPS: Record<string, () => Promise<unknown>> = {
  "check-stock": () => outcome({ inStock: true }),
  "charge-payment": () => outcome({ payment: "P-1" }),
  "ship-parcel": () => outcome({ parcel: "C-1" }),
};

export interface Progress {
  /** The results by step. */
  results: Record<string, unknown>;
  /** The steps that ran now, and not before. */
  ran: string[];
}

export async function placeOrder(store: RedisStore, id: string): Promise<Progress> {
  await store.beginExecution(id);
  const results = await store.getExecutionTaskResults(id);
  const ran: string[] = [];
  for (const [step, run] of Object.entries(STEPS)) {
    if (step in results) continue;
    await store.beginExecutionTask(id, step);
    results[step] = await run();
    await store.commitExecutionTaskResult(id, step, results[step]);
    ran.push(step);
  }
  return { results, ran };
}

/** What a real service answers after a while. */
async function outcome<T>(result: T): Promise<T> {
  await delay(STEP_MS);
  return result;
}
