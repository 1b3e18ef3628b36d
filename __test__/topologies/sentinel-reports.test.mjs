// The reports of sentinels, and which of them counts: they are made up here, the servers that they name are real.
import { Redis } from "ioredis";
import { afterEach, expect, it } from "vitest";
import { eventually } from "../../tooling/eventually.mjs";
import { startFakeRedis } from "../support/fake-redis.mjs";
import { privateRedis } from "../support/redis.mjs";
import { temporaryClient, temporaryStore } from "../support/temporary.mjs";

const NAME = "main";

const fakes = [];
afterEach(async () => {
  for (const fake of fakes.splice(0)) await fake.stop();
});

async function startFake(answer) {
  const fake = await startFakeRedis(answer);
  fakes.push(fake);
  return fake;
}

const bulk = (text) => `$${Buffer.byteLength(text)}\r\n${text}\r\n`;
const list = (entries) => `*${entries.length}\r\n${entries.join("")}`;
const fields = (object) => list(Object.entries(object).flat().map(String).map(bulk));

/**
 * A sentinel that answers with `report` as it is at the time.
 *
 * @param {object} report
 * @param {{ port: number }} report.primary the server that it names as the primary
 * @param {number} report.epoch
 * @param {{ port: number }} [report.promoted] the replica that it has promoted
 * @param {string} [report.replicas] its answer about replicas, if not that
 * @param {{ port: number }} [report.other] another sentinel that it knows
 * @param {object} [options]
 * @param {number} [options.answers] on how many connections it answers
 */
async function startSentinel(report, { answers: answered = Number.POSITIVE_INFINITY } = {}) {
  const described = ({ port }, flags) => fields({ ip: "127.0.0.1", port, flags });
  const answers = {
    "GET-MASTER-ADDR-BY-NAME": () => list(["127.0.0.1", String(report.primary.port)].map(bulk)),
    MASTER: () =>
      fields({ "config-epoch": report.epoch, flags: report.promoted ? "master,failover_in_progress" : "master" }),
    SENTINELS: () => list(report.other ? [described(report.other, "sentinel")] : []),
    REPLICAS: () => report.replicas ?? list(report.promoted ? [described(report.promoted, "slave,promoted")] : []),
  };
  const sentinel = await startFake(({ command: [name, ...args] }) => {
    if (sentinel.connections > answered) return undefined;
    return name === "SUBSCRIBE" ? list([bulk("subscribe"), bulk(args[0]), ":1\r\n"]) : answers[args[0].toUpperCase()]();
  });
  return sentinel;
}

/** Resolves when a sentinel was asked so many times from now on, each time in a connection of its own. */
async function asked(sentinel, times) {
  const enough = sentinel.connections + times;
  await eventually(() => sentinel.connections >= enough, { message: "questions to a sentinel" });
}

/** A store over sentinels, and two servers that they may name. */
async function over(sentinels, make = (redis) => redis, options = {}) {
  const redis = { sentinels: sentinels.map(({ host, port }) => ({ host, port })), name: NAME, ...options };
  const store = temporaryStore(make(redis));
  let calls = 0;
  /** Resolves when a call has arrived on a server. */
  const arrivesAt = (server) => {
    const admin = temporaryClient(server);
    const arrived = async () => {
      const id = `execution-${calls++}`;
      await store.beginExecution(id);
      return (await admin.exists(id)) === 1;
    };
    return eventually(arrived, { deadline: 20_000, message: `a call at ${server.port}` });
  };
  return { store, arrivesAt };
}

const servers = () => Promise.all([privateRedis(), privateRedis()]);

it("a replica that was promoted is used as soon as its ROLE is master, and no longer the old one", async () => {
  const [before, after] = await servers();
  const replication = temporaryClient(after);
  await replication.replicaof("127.0.0.1", before.port);
  const [leader, other] = [
    { primary: before, epoch: 7 },
    { primary: before, epoch: 7 },
  ];
  const sentinels = await Promise.all([other, leader].map(startSentinel));
  const { arrivesAt } = await over(sentinels);
  await arrivesAt(before);
  leader.promoted = after;
  await asked(sentinels[1], 2);
  // It is being promoted, but is still a replica.
  await arrivesAt(before);
  await replication.replicaof("NO", "ONE");
  await arrivesAt(after);
  // The other sentinel differs for the while, and then has the same.
  const old = temporaryClient(before);
  const { length } = await old.keys("*");
  for (let call = 0; call < 20; call++) await arrivesAt(after);
  Object.assign(leader, { primary: after, epoch: 8, promoted: undefined });
  await arrivesAt(after);
  Object.assign(other, { primary: after, epoch: 8 });
  await arrivesAt(after);
  expect(await old.keys("*")).toHaveLength(length);
});

it("the report of a failover's leader counts even when only others answer afterwards", async () => {
  const [before, after] = await servers();
  const other = await startSentinel({ primary: before, epoch: 7 });
  const leader = await startSentinel({ primary: before, epoch: 7, promoted: after }, { answers: 1 });
  const { arrivesAt } = await over([other, leader]);
  await arrivesAt(after);
  await asked(other, 2);
  await arrivesAt(after);
  expect(await temporaryClient(before).dbsize()).toBe(0);
});

it("a failover that is given up leads back to the old primary", async () => {
  const [before, after] = await servers();
  const report = { primary: before, epoch: 7, promoted: after };
  const { arrivesAt } = await over([await startSentinel(report)]);
  await arrivesAt(after);
  report.promoted = undefined;
  await arrivesAt(before);
});

it("sentinels that were set up anew, so that their epochs begin again, count after some time", async () => {
  const [before, after] = await servers();
  const report = { primary: before, epoch: 40 };
  const { arrivesAt } = await over([await startSentinel(report)]);
  await arrivesAt(before);
  Object.assign(report, { primary: after, epoch: 0 });
  await arrivesAt(after);
});

it("without permission for SENTINEL REPLICAS the primary that is named counts", async () => {
  const [before, after] = await servers();
  const refusal = "-NOPERM User store has no permissions to run the 'sentinel|replicas' command\r\n";
  const report = { primary: before, epoch: 7, promoted: after, replicas: refusal };
  const { arrivesAt } = await over([await startSentinel(report)]);
  await arrivesAt(before);
  Object.assign(report, { primary: after, epoch: 8, promoted: undefined });
  await arrivesAt(after);
});

it("one sentinel that is right is enough among others that send malformed replies, too many, or none", async () => {
  const [primary, nobody] = await servers();
  const nested = `${"*1\r\n".repeat(200)}:1\r\n`;
  const liars = [
    () => "+OK\r\n",
    () => "$-1\r\n",
    () => "*-1\r\n",
    () => "hello\r\n",
    () => "*1000000000\r\n",
    () => "$999999999999\r\n",
    () => nested,
    () => undefined,
    ({ socket }) => void socket.destroy(),
    ({ command }) => (command[1] === "GET-MASTER-ADDR-BY-NAME" ? list([bulk("127.0.0.1"), bulk("99999")]) : list([])),
    ({ command: [name, question] }) =>
      name === "SUBSCRIBE" || question !== "SENTINELS"
        ? "+OK\r\n"
        : list(Array.from({ length: 1000 }, (_, index) => fields({ ip: `\0${index}`, port: index }))),
  ];
  const sentinels = await Promise.all([...liars.map(startFake), startSentinel({ primary, epoch: 1 })]);
  const { store, arrivesAt } = await over(sentinels);
  await arrivesAt(primary);
  await store.beginExecution("execution");
  expect(await store.isExecutionInProgress("execution")).toBe(true);
  expect(await temporaryClient(nobody).dbsize()).toBe(0);
});

it("a sentinel that keeps publishing is asked no more often for it than twenty times a second", async () => {
  const [primary] = await servers();
  const report = { primary, epoch: 1 };
  const quiet = await startSentinel(report);
  let talking;
  const talker = await startFake(({ command: [name], socket }) => {
    if (name !== "SUBSCRIBE") return "*-1\r\n";
    clearInterval(talking);
    talking = setInterval(() => socket.write("+news\r\n"), 1);
    return undefined;
  });
  const { store, arrivesAt } = await over([talker, quiet]);
  try {
    await arrivesAt(primary);
    const [connections, started] = [quiet.connections, performance.now()];
    await eventually(() => quiet.connections >= connections + 20, { deadline: 20_000, message: "questions" });
    const seconds = (performance.now() - started) / 1000;
    expect(20 / seconds).toBeLessThan(25);
    await store.beginExecution("meanwhile");
  } finally {
    clearInterval(talking);
  }
});

// As when an address that a sentinel announces is another system's from where the store runs.
it.each([
  ["a configuration", (redis) => redis],
  ["an ioredis instance", (redis) => new Redis({ ...redis, lazyConnect: true })],
])("with updateSentinels: false in %s, no sentinel is asked but those that were given", async (_, make) => {
  const [before, after] = await servers();
  const stranger = await startSentinel({ primary: after, epoch: 99 });
  const given = await startSentinel({ primary: before, epoch: 7, other: stranger });
  const strict = await over([given], make, { updateSentinels: false });
  await strict.arrivesAt(before);
  await asked(given, 3);
  await strict.arrivesAt(before);
  expect(stranger.connections).toBe(0);
  expect(await temporaryClient(after).dbsize()).toBe(0);
  // By default those that are named are asked.
  const usual = await over([given], make, { updateSentinels: true });
  await usual.arrivesAt(after);
});
