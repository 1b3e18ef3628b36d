/**
 * A TCP proxy in front of a server, to make a network fail on purpose: it turns connections away, holds back bytes in
 * either direction, lets them through later, sends the server something else than the client did, and ends connections on
 * the client's side, on the server's, or on both.
 */
import { once } from "node:events";
import { createConnection, createServer } from "node:net";
import { encodeCommand, takeCommand } from "./resp.mjs";

const HOST = "127.0.0.1";

/**
 * @typedef {"toServer" | "toClient"} Direction
 *
 * @typedef {object} Proxy
 * @property {string} host
 * @property {number} port
 * @property {ProxiedConnection[]} connections all that were ever carried to the server, oldest first
 * @property {(...directions: Direction[]) => void} holdNew new connections hold back these directions from the start
 * @property {(refuse: boolean) => void} refuseNew whether new connections are ended before they reach the server
 * @property {(connection: ProxiedConnection) => void} [onConnection] called with every new one
 * @property {(command: string[], connection: ProxiedConnection) => string[] | undefined} [translate] sees each command on its
 *   way, its name in upper case, and may return what the server is sent instead. To be set before there are connections
 * @property {() => Promise<void>} stop ends it and every connection through it
 */

/**
 * Starts a proxy on the loopback interface.
 *
 * @param {{ host: string, port: number }} server what is behind it
 * @param {{ host?: string, port?: number }} [address] where it listens; default: a free port of 127.0.0.1
 * @returns {Promise<Proxy>}
 */
export async function startProxy({ host, port }, { host: listenHost = HOST, port: listenPort = 0 } = {}) {
  const connections = [];
  let heldFromTheStart = [];
  let refusing = false;
  // The server's side ends only when this proxy says so: bytes that were held back can arrive late.
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
    if (refusing) {
      client.destroy();
      return;
    }
    const connection = new ProxiedConnection(client, { host, port }, proxy.translate);
    connection.hold(...heldFromTheStart);
    connections.push(connection);
    proxy.onConnection?.(connection);
  });
  server.listen(listenPort, listenHost);
  await once(server, "listening");
  const proxy = {
    host: listenHost,
    port: server.address().port,
    connections,
    holdNew: (...directions) => {
      heldFromTheStart = directions;
    },
    refuseNew: (refuse) => {
      refusing = refuse;
    },
    async stop() {
      for (const connection of connections) connection.cut();
      server.close();
      await once(server, "close");
    },
  };
  return proxy;
}

/** One client's connection and the one to the server that carries it on. */
class ProxiedConnection {
  #client;
  #server;
  /** What was held back and not yet let through; `undefined` for a direction that flows. */
  #held = { toServer: undefined, toClient: undefined };
  #serverClosed;
  #translate;
  /** The beginning of a command of which the rest has not come. */
  #begun = "";

  constructor(client, target, translate) {
    this.#translate = translate;
    this.#client = client;
    this.#server = createConnection({ ...target, allowHalfOpen: true, noDelay: true });
    this.#serverClosed = new Promise((resolve) => this.#server.once("close", resolve));
    // A cut connection may well report an error; what the other side makes of it is for the test to see.
    for (const socket of [this.#client, this.#server]) socket.on("error", () => {});
    this.#client.on("data", (bytes) => (translate ? this.#passCommands(bytes) : this.#pass("toServer", bytes)));
    this.#server.on("data", (bytes) => this.#pass("toClient", bytes));
    for (const ending of ["end", "close"]) {
      this.#client.on(ending, () => this.#held.toServer === undefined && this.#server.end());
      this.#server.on(ending, () => this.#held.toClient === undefined && this.#client.end());
    }
  }

  /** Keeps what arrives from now on in these directions. */
  hold(...directions) {
    for (const direction of directions) this.#held[direction] ??= Buffer.alloc(0);
  }

  /** The bytes held back in a direction, as text. */
  held(direction) {
    return this.#held[direction]?.toString("latin1") ?? "";
  }

  /**
   * Lets through what was held back in a direction, and what follows.
   *
   * @param {Direction} direction
   * @param {number} [count] only so many bytes, and nothing of what follows
   */
  release(direction, count) {
    const held = this.#held[direction] ?? Buffer.alloc(0);
    this.#held[direction] = count === undefined ? undefined : held.subarray(count);
    this.#write(direction, held.subarray(0, count));
  }

  /** Whether the proxy reads what the client sends; while it does not, the client's own buffers fill. */
  readClient(reads) {
    if (reads) this.#client.resume();
    else this.#client.pause();
  }

  /** Ends the client's side only: to the client the connection is lost, to the server nothing has happened yet. */
  cutClient() {
    this.#client.destroy();
  }

  /** Ends the client's side in order, behind everything it has been sent. */
  async endClient() {
    await new Promise((resolve) => this.#client.end(resolve));
  }

  /** Ends the server's side in order and resolves when the server has taken in all that was sent, or had closed it. */
  async endServer() {
    this.#server.end();
    await this.#serverClosed;
  }

  /** Ends both sides. */
  cut() {
    this.#client.destroy();
    this.#server.destroy();
  }

  #passCommands(bytes) {
    this.#begun += bytes.toString("latin1");
    for (let taken = takeCommand(this.#begun); taken !== undefined; taken = takeCommand(this.#begun)) {
      const said = this.#begun.slice(0, this.#begun.length - taken.rest.length);
      this.#begun = taken.rest;
      const instead = this.#translate(taken.command, this);
      this.#pass("toServer", Buffer.from(instead ? encodeCommand(instead) : said, "latin1"));
    }
  }

  #pass(direction, bytes) {
    const held = this.#held[direction];
    if (held === undefined) this.#write(direction, bytes);
    else this.#held[direction] = Buffer.concat([held, bytes]);
  }

  #write(direction, bytes) {
    const socket = direction === "toServer" ? this.#server : this.#client;
    if (bytes.length > 0 && socket.writable) socket.write(bytes);
  }
}

/**
 * A command that the server answers with this error, in its place among the other answers.
 *
 * @param {string} error such as `LOADING Redis is loading the dataset in memory`
 */
export function refusedWith(error) {
  return ["EVAL", "return redis.error_reply(ARGV[1])", "0", error];
}
