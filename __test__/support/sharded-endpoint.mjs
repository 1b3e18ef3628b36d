/**
 * One address in front of many shards, as Redis Enterprise and Azure's Enterprise policy have it: commands over keys of
 * different slots are refused, in a transaction at the command with which the second slot comes in, and then EXEC is, too.
 * Behind it is one real server.
 */
import { startCommandProxy } from "./command-proxy.mjs";
import { slotOf } from "./slots.mjs";

const REFUSAL = "CROSSSLOT Keys in request don't hash to the same slot";
const OF_MANY_KEYS = ["UNLINK", "DEL", "EXISTS"];
const OF_NO_KEY = ["AUTH", "CLIENT", "CLUSTER", "COMMAND", "ECHO", "HELLO", "INFO", "PING", "QUIT", "ROLE", "SELECT"];

/**
 * Starts one on the loopback interface.
 *
 * @param {{ host: string, port: number }} server
 * @returns {Promise<import("./command-proxy.mjs").CommandProxy & { refusals: () => number }>} `refusals` counts the commands
 *   that were refused for their slots
 */
export async function startShardedEndpoint(server) {
  let refusals = 0;
  const proxy = await startCommandProxy(server, () => {
    /** The first key of the transaction that is being queued, once there is one. */
    let transaction;
    return (command) => {
      const [name] = command;
      if (name === "MULTI") transaction = {};
      if (name === "EXEC" || name === "DISCARD") transaction = undefined;
      const keys = keysIn(command);
      const all = transaction?.key === undefined ? keys : [transaction.key, ...keys];
      const stray = all.find((key) => slotOf(key) !== slotOf(all[0]));
      if (stray === undefined) {
        if (transaction) transaction.key ??= keys[0];
        return undefined;
      }
      refusals += 1;
      if (transaction === undefined) return { reply: `-${REFUSAL}\r\n` };
      const [original, wrong] = [all[0], stray].map(slotOf);
      const where = `original-slot='${original}', wrong-slot='${wrong}', first-key='${all[0]}', violating-key='${stray}'`;
      // At an unknown command the server discards the transaction, too.
      return {
        reply: `-${REFUSAL} (context='within MULTI', command='${name}', ${where})\r\n`,
        instead: ["CROSSSLOT"],
      };
    };
  });
  return { ...proxy, refusals: () => refusals };
}

function keysIn([name, ...args]) {
  if (["MULTI", "EXEC", "DISCARD", ...OF_NO_KEY].includes(name)) return [];
  return OF_MANY_KEYS.includes(name) ? args : args.slice(0, 1);
}
