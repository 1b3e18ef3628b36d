/**
 * Servers that are almost Redis: each is a proxy in front of a real one that lacks something, and answers it with an error or
 * hangs up, as twemproxy does at each command that it does not know.
 */
import { startRedis } from "../../tooling/servers/redis-server.mjs";
import { startCommandProxy } from "./command-proxy.mjs";
import { startFakeRedis } from "./fake-redis.mjs";
import { bulk } from "./fake-topologies.mjs";

/** How what is lacking is answered. */
export const MANNERS = ["with an error", "by hanging up"];

/** What a server may lack, and whether a command is that. */
export const LACKS = {
  CLIENT: ([name]) => name === "CLIENT",
  "CLIENT INFO": ([name, sub]) => name === "CLIENT" && /^info$/i.test(sub),
  "CLIENT KILL": ([name, sub]) => name === "CLIENT" && /^kill$/i.test(sub),
  MULTI: ([name]) => ["MULTI", "EXEC", "DISCARD", "WATCH"].includes(name),
  UNLINK: ([name]) => name === "UNLINK",
  ROLE: ([name]) => name === "ROLE",
  INFO: ([name]) => name === "INFO",
  SELECT: ([name]) => name === "SELECT",
  "CLUSTER MYID": ([name, sub]) => name === "CLUSTER" && /^myid$/i.test(sub),
  "CLUSTER INFO": ([name, sub]) => name === "CLUSTER" && /^(info|nodes)$/i.test(sub),
};

/** What a server without an option of a command says, whatever it does with commands that it lacks. */
const OPTIONS = {
  "SET … GET": ([name, ...args]) => name === "SET" && args.slice(2).some((word) => /^get$/i.test(word)),
};

/**
 * Starts one on the loopback interface.
 *
 * @param {{ host: string, port: number }} server what is behind it
 * @param {(keyof LACKS | keyof OPTIONS)[]} lacks
 * @param {"with an error" | "by hanging up"} [manner]
 * @param {{ port?: number }} [address]
 */
export async function startLesserServer(server, lacks, manner = "with an error", address = {}) {
  const refuse = (command) => {
    if (lacks.some((name) => OPTIONS[name]?.(command))) return { reply: "-ERR syntax error\r\n" };
    if (!lacks.some((name) => LACKS[name]?.(command))) return undefined;
    if (manner === "by hanging up") return { hangUp: true };
    return { reply: `-ERR unknown command '${command[0]}', with args beginning with: \r\n` };
  };
  return startCommandProxy(server, () => refuse, address);
}

/**
 * Starts a server of its own behind one.
 *
 * @param {[lacks: string[], manner?: string]} how
 */
export async function startLesserRedis(...how) {
  const server = await startRedis();
  const proxy = await startLesserServer(server, ...how);
  return {
    ...proxy,
    server,
    async stop() {
      await proxy.stop();
      await server.stop();
    },
  };
}

/** A sentinel that names a server as the primary, by the name "main". */
export async function startSentinelOf({ host, port }) {
  const array = (parts) => `*${parts.length}\r\n${parts.join("")}`;
  return startFakeRedis(({ command: [name, subcommand] }) => {
    if (name !== "SENTINEL") return "+OK\r\n";
    return /^GET-MASTER/i.test(subcommand) ? array([bulk(host), bulk(String(port))]) : "*0\r\n";
  });
}
