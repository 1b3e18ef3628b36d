/**
 * The demo tells the truth: its run survives the kill, and its checks notice when something is wrong.
 */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import { runScenario } from "../../examples/demo/scenario.mjs";
import { createTimeline } from "../../examples/demo/timeline.mjs";
import { verify } from "../../examples/demo/verify.mjs";
import { priceOf, SAMPLE_ORDER, STEPS, taskId } from "../../examples/order-workflow.mjs";
import { createTerminal } from "../../tooling/terminal.mjs";
import { sharedRedis } from "../support/redis.mjs";

const { url, admin } = sharedRedis();

test.each(["ISOLATED", "UNTIL_ERROR"])("an order survives kill -9 in mode %s", async (mode) => {
  let shown = "";
  const terminal = createTerminal({
    write: (text) => {
      shown += text;
    },
  });
  const checks = await runScenario({ mode, url, redis: admin, timeline: createTimeline(terminal) });

  expect(checks.filter(({ ok }) => !ok)).toEqual([]);
  for (const step of STEPS) expect(shown).toContain(`✓ ${step}`);
  expect(shown).toContain("kill -9");
  expect(shown).toContain("nothing left");
});

test("--help says what it does and how to name a server", async () => {
  const demo = fileURLToPath(new URL("../../examples/demo.mjs", import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, [demo, "--help"]);
  expect(stdout).toContain("npm run demo -- --redis");
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
        marks: [taskId(), taskId(fatalStep)],
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
    ["a mark too many", (run) => run.before.marks.push(taskId("validate-order"))],
    ["another payment in the end", (run) => Object.assign(run.journal.at(-1).value, { payment: "P-2" })],
    ["a worker that was not killed", (run) => Object.assign(run.first, { signal: null, code: 0 })],
    ["a second worker that failed", (run) => Object.assign(run.second, { code: 1 })],
    ["a key that is left", (run) => Object.assign(run, { keysLeft: 1 })],
    ["a message that is left", (run) => Object.assign(run, { messagesLeft: 1 })],
  ])("notice %s", (_what, spoil) => {
    expect(failedClaims(spoil)).toHaveLength(1);
  });
});
