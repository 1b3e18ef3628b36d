"use strict";
// `doctor`: a line for each thing that was looked at, and what to do.

const { asJson } = require("../units.js");

const SIGNS = {
  ok: ["✓", "green"],
  warning: ["⚠", "yellow"],
  problem: ["✗", "red"],
  skipped: ["·", "dim"],
};

async function doctor({ admin, values, out, signal }) {
  const { ok, checks } = await admin.doctor({ signal });
  if (values.json) {
    await out.line(asJson({ ok, checks }));
    return ok ? 0 : 1;
  }
  const width = Math.max(...checks.map(({ name }) => name.length));
  for (const { name, status, message, advice, server } of checks) {
    const [sign, colour] = SIGNS[status];
    const where = server === undefined ? "" : `${server}: `;
    await writeWrapped(out, `${out.style(colour, sign)} ${name.padEnd(width)}  `, width + 4, `${where}${message}`);
    if (advice !== undefined) await writeWrapped(out, " ".repeat(width + 4), width + 4, `→ ${advice}`);
  }
  return ok ? 0 : 1;
}

/** Text behind a beginning, on as many lines as the terminal needs. */
async function writeWrapped(out, beginning, indent, text) {
  const room = Math.max(20, out.width - indent);
  let line = "";
  let before = beginning;
  for (const word of text.split(" ")) {
    if (line !== "" && line.length + 1 + word.length > room) {
      await out.line(before + line);
      before = " ".repeat(indent);
      line = "";
    }
    line = line === "" ? word : `${line} ${word}`;
  }
  await out.line(before + line);
}

module.exports = { doctor };
