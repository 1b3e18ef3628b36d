// Worker threads that are terminated with calls in flight, on every Node.js release that is supported: the full suite
// brings them along.
import { describe, expect, it } from "vitest";
import { startScript } from "../support/child.mjs";
import { countConnections } from "../support/connections.mjs";
import { ioredisConfiguration } from "../support/inputs.mjs";
import { eventually, sharedRedis } from "../support/redis.mjs";
import { note, times } from "../support/scale.mjs";
import { BUSY_WORKER, WORKERS } from "../support/worker-threads.mjs";

const { url, admin, newId } = sharedRedis();
/** Paths of runtimes, by what they call themselves. */
const runtimes = JSON.parse(process.env.FAULTS_RUNTIMES ?? JSON.stringify({ [process.version]: process.execPath }));

describe("worker threads that are terminated with calls in flight", () => {
  it.each(Object.entries(runtimes))(
    "do no harm on Node %s, many in a row at any stage, and free their connections while the main thread's goes on",
    async (version, node) => {
      const count = times(50, 200);
      const id = newId();
      const configuration = { ...ioredisConfiguration(url), connectionName: id };
      const args = { busyWorker: BUSY_WORKER, id, configuration, count, finished: newId("finished") };
      const script = `${WORKERS}
      const { configuration, id } = args;
      const store = createRedisStore(configuration);
      await store.beginExecution(id);
      let calls = 0;
      for (let index = 0; index < args.count; index++) {
        // Every other one shares the main thread's connection.
        const connectionName = index % 2 ? configuration.connectionName : id + "-worker";
        const worker = startWorker({ configuration: { ...configuration, connectionName }, id: id + "-" + index });
        worker.on("message", () => calls++);
        await (index % 5 ? answered(worker, (index % 50) ** 2) : once(worker, "online"));
        const inFlight = store.isExecutionInProgress(id);
        await worker.terminate();
        if (!(await inFlight)) throw new Error("the main thread got a wrong answer");
      }
      console.log(JSON.stringify({ calls, version: process.version }));
      console.log("terminated");
      // Its connections are looked at before it ends.
      while (!(await store.isExecutionInProgress(args.finished)));
    `;
      const child = startScript(script, { args, node, deadline: times(50_000, 400_000) });
      const connections = () =>
        Promise.all([args.id, `${args.id}-worker`].map((name) => countConnections(admin, name)));
      await child.printed("terminated");
      await eventually(async () => (await connections()).join() === "1,0", { message: "the end of the connections" });
      await admin.set(args.finished, "true");
      const outcome = await child.ended;
      expect(outcome, outcome.errors).toMatchObject({ code: 0 });
      await eventually(async () => (await connections()).join() === "0,0", {
        message: "the end of the last connection",
      });
      const found = JSON.parse(outcome.lines[0]);
      expect(found.version).toBe(version);
      note({
        scenario: `worker threads terminated mid-load, Node ${version}`,
        done: `${count} terminations, ${found.calls} pairs of calls answered before`,
        found: "0 crashes, 0 wrong answers, 0 connections left",
        promise: "0",
      });
    },
  );
});
