// The I/O thread of the process: what becomes of calls when somebody closes its descriptors, as another addon's double close
// does, and when the process has no thread left to look up a host name on.
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { runScript, startScript } from "../support/child.mjs";
import { sharedRedis } from "../support/redis.mjs";

const { url, newId } = sharedRedis();
const onLinux = it.runIf(process.platform === "linux");

/** For scripts: the descriptors by which this process waits for events, of which some are the engine's own. */
const POLLS = `
  import { closeSync, readdirSync, readlinkSync } from "node:fs";
  const isPoll = (fd) => {
    try {
      return readlinkSync("/proc/self/fd/" + fd) === "anon_inode:[eventpoll]";
    } catch {
      return false;
    }
  };
  const polls = () => readdirSync("/proc/self/fd").filter(isPoll);
`;

// The one by which this thread waits for the answers to lone calls; the one the I/O thread waits with, and the one that sockets are
// registered with: the same poll under two numbers.
onLinux.each([0, 1, 2])(
  "when descriptor number %i of ours is closed, calls settle and the next ones start another",
  async (which) => {
    const script = `${POLLS}
    const enginesOwn = polls();
    const store = createRedisStore(args.url, { commandTimeout: 5000 });
    await store.beginExecution(args.id);
    const ours = polls().filter((fd) => !enginesOwn.includes(fd));
    console.log(ours.length);
    closeSync(Number(ours[args.which]));
    const another = createRedisStore(args.url, { commandTimeout: 5001 });
    const calls = [store.beginExecutionTask(args.id, "task"), another.beginExecutionTask(args.id, "task")];
    for (const { status, reason } of await Promise.allSettled(calls)) {
      console.log(status === "fulfilled" || /(may have been|was not) applied/.test(reason.message) || reason.message);
    }
    const works = async (store) => {
      for (let tries = 1; ; tries += 1) {
        try {
          await store.beginExecutionTask(args.id, "task");
          return await store.isExecutionTaskInProgress(args.id, "task");
        } catch (error) {
          if (tries === 10) throw error;
        }
      }
    };
    console.log(await works(store), await works(another), await works(createRedisStore(args.url)));
    const before = process.cpuUsage();
    await new Promise((resolve) => setTimeout(resolve, 1000));
    const { user, system } = process.cpuUsage(before);
    console.log(user + system < 500_000);
    await Promise.all([store.disposeExecution(args.id), another.close()]);
    await store.close();
  `;
    const outcome = await runScript(script, { args: { url, id: newId(), which } });
    expect(outcome.lines, outcome.errors).toEqual(["3", "true", "true", "true true true", "true"]);
    expect(outcome.code).toBe(0);
  },
);

onLinux("a host name is looked up as soon as there is a thread for it, and other stores go on", async () => {
  const script = `
    import { once } from "node:events";
    const store = createRedisStore(args.url, { commandTimeout: 20_000 });
    await store.beginExecution(args.id);
    const limited = once(process, "SIGUSR2");
    // A signal that is waited for does not keep a process.
    const timer = setInterval(() => {}, 1000);
    console.log("running");
    await limited;
    clearInterval(timer);
    const named = createRedisStore(args.named, { commandTimeout: 20_000 });
    const answer = named.beginExecutionTask(args.id, "task").then(() => "found", (error) => error.message);
    const began = performance.now();
    while (performance.now() - began < 500) await store.isExecutionInProgress(args.id);
    console.log(await Promise.race([answer, "going on"]));
    console.log(await answer);
    await Promise.all([store.disposeExecution(args.id), named.close()]);
    await store.close();
  `;
  const named = new URL(url);
  named.hostname = "localhost";
  // The limit is on the threads of a user, and root has none.
  const within = process.getuid() === 0 ? ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] : [];
  const child = startScript(script, { args: { url, named: named.href, id: newId() }, within });
  const limit = (count) => {
    const [command, ...words] = [...within, "prlimit", "--pid", String(child.pid), `--nproc=${count}:`];
    execFileSync(command, words);
  };
  await child.printed("running");
  limit(1);
  process.kill(child.pid, "SIGUSR2");
  await child.printed("going on");
  limit(readFileSync(`/proc/${child.pid}/limits`, "utf8").match(/Max processes +\S+ +(\S+)/)[1]);
  const outcome = await child.ended;
  expect(outcome.lines, outcome.errors).toEqual(["running", "going on", "found"]);
  expect(outcome.code).toBe(0);
});
