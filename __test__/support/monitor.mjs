/**
 * The commands that a server really receives, as its `MONITOR` reports them.
 */
import { randomUUID } from "node:crypto";
import { eventually } from "./redis.mjs";

/**
 * Starts to record.
 *
 * @param {import("ioredis").Redis} admin a client of the same server
 * @returns {Promise<{ take: () => Promise<string[][]>, stop: () => void }>} `take()` is what has been received since it was
 *   last called, on all connections and in order: each a command in capitals and its arguments
 */
export async function recordCommands(admin) {
  const monitor = await admin.monitor();
  const received = [];
  monitor.on("monitor", (_time, args) => received.push([args[0].toUpperCase(), ...args.slice(1)]));
  return {
    async take() {
      // The server reports in order: once it has reported this, it has reported all before it.
      const marker = randomUUID();
      await admin.echo(marker);
      const find = () => received.findIndex(([name, argument]) => name === "ECHO" && argument === marker);
      await eventually(() => find() !== -1, { message: "the report of the marker" });
      return received.splice(0, find() + 1).slice(0, -1);
    },
    stop: () => monitor.disconnect(),
  };
}
