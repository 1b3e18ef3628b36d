#!/usr/bin/env node
"use strict";
// The command line, `idioteque-redis`. Plain enough for every Node.js that the store runs on, to say which one it needs itself.

const NEEDED = [20, 12];
const [major, minor] = process.versions.node.split(".").map(Number);
if (major < NEEDED[0] || (major === NEEDED[0] && minor < NEEDED[1])) {
  console.error(`idioteque-redis needs Node.js ${NEEDED.join(".")} or later, and this is ${process.versions.node}.`);
  process.exitCode = 2;
} else {
  require("./run.js").run(process.argv.slice(2));
}
