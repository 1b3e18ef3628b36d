// How Linux schedules the I/O thread: it is to go first when it is woken, where the kernel offers that and nothing forbids to ask.
import { readFileSync } from "node:fs";
import { release } from "node:os";
import { expect, it } from "vitest";
import { runScript } from "../support/child.mjs";
import { sharedRedis } from "../support/redis.mjs";

const { url, newId } = sharedRedis();

/** The shortest slice that Linux takes, in nanoseconds. */
const SHORTEST = 100_000;

const status = process.platform === "linux" ? readFileSync("/proc/self/status", "utf8") : "";
const isFiltered = /^Seccomp:\s*[^0\s]/m.test(status);
const [major, minor] = release().split(".").map(Number);
const isOffered = major > 6 || (major === 6 && minor >= 12);

/** A script that prints nice value, policy and slice of the I/O thread and of the main thread; the slice as far as the kernel shows it. */
const SCRIPT = `
  import { existsSync, readdirSync, readFileSync } from "node:fs";
  const store = createRedisStore(args.url);
  await store.beginExecution(args.id);
  const tasks = "/proc/self/task";
  const read = (task, file) => readFileSync(tasks + "/" + task + "/" + file, "utf8");
  const ioThread = readdirSync(tasks).find((task) => read(task, "comm").trim() === "idioteque-redis");
  for (const task of [ioThread, process.pid]) {
    const fields = read(task, "stat").split(") ")[1].split(" ");
    const slice = existsSync(tasks + "/" + task + "/sched") && /^se\\.slice\\s*:\\s*(\\d+)/m.exec(read(task, "sched"));
    console.log(JSON.stringify({ nice: fields[16], policy: fields[38], slice: slice ? Number(slice[1]) : null }));
  }
  await store.disposeExecution(args.id);
  await store.close();
`;

it.runIf(process.platform === "linux")(
  "the I/O thread has the shortest slices where they are offered, and nothing else is changed",
  async () => {
    const { lines, errors } = await runScript(SCRIPT, { args: { url, id: newId() } });
    expect(lines, errors).toHaveLength(2);
    const [io, main] = lines.map((line) => JSON.parse(line));
    const isUsual = main.policy === "0" && main.slice !== null;
    const isShorter = isOffered && !isFiltered && isUsual;
    expect(io).toEqual({ ...main, slice: isShorter ? SHORTEST : main.slice });
    if (main.slice !== null) expect(main.slice).toBeGreaterThan(SHORTEST);
  },
);
