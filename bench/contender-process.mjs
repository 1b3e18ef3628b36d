/**
 * The process of one contender for one round: opens its store, runs one workload, and sends the figures to the parent.
 * A process of its own keeps event-loop time, CPU time, memory and compiled code apart.
 */
import { contenders } from "./rivals.mjs";
import { bareSocket } from "./workloads/bare-socket.mjs";
import { besideLarge } from "./workloads/beside-large.mjs";
import { doubleHandOut } from "./workloads/double-hand-out.mjs";
import { kills } from "./workloads/kills.mjs";
import { memory, memoryOfResults } from "./workloads/memory.mjs";
import { recordable } from "./workloads/recordable.mjs";
import { results } from "./workloads/results.mjs";
import { latency, throughput } from "./workloads/throughput.mjs";
import { workflow } from "./workloads/workflow.mjs";

const workloads = {
  bareSocket,
  besideLarge,
  doubleHandOut,
  kills,
  latency,
  memory,
  memoryOfResults,
  recordable,
  results,
  throughput,
  workflow,
};

/** Reports to the parent that a phase was reached and waits for its reply. */
function phase(name) {
  const proceed = new Promise((resolve) => process.once("message", resolve));
  process.send({ phase: name });
  return proceed;
}

// The parent that would take the figures has ended.
process.once("disconnect", () => process.exit(1));

process.once("message", async ({ contender, url, options, workload, params }) => {
  try {
    // A workload without a contender brings its own socket.
    const open = (server) => contenders[contender].open(server, options);
    const opened = contender === undefined ? undefined : await open(url);
    const figures = await workloads[workload]({ store: opened?.store, open, url, phase }, params);
    await opened?.close();
    process.send({ figures }, () => process.exit(0));
  } catch (error) {
    console.error(error);
    process.exit(1);
  }
});
