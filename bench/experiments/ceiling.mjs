/**
 * How near the server's own limit we come: what our store sent, replayed by a bare pipelining socket.
 */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { RespFramer } from "../../tooling/resp.mjs";
import { startProxy } from "../proxy.mjs";
import { runContender } from "../run-contender.mjs";

/** Calls in flight, of the store and of the bare socket. */
const CONCURRENCY = 256;

/** Executions that are recorded. */
const EXECUTIONS = 20 * CONCURRENCY;

/** Calls in a batch of the bare socket, which keeps two batches in flight. */
const BATCH = CONCURRENCY / 2;

/**
 * @param {import("../experiments.mjs").Settings} settings
 * @returns {import("../experiments.mjs").Experiment[]}
 */
export function ceilingExperiments({ warmUp, duration }) {
  let directory;
  let recording;
  return [
    {
      contenders: ["ours", "bare socket"],
      baseline: "bare socket",
      cases: [
        {
          name: "ceiling",
          title: "Store calls per second, against a bare socket that replays the same commands",
          figure: "callsPerSecond",
          unit: "calls/s",
          better: "higher",
        },
      ],
      async setUp({ redis }) {
        directory = await mkdtemp(join(tmpdir(), "bench-ceiling-"));
        recording = await record(redis, join(directory, "commands"));
      },
      run(contender, { redis }) {
        const times = { warmUp, duration };
        if (contender === "bare socket") {
          return runContender({ url: redis.url, workload: "bareSocket", params: { recording, ...times } });
        }
        const params = { concurrency: CONCURRENCY, ...times };
        return runContender({ contender, url: redis.url, workload: "throughput", params });
      },
      async tearDown() {
        if (directory) await rm(directory, { recursive: true, force: true });
      },
    },
  ];
}

/**
 * Lets our store run executions through a proxy and keeps what it sent.
 *
 * @returns {Promise<import("../workloads/bare-socket.mjs").Recording>}
 */
async function record(redis, file) {
  const proxy = await startProxy(redis, 0);
  try {
    let recordings;
    const params = { executions: EXECUTIONS, concurrency: CONCURRENCY };
    const job = { contender: "ours", url: proxy.url, workload: "recordable", params };
    const { calls } = await runContender(job, (phase) => {
      if (phase === "begin") proxy.startRecording();
      else recordings = proxy.stopRecording();
    });
    if (recordings.length !== 1) throw new Error(`the store used ${recordings.length} connections instead of one`);
    const [{ sent, received }] = recordings;
    await writeFile(file, sent);
    return { file, calls, batches: batchesOf(sent, received, calls) };
  } finally {
    await proxy.close();
  }
}

/** Cuts recorded commands into batches, and the replies into what answers each batch. */
function batchesOf(sent, received, calls) {
  const commandEnds = valueEnds(sent);
  const replyEnds = valueEnds(received);
  if (commandEnds.length !== replyEnds.length) {
    throw new Error(`${commandEnds.length} commands were recorded, but ${replyEnds.length} replies`);
  }
  const size = Math.round((commandEnds.length / calls) * BATCH);
  const batches = [];
  for (let last = size - 1; last < commandEnds.length - 1; last += size) {
    batches.push({ sent: commandEnds[last], received: replyEnds[last] });
  }
  batches.push({ sent: commandEnds.at(-1), received: replyEnds.at(-1) });
  return batches;
}

function valueEnds(stream) {
  const ends = [];
  new RespFramer().push(stream, ({ type, end }) => {
    if (type !== ">") ends.push(end);
  });
  return ends;
}
