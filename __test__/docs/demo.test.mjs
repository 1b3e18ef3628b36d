/**
 * The demo: its run survives the kill, and its checks fail when something is wrong.
 */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import { priceOf, SAMPLE_ORDER, STEPS, taskId } from "../../tooling/workflow/order-workflow.mjs";
import { verify } from "../../tooling/workflow/verify.mjs";
import { sharedRedis } from "../support/redis.mjs";

const { url } = sharedRedis();
const DEADLINE_MS = 60_000;
const demo = fileURLToPath(new URL("../../examples/demo.mjs", import.meta.url));

/** Runs the demo and returns what it prints; rejects when it fails. */
async function runDemo(...flags) {
  const { stdout } = await promisify(execFile)(process.execPath, [demo, ...flags], { timeout: DEADLINE_MS });
  return stdout;
}

test(
  "an order survives kill -9 in both modes",
  async () => {
    const shown = await runDemo("--no-setup", "--redis", url);
    for (const step of STEPS) expect(shown.split(`✓ ${step}`), step).toHaveLength(3);
    expect(shown.split("kill -9").length).toBeGreaterThan(2);
    expect(shown.split("nothing left")).toHaveLength(3);
    expect(shown).toContain("Both orders were completed.");
  },
  DEADLINE_MS,
);

test("--help says what it does and how to name a server", async () => {
  expect(await runDemo("--help")).toContain("npm run demo -- --redis");
});

describe("the checks", () => {
  const fatalStep = "create-invoice";
  const firstSteps = STEPS.slice(0, STEPS.indexOf(fatalStep));
  const charge = { payment: "P-1" };

  /** A run as it should be, with something wrong with it. */
  function failedClaims(spoil) {
    const entry = (event, pid, step) =>
      event === "commit" ? { event, pid, taskId: taskId(step) } : { event, pid, step };
    const run = {
      fatalStep,
      first: { pid: 1, signal: "SIGKILL", code: null },
      second: { pid: 2, signal: null, code: 0 },
      before: {
        execution: "true",
        tasksInProgress: [taskId(), taskId(fatalStep)],
        results: Object.fromEntries(
          firstSteps.map((step) => [taskId(step), step === "charge-payment" ? charge : { step }]),
        ),
      },
      journal: [
        ...STEPS.flatMap((step) => {
          const pid = firstSteps.includes(step) ? 1 : 2;
          return [entry("start", pid, step), entry("commit", pid, step)];
        }),
        {
          ...entry("commit", 2),
          value: {
            order: SAMPLE_ORDER.number,
            total: priceOf(SAMPLE_ORDER).total,
            payment: charge.payment,
            chargedByProcess: 1,
          },
        },
      ],
      keysLeft: 0,
      messagesLeft: 0,
    };
    run.journal.splice(2 * firstSteps.length, 0, entry("start", 1, fatalStep));
    spoil(run, entry);
    return verify(run)
      .filter(({ ok }) => !ok)
      .map(({ claim }) => claim);
  }

  test("pass a run as it should be", () => {
    expect(failedClaims(() => {})).toEqual([]);
  });

  test.each([
    ["a committed step that ran again", (run, entry) => run.journal.push(entry("start", 2, "charge-payment"))],
    ["a step that was committed twice", (run, entry) => run.journal.push(entry("commit", 2, "charge-payment"))],
    ["a lost result", (run) => delete run.before.results[taskId("validate-order")]],
    ["a task too many in progress", (run) => run.before.tasksInProgress.push(taskId("validate-order"))],
    ["another payment in the end", (run) => Object.assign(run.journal.at(-1).value, { payment: "P-2" })],
    ["a worker that was not killed", (run) => Object.assign(run.first, { signal: null, code: 0 })],
    ["a second worker that failed", (run) => Object.assign(run.second, { code: 1 })],
    ["a key that is left", (run) => Object.assign(run, { keysLeft: 1 })],
    ["a message that is left", (run) => Object.assign(run, { messagesLeft: 1 })],
  ])("notice %s", (_what, spoil) => {
    expect(failedClaims(spoil)).toHaveLength(1);
  });
});
