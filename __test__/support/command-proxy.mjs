/**
 * A proxy in front of a server that reads the commands: it lets each through, has another one carried out in its place, or
 * answers itself, and every connection gets its answers in the order of its commands.
 */
import { once } from "node:events";
import { createConnection, createServer } from "node:net";
import { encodeCommand } from "./resp.mjs";
import { createAsker, decodeCommand, onValues } from "./resp-sockets.mjs";

const HOST = "127.0.0.1";

/**
 * @typedef {object} Intervention what is done with a command; nothing in particular when there is none
 * @property {string | Buffer} [reply] answered instead of what the server says
 * @property {string[]} [instead] the server is sent this, in latin1; without it and with a `reply`, it is sent nothing
 * @property {boolean} [hangUp] the connection ends here, and what came before it on the connection may have no answer
 *
 * @typedef {object} CommandProxy
 * @property {string} host
 * @property {number} port
 * @property {string} url
 * @property {string[][]} commands all that came in, oldest first
 * @property {() => void} cut ends all connections
 * @property {() => Promise<void>} stop
 */

/**
 * Starts one on the loopback interface.
 *
 * @param {{ host: string, port: number }} server what is behind it
 * @param {(connection: object) => (command: string[]) => Intervention | undefined} intervene called for each new connection,
 *   what it returns for each command; the object is the connection's own, for what has to be remembered
 * @param {{ port?: number }} [address] default: a free port
 * @returns {Promise<CommandProxy>}
 */
export async function startCommandProxy({ host, port }, intervene, { port: listenPort = 0 } = {}) {
  const commands = [];
  const sockets = new Set();
  const server = createServer({ noDelay: true }, (client) => {
    const upstream = createConnection({ host, port, noDelay: true });
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on("error", () => {}).on("close", () => sockets.delete(socket));
    }
    client.on("close", () => upstream.destroy());
    upstream.on("close", () => client.destroy());
    const ask = createAsker(upstream);
    const decide = intervene({});
    let answered = Promise.resolve();
    onValues(client, (bytes) => {
      const command = decodeCommand(bytes);
      commands.push(command);
      const { reply, instead, hangUp } = decide(command) ?? {};
      if (hangUp) {
        client.destroy();
        return;
      }
      const silent = reply !== undefined && instead === undefined;
      const asked = silent ? undefined : ask(instead ? Buffer.from(encodeCommand(instead), "latin1") : bytes);
      asked?.catch(() => {});
      answered = answered
        .then(async () => {
          const said = await asked;
          client.write(reply ?? said);
        })
        .catch(() => client.destroy());
    });
  });
  server.listen(listenPort, HOST);
  await once(server, "listening");
  const cut = () => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    host: HOST,
    port: server.address().port,
    url: `redis://${HOST}:${server.address().port}`,
    commands,
    cut,
    async stop() {
      cut();
      server.close();
      await once(server, "close");
    },
  };
}
