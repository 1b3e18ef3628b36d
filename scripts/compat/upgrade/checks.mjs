/**
 * Runs checks one after the other, each with a deadline, says what came of it, and counts.
 */
import { setTimeout as delay } from "node:timers/promises";

const DEADLINE_MS = 120_000;

/** @param {ReturnType<import("../../../tooling/terminal.mjs").createTerminal>} terminal */
export function createChecks(terminal) {
  const failures = [];
  let passed = 0;

  /**
   * @param {string} name
   * @param {() => unknown} run rejects when it does not hold
   */
  async function check(name, run) {
    const late = new AbortController();
    const deadline = delay(DEADLINE_MS, undefined, { signal: late.signal }).then(() => {
      throw new Error(`did not end within ${DEADLINE_MS / 1000} s`);
    });
    deadline.catch(() => {});
    try {
      await Promise.race([Promise.resolve().then(run), deadline]);
      passed += 1;
      terminal.line(`  ${terminal.green("✓")} ${name}`);
    } catch (error) {
      failures.push(name);
      terminal.line(`  ${terminal.red("✗")} ${name}\n${indented(error.message)}`);
    } finally {
      late.abort();
    }
  }

  return { check, counts: () => ({ passed, failed: failures.length }) };
}

function indented(text) {
  return String(text).replace(/^/gm, "      ");
}
