/**
 * Servers that say whatever a test wants, in each of the topologies that RESP has: one server, the nodes of a cluster, and
 * the primary that a sentinel leads to. They shake hands properly, and what comes after that is the test's.
 */
import { startFakeRedis } from "./fake-redis.mjs";

const HOST = "127.0.0.1";
const SLOTS = 16_384;

/**
 * @typedef {object} FakeTopology
 * @property {unknown} redis what a store is created with
 * @property {Awaited<ReturnType<typeof startFakeRedis>>[]} servers those that have data, in the order of their slots
 * @property {{ first: number, last: number }[]} slots of each of them
 * @property {() => Promise<void>} stop
 */

/**
 * Starts a topology.
 *
 * @type {Record<string, (answer: Parameters<typeof startFakeRedis>[0]) => Promise<FakeTopology>>}
 */
export const FAKE_TOPOLOGIES = {
  async "one server"(answer) {
    const server = await startFakeRedis(withHandshake(answer));
    return { redis: { host: HOST, port: server.port }, servers: [server], slots: [allSlots], stop: server.stop };
  },

  async "the nodes of a cluster"(answer) {
    const map = () =>
      array(servers.map(({ port }, index) => array([...slotsOf(index), array([bulk(HOST), `:${port}\r\n`])])));
    const servers = [];
    const withMap = (exchange) => {
      const [name, subcommand] = exchange.command;
      if (name !== "CLUSTER") return answer(exchange);
      return /^SLOTS$/i.test(subcommand) ? map() : "-ERR unknown subcommand\r\n";
    };
    servers.push(await startFakeRedis(withHandshake(withMap)), await startFakeRedis(withHandshake(withMap)));
    return {
      redis: servers.map(({ port }) => ({ host: HOST, port })),
      servers,
      slots: [0, 1].map((index) => ({ first: (index * SLOTS) / 2, last: ((index + 1) * SLOTS) / 2 - 1 })),
      stop: () => stopAll(servers),
    };
  },

  async "the primary that a sentinel leads to"(answer) {
    const server = await startFakeRedis(withHandshake(answer));
    const sentinel = await startFakeRedis(({ command: [name, subcommand] }) => {
      if (name !== "SENTINEL") return "+OK\r\n";
      return /^GET-MASTER/i.test(subcommand) ? array([bulk(HOST), bulk(String(server.port))]) : "*0\r\n";
    });
    return {
      redis: { sentinels: [{ host: HOST, port: sentinel.port }], name: "main" },
      servers: [server],
      slots: [allSlots],
      stop: () => stopAll([server, sentinel]),
    };
  },
};

const allSlots = { first: 0, last: SLOTS - 1 };
const slotsOf = (index) => [`:${(index * SLOTS) / 2}\r\n`, `:${((index + 1) * SLOTS) / 2 - 1}\r\n`];
const stopAll = async (servers) => void (await Promise.all(servers.map((server) => server.stop())));

/** A bulk string. */
export const bulk = (text) => `$${Buffer.byteLength(text)}\r\n${text}\r\n`;

const array = (parts) => `*${parts.length}\r\n${parts.join("")}`;

/** Answers what a store says before its calls, and leaves the rest to the test. */
function withHandshake(answer) {
  const ids = new WeakMap();
  let lastId = 0;
  return (exchange) => {
    const { command, socket } = exchange;
    const [name, subcommand] = command;
    if (!ids.has(socket)) ids.set(socket, ++lastId);
    if (name === "ROLE") return array([bulk("master"), ":0\r\n", "*0\r\n"]);
    if (name === "AUTH" || name === "SELECT") return "+OK\r\n";
    if (name === "CLIENT" && /^INFO$/i.test(subcommand)) {
      return bulk(`id=${ids.get(socket)} addr=${socket.remoteAddress}:${socket.remotePort} name= db=0\n`);
    }
    if (name === "CLIENT") return /^KILL$/i.test(subcommand) ? ":0\r\n" : "+OK\r\n";
    return answer(exchange);
  };
}
