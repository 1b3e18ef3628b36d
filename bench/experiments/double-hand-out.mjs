/**
 * A queue delivers at least once: now and then two processes get the same message at nearly the same time, and both hand out its
 * next step. How often depends on how old the answer is by which each of them does.
 */
import { randomUUID } from "node:crypto";
import { performance } from "node:perf_hooks";
import { startProxy } from "../proxy.mjs";
import { BASELINE } from "../rivals.mjs";
import { runContender } from "../run-contender.mjs";

/** Milliseconds that the caller works between an answer and its next question. */
const WORK = [0, 1, 3, 10];
/** Milliseconds that the network takes each way, of which each is a round of its own. */
const DELAYS = [0, 1];
/** The most milliseconds between the two arrivals of a message. */
const APART = 6;
/** Milliseconds before the first message, in which the executions begin, and from one to the next besides the work. */
const [LEAD, INTERVAL] = [500, 25];

/**
 * @param {import("../experiments.mjs").Settings} settings
 * @returns {import("../experiments.mjs").Experiment[]}
 */
export function doubleHandOutExperiments({ quick }) {
  const count = quick ? 100 : 300;
  const experiment = (ours, work, name, title) => ({
    contenders: [ours, BASELINE],
    ours,
    cases: DELAYS.map((delay) => ({
      name: `double-hand-out-${name}${delay > 0 ? "-network" : ""}`,
      title: `Steps handed out twice in ${count}, ${title}, ${delay} ms each way`,
      figure: `delay${delay}`,
      unit: "steps",
      better: "lower",
    })),
    async run(contender, { redis }) {
      const figures = {};
      for (const delay of DELAYS) figures[`delay${delay}`] = await runTwo(contender, redis, { work, delay, count });
      return figures;
    },
  });
  return [
    ...WORK.map((work) => experiment("ours", work, `${work}-ms`, `${work} ms of the caller's work`)),
    experiment("ours-claim", 0, "claim", "with claim"),
  ];
}

/** Runs two processes of a contender, and counts the trials in which both have handed out the step. */
async function runTwo(contender, redis, { work, delay, count }) {
  const proxy = delay > 0 ? await startProxy(redis, delay) : undefined;
  try {
    const gate = createGate(2, () => planTrials(count, work));
    const handedOut = await Promise.all(
      [0, 1].map(async (side) => {
        const params = { work, name: randomUUID() };
        const job = { contender, url: proxy?.url ?? redis.url, workload: "doubleHandOut", params };
        const figures = await runContender(job, async () => ({ trials: (await gate())[side] }));
        return new Set(figures.handedOut);
      }),
    );
    const [first, second] = handedOut;
    const twice = [...first].filter((trial) => second.has(trial)).length;
    // A case is a ratio, which is not divided by none at all. With `claim`, none are expected.
    return contender === "ours-claim" ? twice : Math.max(1, twice);
  } finally {
    await proxy?.close();
  }
}

/** Each caller waits until all have come, and then gets the same. */
function createGate(count, make) {
  let open;
  const opened = new Promise((resolve) => {
    open = resolve;
  });
  let waiting = 0;
  return () => {
    waiting += 1;
    if (waiting === count) open(make());
    return opened;
  };
}

/** When each message arrives at the two processes, first at the one or at the other. */
function planTrials(count, work) {
  const begin = performance.timeOrigin + performance.now() + LEAD;
  const sides = [[], []];
  for (let trial = 0; trial < count; trial += 1) {
    const [id, at] = [randomUUID(), begin + trial * (INTERVAL + work) + Math.random()];
    const later = Math.random() < 0.5 ? 0 : 1;
    const apart = Math.random() * APART;
    for (const side of [0, 1]) sides[side].push({ id, at: side === later ? at + apart : at });
  }
  return sides;
}
