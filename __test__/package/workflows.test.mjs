// The workflows are well-formed, as actionlint sees it, and name every action by the commit of a release.
import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { ROOT } from "../../tooling/setup.mjs";

const WORKFLOWS = join(ROOT, ".github", "workflows");

/** What, in what place, what instead, and what is said of it. */
const DEFECTS = [
  ["a key that there is not", /timeout-minutes: (\d+)/, "timeout-minute: $1", 'unexpected key "timeout-minute"'],
  ["a job that there is not", /needs: stage/, "needs: staging", 'needs job "staging"'],
  ["a runner that there is not", /runs-on: ubuntu-24.04/, "runs-on: ubuntu-24.40", 'label "ubuntu-24.40" is unknown'],
  ["a tag", /upload-artifact@[0-9a-f]{40} # (v\S+)/, "upload-artifact@$1", "VERSION: actions/upload-artifact@v"],
  ["no version", /(setup-qemu-action@[0-9a-f]{40}) # v\S+/, "$1", "VERSION: docker/setup-qemu-action@"],
  ["two versions", /(setup-node@)[0-9a-f]{8}/, "$100000000", "another version than elsewhere: actions/setup-node"],
];

describe("the workflows", () => {
  it("have no findings", () => {
    expect(lint(WORKFLOWS)).toMatchObject({ status: 0, stderr: "", stdout: expect.stringContaining(": 0 findings") });
  });

  it("would not pass with any of these", () => {
    const folder = mkdtempSync(join(tmpdir(), "idioteque-workflows-"));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    cpSync(WORKFLOWS, folder, { recursive: true });
    const file = join(folder, "release.yml");
    let text = readFileSync(file, "utf8");
    for (const [what, from, to] of DEFECTS) {
      expect(text, what).toMatch(from);
      text = text.replace(from, to);
    }
    writeFileSync(file, text);
    // One run for all: the linter is compiled anew in each.
    const { status, stderr } = lint(folder);
    expect(status).toBe(1);
    for (const [what, , , message] of DEFECTS) expect(stderr, what).toContain(message);
  });
});

describe("the release workflow", () => {
  const text = readFileSync(join(WORKFLOWS, "release.yml"), "utf8");

  it("builds an addon for each target, and only the job that publishes may write", () => {
    const { napi } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
    expect(napi.targets.filter((target) => !text.includes(target))).toEqual([]);
    expect(text.match(/: write$/gm)).toEqual([": write"]);
    expect(text.indexOf("id-token: write")).toBeGreaterThan(text.indexOf("  publish:\n"));
  });
});

function lint(folder) {
  const script = join(ROOT, "scripts", "check", "workflows.mjs");
  return spawnSync(process.execPath, [script, folder], { encoding: "utf8", timeout: 60_000 });
}
