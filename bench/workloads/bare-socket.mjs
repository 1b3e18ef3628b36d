/**
 * Replays recorded commands over a bare socket that only counts the bytes of the replies: the server's own limit.
 */
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { connect } from "node:net";
import { performance } from "node:perf_hooks";

/** Batches on their way: one that the server works on, and one that waits in its socket. */
const WINDOW = 2;

/**
 * Recorded commands. A batch ends at an offset in the commands (`sent`), and all its replies have arrived when
 * `received` bytes have.
 *
 * @typedef {{ file: string, calls: number, batches: { sent: number, received: number }[] }} Recording
 */

/**
 * @param {{ url: string }} process
 * @param {{ recording: Recording, warmUp: number, duration: number }} params milliseconds
 * @returns {Promise<{ callsPerSecond: number }>} store calls per second that the replayed commands amount to
 */
export async function bareSocket({ url }, { recording, warmUp, duration }) {
  const commands = readFileSync(recording.file);
  const { hostname, port } = new URL(url);
  const socket = connect({ host: hostname, port: Number(port), noDelay: true });
  await once(socket, "connect");

  const begin = performance.now();
  let measured;
  let replays = 0;
  for (;;) {
    const now = performance.now();
    if (measured === undefined && now - begin >= warmUp) {
      measured = now;
      replays = 0;
    }
    if (measured !== undefined && replays > 0 && now - measured >= duration) {
      socket.destroy();
      return { callsPerSecond: (replays * recording.calls * 1000) / (now - measured) };
    }
    await replay(socket, commands, recording.batches);
    replays += 1;
  }
}

/** Sends all batches once and waits for the last reply. */
function replay(socket, commands, batches) {
  return new Promise((resolve, reject) => {
    let next = 0;
    let answered = 0;
    let received = 0;
    const send = () => {
      while (next < batches.length && next - answered < WINDOW) {
        socket.write(commands.subarray(batches[next - 1]?.sent ?? 0, batches[next].sent));
        next += 1;
      }
    };
    const onData = (chunk) => {
      received += chunk.length;
      while (answered < batches.length && received >= batches[answered].received) answered += 1;
      if (answered === batches.length) finish(resolve);
      else send();
    };
    const onEnd = (error) => finish(() => reject(error instanceof Error ? error : new Error("the server hung up")));
    const finish = (settle) => {
      socket.off("data", onData);
      socket.off("error", onEnd);
      socket.off("close", onEnd);
      settle();
    };
    socket.on("data", onData);
    socket.on("error", onEnd);
    socket.on("close", onEnd);
    send();
  });
}
