// Servers that are stopped and networks that stall: every call settles by its deadline, and traffic is back soon after healing.
import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { findRedisServer } from "../../tooling/servers/redis-server.mjs";
import { startScript } from "../support/child.mjs";
import { keepCalling } from "../support/load.mjs";
import { eventually, privateRedis } from "../support/redis.mjs";
import { full, note, times } from "../support/scale.mjs";
import { temporaryProxy, temporaryStore } from "../support/temporary.mjs";

const COMMAND_TIMEOUT = 1500;
/** What a timer and a busy machine add to a deadline. */
const LATE = times(2500, 500);

const stallAnswers = {
  begin({ proxy }) {
    proxy.holdNew("toClient");
    for (const connection of proxy.connections) connection.hold("toClient");
  },
  end({ proxy }) {
    proxy.holdNew();
    for (const connection of proxy.connections) connection.release("toClient");
  },
};

/** What is done to server and network, and how it is undone. */
const FAULTS = [
  [
    "a server that is stopped (SIGSTOP)",
    {
      begin: ({ server }) => server.pause(),
      end: ({ server }) => server.resume(),
    },
  ],
  [
    "a black hole in both directions, for new connections as well",
    {
      begin({ proxy }) {
        proxy.holdNew("toServer", "toClient");
        for (const connection of proxy.connections) connection.hold("toServer", "toClient");
      },
      end({ proxy }) {
        proxy.holdNew();
        for (const connection of proxy.connections) {
          connection.release("toServer");
          connection.release("toClient");
        }
      },
    },
  ],
  ["answers that stall", stallAnswers],
  [
    "requests that stall, until the buffers are full",
    {
      begin({ proxy }) {
        proxy.onConnection = (connection) => connection.readClient(false);
        for (const connection of proxy.connections) connection.readClient(false);
      },
      end({ proxy }) {
        proxy.onConnection = undefined;
        for (const connection of proxy.connections) connection.readClient(true);
      },
    },
  ],
  [
    "answers that come one byte at a time",
    {
      begin(fault) {
        stallAnswers.begin(fault);
        fault.timer = setInterval(() => {
          for (const connection of fault.proxy.connections)
            if (connection.held("toClient")) connection.release("toClient", 1);
        }, 5);
      },
      end(fault) {
        clearInterval(fault.timer);
        stallAnswers.end(fault);
      },
    },
  ],
];

describe.each(FAULTS)("%s", (name, { begin, end }) => {
  it("has every call settled by its deadline, and traffic back within two seconds of healing", async () => {
    const server = await privateRedis();
    const proxy = await temporaryProxy(server);
    const options = { commandTimeout: COMMAND_TIMEOUT };
    const store = temporaryStore({ host: proxy.host, port: proxy.port }, options);
    const text = "x".repeat(10_000);
    const load = keepCalling(64, async (index) => {
      const id = `execution-${index % 500}`;
      if (index % 2) await store.commitExecutionTaskResult(id, "task", text);
      else await store.getExecutionTaskResult(id, "task");
    });
    const durations = full ? [300, 1000, 2000, 4000, 8000] : [2000];
    let slowestBack = 0;
    for (const duration of durations) {
      const before = load.answered.length;
      await eventually(() => load.answered.length > before + 200, { message: "answers before" });
      const fault = { server, proxy };
      begin(fault);
      await delay(duration);
      end(fault);
      const healed = performance.now();
      await eventually(() => load.lastAnswer > healed, { message: "an answer after healing" });
      slowestBack = Math.max(slowestBack, performance.now() - healed);
    }
    await load.stop();
    expect(load.slowest).toBeLessThan(COMMAND_TIMEOUT + LATE);
    for (const { code } of load.errors) expect(code).toBe("ERR_REDIS_TIMEOUT");
    if (full) expect(slowestBack).toBeLessThan(2000);
    note({
      scenario: name,
      done: `${durations.length} times, 0.3 to 8 s, ${load.made} calls with a commandTimeout of ${COMMAND_TIMEOUT} ms`,
      found:
        `the slowest call settled after ${Math.round(load.slowest)} ms, ` +
        `traffic was back ${Math.round(slowestBack)} ms after healing at the latest`,
      promise: "every call by its deadline, back within 2 s",
    });
  });
});

// Packets that vanish, which a proxy cannot show: two network namespaces, and between them a neighbour's address that is
// wrong for a while. Needs Linux, and root or user namespaces.
if (full) {
  describe("a network that loses every packet", () => {
    it("has every call settled by its deadline, and traffic back within two seconds of healing", async () => {
      const script = `
        import { execFileSync, spawn } from "node:child_process";
        import { setTimeout as delay } from "node:timers/promises";
        import { keepCalling } from ${JSON.stringify(new URL("../support/load.mjs", import.meta.url).href)};
        const run = (line) => execFileSync("sh", ["-c", line], { stdio: ["ignore", "pipe", "inherit"] });
        const server = spawn("unshare", ["--net", args.binary, "--port", "6379", "--bind", "0.0.0.0", "--protected-mode", "no",
          "--save", "", "--dir", args.dir], { stdio: "ignore" });
        process.on("exit", () => server.kill("SIGKILL"));
        const within = "nsenter --net=/proc/" + server.pid + "/ns/net ";
        const own = run("readlink /proc/self/ns/net").toString();
        while (run("readlink /proc/" + server.pid + "/ns/net").toString() === own) await delay(10);
        run("ip link set lo up && ip link add near type veth peer name far && ip link set far netns " + server.pid);
        run("ip address add 10.0.0.1/24 dev near && ip link set near up");
        run(within + "ip address add 10.0.0.2/24 dev far && " + within + "ip link set far up");
        const right = run(within + "cat /sys/class/net/far/address 2>/dev/null || " + within + "ip -o link show far")
          .toString().match(/([0-9a-f]{2}:){5}[0-9a-f]{2}/)[0];
        const neighbour = (address) => run("ip neighbour replace 10.0.0.2 lladdr " + address + " dev near nud permanent");
        neighbour(right);
        const store = createRedisStore("redis://10.0.0.2:6379", { commandTimeout: args.commandTimeout });
        const load = keepCalling(32, (index) => store.commitExecutionTaskResult("execution", "task-" + (index % 100), index));
        let slowestBack = 0;
        for (const duration of args.durations) {
          const before = load.answered.length;
          while (load.answered.length < before + 200) await delay(5);
          neighbour("02:00:00:00:00:99");
          await delay(duration);
          neighbour(right);
          const healed = performance.now();
          while (load.lastAnswer < healed) await delay(5);
          slowestBack = Math.max(slowestBack, performance.now() - healed);
          console.error(duration, Math.round(performance.now() - healed));
        }
        await load.stop();
        const codes = [...new Set(load.errors.map(({ code }) => code))];
        console.log(JSON.stringify({ made: load.made, slowest: load.slowest, slowestBack, codes }));
        process.exit();
      `;
      const server = await privateRedis();
      const durations = [500, 1500, 3000, 4000, 5200, 6300, 7500, 9000, 12_000, 41_000];
      const args = { commandTimeout: COMMAND_TIMEOUT, durations, dir: server.dir, binary: findRedisServer() };
      const within = ["unshare", "--net", "--map-root-user"];
      const child = startScript(script, { args, within, deadline: 200_000 });
      const outcome = await child.ended;
      expect(outcome, outcome.errors).toMatchObject({ code: 0 });
      const found = JSON.parse(outcome.lines.at(-1));
      expect(found.slowest).toBeLessThan(COMMAND_TIMEOUT + LATE);
      expect(found.slowestBack, outcome.errors).toBeLessThan(2000);
      note({
        scenario: "a network that loses every packet",
        done: `${durations.length} times, 0.5 to 41 s, ${found.made} calls with a commandTimeout of ${COMMAND_TIMEOUT} ms`,
        found:
          `the slowest call settled after ${Math.round(found.slowest)} ms, ` +
          `traffic was back ${Math.round(found.slowestBack)} ms after healing at the latest`,
        promise: "every call by its deadline, back within 2 s",
      });
    });
  });
}
