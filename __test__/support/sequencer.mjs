/**
 * A proxy that puts everything a server is sent into one order: commands of all connections go through one at a time, and
 * a test may do something between any two of them, inside a pipeline too. So what Redis held when is known exactly.
 */
import { once } from "node:events";
import { createConnection, createServer } from "node:net";
import { createAsker, decodeCommand, itemsOf, onValues } from "./resp-sockets.mjs";

const HOST = "127.0.0.1";

/**
 * @typedef {object} Passed a command that went through
 * @property {number} connection which connection it came by, in the order in which they were opened
 * @property {string[]} command its name in capitals and its arguments
 * @property {boolean} refused whether the server answered with an error, when it carried out the transaction at the latest
 *
 * @typedef {object} Sequencer
 * @property {string} url `redis://…`, of the proxy
 * @property {Passed[]} passed all commands of all connections in their order; those of a handshake too
 * @property {(hook: (next: Passed) => unknown) => void} beforeEach called before each command goes through, and awaited; not
 *   between `MULTI` and `EXEC`, where no other client can come in between either. When it sets `next.refusal`, such as
 *   `"TRYAGAIN later"`, that is the answer, and the server is not asked
 * @property {(hook: (done: Passed) => unknown) => void} afterEach called when a command, or a whole `MULTI … EXEC`, has been
 *   answered, before anything else goes through
 * @property {<T>(action: () => Promise<T>) => Promise<T>} exclusively does something while nothing goes through
 * @property {(hook: () => number) => void} delayAnswers called when a connection has an answer to hand out: for how many turns of
 *   the event loop that is kept, so that others may gather behind it
 * @property {(connection: number) => void} cut ends a connection; what has not gone through of it is lost
 * @property {() => Promise<void>} stop
 */

/**
 * Starts a sequencer in front of a server.
 *
 * @param {{ host: string, port: number }} target
 * @returns {Promise<Sequencer>}
 */
export async function startSequencer({ host, port }) {
  const passed = [];
  const sockets = new Set();
  const ends = [];
  let answersDelay = () => 0;
  let before = () => {};
  let after = () => {};
  let last = Promise.resolve();
  let connections = 0;

  const exclusively = (action) => {
    const done = last.then(action);
    last = done.catch(() => {});
    return done;
  };

  const server = createServer({ noDelay: true }, (client) => {
    const connection = connections++;
    const upstream = createConnection({ host, port, noDelay: true });
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on("error", () => {}).on("close", () => sockets.delete(socket));
    }
    client.on("close", () => upstream.destroy());
    upstream.on("close", () => client.destroy());
    ends.push(() => client.destroy());
    const answer = createAnswerer(client, () => answersDelay());
    const ask = createAsker(upstream);
    let transaction = [];
    onValues(client, (bytes) => {
      const command = decodeCommand(bytes);
      transaction.push({ bytes, entry: { connection, command } });
      if (transaction[0].entry.command[0] === "MULTI" && command[0] !== "EXEC") return;
      const commands = transaction;
      transaction = [];
      exclusively(async () => {
        const [{ entry: first }] = commands;
        if (!client.destroyed) await before(first);
        if (client.destroyed) return;
        for (const { bytes, entry } of commands) {
          const asked = first.refusal === undefined ? ask(bytes) : Buffer.from(`-${first.refusal}\r\n`);
          passed.push(entry);
          const reply = await asked;
          entry.refused = isError(reply);
          // What was queued is only now carried out, or refused, as is `SET … GET` by Redis before 6.2.
          if (entry.command[0] === "EXEC") {
            for (const [index, item] of itemsOf(reply).entries()) commands[1 + index].entry.refused ||= isError(item);
          }
          answer(reply);
        }
        await after(commands.at(-1).entry);
      }).catch((error) => client.destroy(error));
    });
  });
  server.listen(0, HOST);
  await once(server, "listening");

  return {
    url: `redis://${HOST}:${server.address().port}`,
    passed,
    exclusively,
    beforeEach(hook) {
      before = hook;
    },
    afterEach(hook) {
      after = hook;
    },
    delayAnswers(hook) {
      answersDelay = hook;
    },
    cut: (connection) => ends[connection](),
    async stop() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}

const isError = (reply) => reply[0] === "-".charCodeAt(0);

/** Writes to a socket: what comes while an earlier answer is kept goes with it. */
function createAnswerer(socket, delay) {
  let kept = [];
  const write = (turns) => {
    if (turns > 0) {
      setImmediate(write, turns - 1);
      return;
    }
    const bytes = Buffer.concat(kept);
    kept = [];
    if (socket.writable) socket.write(bytes);
  };
  return (bytes) => {
    kept.push(bytes);
    if (kept.length === 1) write(delay());
  };
}
