/**
 * A TCP proxy in front of a Redis server that can add a delay each way, counts round trips and commands, and can keep
 * a copy of what it carried.
 */
import { once } from "node:events";
import { connect, createServer } from "node:net";
import { RespFramer } from "../tooling/resp.mjs";

/**
 * What went through a proxy since it was last asked to start afresh.
 *
 * @typedef {object} Traffic
 * @property {number} roundTrips how often the client sent commands while no reply was outstanding
 * @property {number} commands commands sent, `MULTI` and `EXEC` not counted
 */

/** One client's connection through the proxy. */
class Line {
  requests = new RespFramer();
  replies = new RespFramer();
  /** @type {{ sent: Buffer[], received: Buffer[] } | undefined} */
  recording;
  /** Commands whose reply has not arrived. */
  outstanding = 0;

  constructor(client, server) {
    this.client = client;
    this.server = server;
  }
}

class RedisProxy {
  /** What is on its way, the earliest first. @type {{ due: number, deliver: () => void }[]} */
  #delayed = [];
  #pumping = false;
  /** @type {Set<Line>} */
  #lines = new Set();
  #outstanding = 0;
  #traffic = { roundTrips: 0, commands: 0 };

  /**
   * @param {{ host: string, port: number }} target the server behind the proxy
   * @param {number} delay milliseconds added each way
   */
  constructor(target, delay) {
    this.target = target;
    this.delay = delay;
    this.listener = createServer({ noDelay: true }, (client) => this.#accept(client));
  }

  /** Listens on a free port of the loopback interface. */
  async listen() {
    this.listener.listen(0, "127.0.0.1");
    await once(this.listener, "listening");
    this.url = `redis://127.0.0.1:${this.listener.address().port}`;
  }

  /** Forgets what was counted. */
  startCounting() {
    this.#traffic = { roundTrips: 0, commands: 0 };
  }

  /** @returns {Traffic} what was counted since `startCounting` */
  get traffic() {
    return { ...this.#traffic };
  }

  /** Keeps a copy of what every open connection carries from here on. */
  startRecording() {
    for (const line of this.#lines) line.recording = { sent: [], received: [] };
  }

  /**
   * @returns {{ sent: Buffer, received: Buffer }[]} what each open connection carried since `startRecording`, without
   *   the connections that carried nothing
   */
  stopRecording() {
    const recordings = [];
    for (const line of this.#lines) {
      const { recording } = line;
      line.recording = undefined;
      if (!recording || recording.sent.length === 0) continue;
      recordings.push({ sent: Buffer.concat(recording.sent), received: Buffer.concat(recording.received) });
    }
    return recordings;
  }

  /** Ends all connections and stops listening. */
  async close() {
    for (const line of this.#lines) {
      line.client.destroy();
      line.server.destroy();
    }
    this.listener.close();
    await once(this.listener, "close");
  }

  #accept(client) {
    const server = connect({ ...this.target, noDelay: true });
    const line = new Line(client, server);
    this.#lines.add(line);
    const end = () => {
      if (this.#lines.delete(line)) this.#outstanding -= line.outstanding;
      client.destroy();
      server.destroy();
    };
    for (const socket of [client, server]) {
      socket.on("error", end);
      socket.on("close", end);
    }
    client.on("data", (chunk) => {
      this.#countRequests(line, chunk);
      line.recording?.sent.push(chunk);
      this.#later(() => server.write(chunk));
    });
    server.on("data", (chunk) => {
      line.recording?.received.push(chunk);
      this.#later(() => {
        // Counted when the client gets them: until then it waits.
        this.#countReplies(line, chunk);
        client.write(chunk);
      });
    });
  }

  #countRequests(line, chunk) {
    const waiting = this.#outstanding > 0;
    let sent = 0;
    line.requests.push(chunk, ({ name }) => {
      sent += 1;
      if (name !== "MULTI" && name !== "EXEC") this.#traffic.commands += 1;
    });
    line.outstanding += sent;
    this.#outstanding += sent;
    if (sent > 0 && !waiting) this.#traffic.roundTrips += 1;
  }

  #countReplies(line, chunk) {
    let answered = 0;
    line.replies.push(chunk, ({ type }) => {
      // Pushed messages (RESP3) answer no command.
      if (type !== ">") answered += 1;
    });
    line.outstanding -= answered;
    this.#outstanding -= answered;
  }

  #later(deliver) {
    if (this.delay === 0) {
      deliver();
      return;
    }
    this.#delayed.push({ due: performance.now() + this.delay, deliver });
    if (!this.#pumping) {
      this.#pumping = true;
      setImmediate(() => this.#pump());
    }
  }

  /** Delivers what is due, turning the event loop without sleeping: a timer would round a millisecond up to two. */
  #pump() {
    const now = performance.now();
    while (this.#delayed.length > 0 && this.#delayed[0].due <= now) this.#delayed.shift().deliver();
    this.#pumping = this.#delayed.length > 0;
    if (this.#pumping) setImmediate(() => this.#pump());
  }
}

/**
 * Starts a proxy in front of a server.
 *
 * @param {{ host: string, port: number }} target
 * @param {number} delay milliseconds added each way
 * @returns {Promise<RedisProxy>}
 */
export async function startProxy({ host, port }, delay) {
  const proxy = new RedisProxy({ host, port }, delay);
  await proxy.listen();
  return proxy;
}
