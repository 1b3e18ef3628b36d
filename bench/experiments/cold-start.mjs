/**
 * From an unloaded contender to its first answered call, in new processes.
 */
import { execFile } from "node:child_process";
import { performance } from "node:perf_hooks";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { BASELINE, RIVALS } from "../rivals.mjs";
import { median } from "../statistics.mjs";

const PROGRAM = fileURLToPath(new URL("../workloads/cold-start.mjs", import.meta.url));

/** New processes per contender and round; their median counts. */
const STARTS = 3;

/** Milliseconds that a process may take before it is ended. */
const DEADLINE = 30_000;

/** @returns {import("../experiments.mjs").Experiment[]} */
export function coldStartExperiments() {
  const contenders = ["ours", BASELINE, ...RIVALS];
  return [
    {
      contenders,
      cases: [
        {
          name: "cold-start",
          title: "From loading to the first answered call, in a new process",
          figure: "firstAnswer",
          unit: "ms",
          better: "lower",
        },
        {
          name: "cold-start-process",
          title: "The whole life of a process that makes one call",
          figure: "process",
          unit: "ms",
          better: "lower",
        },
      ],
      // The first start finds the files on the disk, all later ones in the page cache.
      async setUp({ redis }) {
        for (const contender of contenders) await start(contender, redis.url);
      },
      async run(contender, { redis }) {
        const starts = [];
        for (let i = 0; i < STARTS; i += 1) starts.push(await start(contender, redis.url));
        return {
          firstAnswer: median(starts.map(({ firstAnswer }) => firstAnswer)),
          process: median(starts.map(({ process }) => process)),
        };
      },
    },
  ];
}

async function start(contender, url) {
  const began = performance.now();
  const { stdout } = await promisify(execFile)(process.execPath, [PROGRAM, contender, url], { timeout: DEADLINE });
  return { firstAnswer: Number(stdout), process: performance.now() - began };
}
