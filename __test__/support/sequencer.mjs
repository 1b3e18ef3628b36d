/**
 * A proxy that puts everything a server is told into one order: commands of all connections go through one at a time, and
 * a test may do something between any two of them, inside a pipeline too. So what Redis held when is known exactly.
 */
import { once } from "node:events";
import { createConnection, createServer } from "node:net";
import { createAsker, decodeCommand, onValues } from "./resp-sockets.mjs";

const HOST = "127.0.0.1";

/**
 * @typedef {object} Passed a command that went through
 * @property {number} connection which connection it came by, in the order in which they were opened
 * @property {string[]} command its name in capitals and its arguments
 * @property {boolean} refused whether the server answered with an error
 *
 * @typedef {object} Sequencer
 * @property {string} url `redis://…`, of the proxy
 * @property {Passed[]} passed all commands of all connections in their order; those of a handshake too
 * @property {(hook: (next: Passed) => unknown) => void} beforeEach called before each command goes through, and awaited; not
 *   between `MULTI` and `EXEC`, where no other client can come in between either
 * @property {(hook: (done: Passed) => unknown) => void} afterEach called when a command, or a whole `MULTI … EXEC`, has been
 *   answered, before anything else goes through
 * @property {<T>(action: () => Promise<T>) => Promise<T>} exclusively does something while nothing goes through
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
    const ask = createAsker(upstream);
    let transaction = [];
    onValues(client, (bytes) => {
      const command = decodeCommand(bytes);
      transaction.push({ bytes, entry: { connection, command } });
      if (transaction[0].entry.command[0] === "MULTI" && command[0] !== "EXEC") return;
      const commands = transaction;
      transaction = [];
      exclusively(async () => {
        await before(commands[0].entry);
        for (const { bytes, entry } of commands) {
          const asked = ask(bytes);
          passed.push(entry);
          const reply = await asked;
          entry.refused = reply[0] === "-".charCodeAt(0);
          client.write(reply);
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
    async stop() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}
