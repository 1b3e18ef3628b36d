/**
 * A server with RESP that answers as a test needs: also as no Redis server would.
 */
import { once } from "node:events";
import { createServer } from "node:net";
import { takeCommand } from "./resp.mjs";

const HOST = "127.0.0.1";

/**
 * @typedef {object} Exchange
 * @property {string[]} command what was asked, its name in upper case
 * @property {import("node:net").Socket} socket to say more than an answer, or to end
 * @property {number} asked how many commands had come before on this connection
 */

/**
 * Starts a server on a free port of the loopback interface.
 *
 * @param {(exchange: Exchange) => string | Buffer | undefined} answer
 * @returns {Promise<{ host: string, port: number, connections: number, stop: () => Promise<void> }>}
 */
export async function startFakeRedis(answer) {
  const sockets = new Set();
  const fake = { host: HOST, port: 0, connections: 0, stop };
  const server = createServer({ noDelay: true }, (socket) => {
    fake.connections += 1;
    sockets.add(socket);
    socket.on("error", () => {}).once("close", () => sockets.delete(socket));
    let [text, asked] = ["", 0];
    socket.setEncoding("latin1").on("data", (more) => {
      text += more;
      for (;;) {
        const taken = takeCommand(text);
        if (taken === undefined) return;
        text = taken.rest;
        const said = answer({ command: taken.command, socket, asked: asked++ });
        if (said !== undefined && socket.writable) socket.write(said);
      }
    });
  });
  server.listen(0, HOST);
  await once(server, "listening");
  fake.port = server.address().port;
  return fake;

  async function stop() {
    for (const socket of sockets) socket.destroy();
    server.close();
    await once(server, "close");
  }
}
