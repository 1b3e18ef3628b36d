// What a new process loads until its first call is answered: each file and each module of Node.js takes time that somebody waits for.
import { expect, it } from "vitest";
import { printedBy } from "../support/child.mjs";
import { sharedRedis } from "../support/redis.mjs";

const { url, newId } = sharedRedis();

/** What a process prints as JSON that has loaded nothing but what it is given. */
const print = (code) =>
  JSON.parse(printedBy("commonjs", `const url = ${JSON.stringify(url)}, id = ${JSON.stringify(newId())};\n${code}`));

const FILES = `Object.keys(require.cache).map((path) => path.split(/[\\\\/]/).pop())`;

it("one file and the addon are loaded until then, and for a store's whole life where nobody subscribes", () => {
  const code = `
    const { createRedisStore } = require("@idioteque/redis");
    const store = createRedisStore(url);
    store.isExecutionInProgress(id).then(async () => {
      const first = ${FILES};
      setImmediate(async () => {
        await store.close();
        console.log(JSON.stringify([first, ${FILES}]));
      });
    });`;
  const files = ["index.js", expect.stringMatching(/\.node$/)];
  expect(print(code)).toEqual([files, files]);
});

it("of Node.js, neither streams nor messages nor channels are loaded for it", () => {
  const code = `
    for (const name of ["fs", "timers", "util"]) require("node:" + name);
    const before = new Set(process.moduleLoadList);
    const store = require("@idioteque/redis").createRedisStore(url);
    store.isExecutionInProgress(id).then(() => {
      const loaded = process.moduleLoadList.filter((name) => !before.has(name));
      store.close().then(() => console.log(JSON.stringify(loaded)));
    });`;
  expect(print(code).filter((name) => /stream|worker|messag|diagnostics_channel/.test(name))).toEqual([]);
});

it("who subscribes after the first answer is told from then on, and who did before of that too", () => {
  const code = (when) => `
    const store = require("@idioteque/redis").createRedisStore(url);
    const told = [];
    const subscribe = () => {
      const { channel } = require("node:diagnostics_channel");
      for (const name of ["ready", "closed"]) channel("idioteque-redis:" + name).subscribe(() => told.push(name));
    };
    if (${JSON.stringify(when)} === "before") subscribe();
    store.isExecutionInProgress(id).then(async () => {
      await new Promise(setImmediate);
      if (${JSON.stringify(when)} === "after") subscribe();
      await store.close();
      // The first event may have to wait for the file that publishes it.
      for (let turns = 0; turns < 100 && !told.includes("closed"); turns += 1) await new Promise(setImmediate);
      console.log(JSON.stringify(told));
    });`;
  expect(print(code("before"))).toEqual(["ready", "closed"]);
  expect(print(code("after"))).toEqual(["closed"]);
});
