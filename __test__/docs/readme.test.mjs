/**
 * The README's first program, as a newcomer has it: the file alone, killed in the middle and started again, prints what the
 * README says.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { Redis } from "ioredis";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ROOT } from "../../tooling/setup.mjs";
import { allDocuments } from "../support/document.mjs";
import { privateRedis } from "../support/redis.mjs";

const DEADLINE_MS = 30_000;
const { blocks } = allDocuments().find(({ path }) => path === "README.md");
const program = blocks.find(({ title }) => title === "order.mjs");
const session = blocks.find(({ language }) => language === "console");

let server;
let admin;
let dir;

beforeAll(async () => {
  server = await privateRedis();
  admin = new Redis(server.url);
  // Inside of the checkout the package is found by its name.
  mkdirSync(join(ROOT, "target"), { recursive: true });
  dir = mkdtempSync(join(ROOT, "target", "readme-"));
  writeFileSync(join(dir, program.title), program.code);
});

afterAll(() => {
  admin.disconnect();
  rmSync(dir, { recursive: true, force: true });
});

/** Runs the program to its end, or until it has printed a line, at which it is killed; resolves with what it printed. */
async function run(lastLine) {
  const env = { ...process.env, REDIS_URL: server.url };
  const child = spawn(process.execPath, [program.title], {
    cwd: dir,
    env,
    timeout: DEADLINE_MS,
    killSignal: "SIGKILL",
  });
  const ended = once(child, "exit");
  let errors = "";
  child.stderr.setEncoding("utf8").on("data", (text) => {
    errors += text;
  });
  const printed = [];
  for await (const line of createInterface({ input: child.stdout })) {
    printed.push(line);
    if (line === lastLine) child.kill("SIGKILL");
  }
  const [code, signal] = await ended;
  expect(errors).toBe("");
  expect({ code, signal }).toEqual(
    lastLine === undefined ? { code: 0, signal: null } : { code: null, signal: "SIGKILL" },
  );
  return printed;
}

test("the first program goes on where it was killed", { timeout: 2 * DEADLINE_MS }, async () => {
  const [before, first, second] = session.code.split(`$ node ${program.title}\n`).map((text) => text.split("\n"));
  expect(before).toEqual([""]);
  const [shown, goesOn] = [first, second].map((lines) => lines.filter(Boolean));

  expect(await run(shown.at(-1))).toEqual(shown);
  expect(await admin.exists("order-1042", "order-1042-results")).toBe(2);
  expect(await run()).toEqual(goesOn);
  expect(await admin.dbsize()).toBe(0);
});
