/**
 * Random interleavings of stores and a plain client, every command of theirs in one known order, against a model of
 * what Redis held after each: no answer may be one that was not true at some moment between the round trip of its turn and
 * now, nor be older than another one that this thread has had before; and over one connection all answers are of moments in
 * their order, those among them that one call brought of one moment.
 */
import { randomInt } from "node:crypto";
import { setTimeout as delay, setImmediate as nextIteration } from "node:timers/promises";
import { inspect, isDeepStrictEqual } from "node:util";
import { Redis } from "ioredis";
import { afterAll, beforeAll, expect, it } from "vitest";
import { createRedisStore } from "../../index.js";
import { ioredisConfiguration } from "../support/inputs.mjs";
import { createRandom } from "../support/random.mjs";
import { sharedRedis } from "../support/redis.mjs";
import { startSequencer } from "../support/sequencer.mjs";

const RUNS = 30;
const STEPS = 150;
const TASKS = ["a", "b", "__proto__"];
/** Callers side by side, and the calls that each makes. */
const CALLERS = 3;
const CALLS = 100;
/** How likely the plain client is to come in between any two commands. */
const MEDDLING = 0.2;
/** How likely a command is refused for now, and a connection is cut before it. */
const REFUSED = 0.003;
const CUT = 0.001;
/** How many turns of the event loop an answer may be kept, so that several arrive together. */
const KEPT = [0, 0, 1, 5, 20];

const { url, admin, newId } = sharedRedis();
let sequencer;

beforeAll(async () => {
  sequencer = await startSequencer(ioredisConfiguration(url));
});

afterAll(() => sequencer?.stop());

/** What Redis holds, as one version per write; what is sent to Redis has to be passed to the model. */
function createModel() {
  const versions = [new Map()];
  const commands = {
    SET: (keys, [key, value]) => keys.set(key, value),
    HSET: (keys, [key, field, value]) => keys.set(key, new Map(keys.get(key)).set(field, value)),
    HDEL(keys, [key, field]) {
      const fields = new Map(keys.get(key));
      fields.delete(field);
      keys.set(key, fields);
    },
    DEL(keys, names) {
      for (const key of names) keys.delete(key);
    },
    UNLINK: (keys, names) => commands.DEL(keys, names),
  };
  const readings = {
    isExecutionInProgress: (keys, id) => keys.has(id),
    isExecutionTaskInProgress: (keys, id, task) => keys.get(`${id}-transactions`)?.has(task) ?? false,
    getExecutionTaskResult(keys, id, task) {
      const json = keys.get(`${id}-results`)?.get(task);
      return json === undefined ? undefined : JSON.parse(json);
    },
    getExecutionTaskResults(keys, id) {
      const table = Object.create(null);
      for (const [task, json] of keys.get(`${id}-results`) ?? []) table[task] = JSON.parse(json);
      return table;
    },
  };
  return {
    get latest() {
      return versions.length - 1;
    },
    /** Several commands at once make one version, as in a transaction. */
    apply(...list) {
      const writes = list.filter(([name]) => name in commands);
      if (writes.length === 0) return;
      const keys = new Map(versions.at(-1));
      for (const [name, ...args] of writes) commands[name](keys, args);
      versions.push(keys);
    },
    isReading: (name) => name in readings,
    /** What a question is rightly answered with at any version from `since` on. */
    answers: (since, name, args) => versions.slice(since).map((keys) => readings[name](keys, ...args)),
  };
}

/** Passes every command to the model, and lets the plain client come in between. */
function connectModel(model, random, ids, network = sequencer) {
  let told = sequencer.passed.length;
  let value = 0;
  const plainWrites = [
    (id) => ["SET", id, "true"],
    (id) => ["UNLINK", id],
    (id) => ["UNLINK", id, `${id}-transactions`, `${id}-results`],
    (id) => ["HSET", `${id}-transactions`, random.pick(TASKS), "true"],
    (id) => ["HDEL", `${id}-transactions`, random.pick(TASKS)],
    (id) => ["HSET", `${id}-results`, random.pick(TASKS), `{"plain":${++value}}`],
    (id) => ["HDEL", `${id}-results`, random.pick(TASKS)],
  ];
  const meddle = async () => {
    const command = random.pick(plainWrites)(random.pick(ids));
    await admin.call(...command);
    model.apply(command);
  };
  network.beforeEach(async (next) => {
    if (random.chance(MEDDLING)) await meddle();
    next.version = model.latest;
  });
  sequencer.afterEach(() => {
    const done = sequencer.passed.slice(told).filter(({ refused }) => !refused);
    model.apply(...done.map(({ command }) => command));
    told = sequencer.passed.length;
  });
  return { meddle: () => sequencer.exclusively(meddle) };
}

/** A question or a write about an execution, with its arguments. */
function callTo(name, id, random, value) {
  const args = [id];
  if (name.includes("ExecutionTask") && name !== "getExecutionTaskResults") args.push(random.pick(TASKS));
  if (name === "commitExecutionTaskResult") args.push(value());
  return { name, args };
}

/** One caller: a random sequence of calls on one store, most in a row, some after a callback of another kind. */
class Caller {
  answeredWithoutAsking = 0;
  #store;
  #connection;
  #model;
  #random;
  #ids;
  #say;
  /** The execution it is busy with. */
  #id;
  #values = 0;
  /** The last round trip: its executions, and the version of which its answers may be. */
  #trip = { ids: [], since: 0 };
  /** A callback other than a microtask has run since. */
  #left = true;

  constructor({ store, connection, model, random, ids, say }) {
    this.#store = store;
    this.#connection = connection;
    this.#model = model;
    this.#random = random;
    this.#ids = ids;
    this.#id = ids[0];
    this.#say = say;
  }

  async run(meddle) {
    const callbacks = [nextIteration, () => delay(0), () => new Promise(process.nextTick), () => admin.ping(), meddle];
    const microtasks = [
      async () => {
        for (let i = 0; i < 100; i += 1) await null;
      },
      () => Promise.allSettled([Promise.reject(new Error("no")), null]),
    ];
    for (let step = 0; step < STEPS; step += 1) {
      if (this.#random.chance(0.15)) {
        await this.#random.pick(callbacks)();
        this.#left = true;
      } else if (this.#random.chance(0.1)) {
        await this.#random.pick(microtasks)();
      }
      const kind = this.#random.pick(["one", "one", "one", "one", "one", "two", "not awaited"]);
      if (kind === "one") await this.#perform([this.#anyCall()]);
      else if (kind === "two") await this.#perform([this.#anyCall(), this.#anyCall()]);
      else await this.#overtake();
    }
  }

  #anyCall(names = [...READS, ...READS, ...READS, ...WRITES]) {
    const name = this.#random.pick(names);
    if (this.#random.chance(0.15)) this.#id = this.#random.pick(this.#ids);
    return callTo(name, this.#id, this.#random, () => ({ committed: ++this.#values, by: this.#connection }));
  }

  /** Makes calls side by side and checks the answers. */
  async #perform(calls) {
    const from = sequencer.passed.length;
    const answers = await Promise.all(calls.map(({ name, args }) => this.#store[name](...args)));
    const earlier = this.#left ? undefined : this.#trip;
    this.#noteTrip(calls, from);
    for (const [index, call] of calls.entries()) {
      // Of two calls, one may have been answered from the turn before while the other was sent.
      const known = calls.length > 1 && earlier?.ids.includes(call.args[0]);
      this.#check(call, answers[index], known ? Math.min(earlier.since, this.#trip.since) : this.#trip.since);
    }
  }

  /** Makes a write and, before that is answered, asks about its execution: the question is sent, and sees the write. */
  async #overtake() {
    const write = this.#anyCall(WRITES);
    const question = this.#anyCall(READS);
    write.args[0] = question.args[0];
    if (write.args.length > 1) {
      // What is known of another task, or of the execution, stays.
      if (question.name === "isExecutionInProgress") question.name = "getExecutionTaskResults";
      if (question.args.length > 1) question.args[1] = write.args[1];
    }
    const from = sequencer.passed.length;
    const written = this.#store[write.name](...write.args);
    const answer = await this.#store[question.name](...question.args);
    if (!this.#firstCommand(from)) expect.fail(this.#say(`${question.name} behind ${write.name} was not sent`));
    this.#noteTrip([write], from);
    this.#check(question, answer, this.#trip.since);
    await written;
  }

  /** The first command of this caller's since then. */
  #firstCommand(from) {
    return sequencer.passed.slice(from).find(({ connection }) => connection === this.#connection);
  }

  /** Finds out whether Redis was asked, and what it held then. */
  #noteTrip(calls, from) {
    const asked = this.#firstCommand(from);
    if (!asked) {
      this.answeredWithoutAsking += calls.length;
      for (const { name, args } of calls) {
        const valid = !this.#left && this.#trip.ids.includes(args[0]);
        if (!valid) expect.fail(this.#say(`${name}(${args.join(", ")}) was answered from an earlier turn`));
      }
      return;
    }
    const alone = calls.length === 1 && !this.#model.isReading(calls[0].name);
    // A write's own turn begins with what it wrote.
    this.#trip = { ids: calls.map(({ args }) => args[0]), since: asked.version + (alone ? 1 : 0) };
    this.#left = false;
  }

  #check({ name, args }, answer, since) {
    if (!this.#model.isReading(name)) {
      expect(answer).toBeUndefined();
      return;
    }
    const right = this.#model.answers(since, name, args);
    if (right.some((candidate) => isDeepStrictEqual(candidate, answer))) return;
    const shown = `${name}(${args.join(", ")}) = ${JSON.stringify(answer)}`;
    expect.fail(this.#say(`${shown}, but since this turn's round trip only ${JSON.stringify(right)} was true`));
  }
}

const READS = [
  "isExecutionInProgress",
  "isExecutionTaskInProgress",
  "getExecutionTaskResult",
  "getExecutionTaskResults",
];
const WRITES = ["beginExecution", "beginExecutionTask", "commitExecutionTaskResult", "disposeExecution"];

/** Fails with the seed and what went through last. */
const sayWith = (seed) => (what) =>
  `seed ${seed} (READ_AHEAD_SEED): ${what}\n${sequencer.passed
    .slice(-20)
    .map(({ connection, command }) => `  ${connection}: ${command.join(" ")}`)
    .join("\n")}`;

const newSeed = () => Number(process.env.READ_AHEAD_SEED ?? randomInt(2 ** 32));

it("no answer is one that was not true since its turn's round trip, whichever client writes in between", async () => {
  let hits = 0;
  for (let run = 0; run < RUNS; run += 1) {
    const seed = newSeed();
    const say = sayWith(seed);
    const ids = [newId(), newId()];
    const model = createModel();
    const { meddle } = connectModel(model, createRandom(seed), ids);
    const callers = [];
    const stores = [];
    for (const [index, connectTimeout] of [4998, 4999].entries()) {
      // With settings of its own, a store has a connection of its own.
      const store = createRedisStore(sequencer.url, { connectTimeout });
      stores.push(store);
      await store.isExecutionInProgress(ids[0]);
      const { connection } = sequencer.passed.at(-1);
      callers.push(new Caller({ store, connection, model, random: createRandom(seed + index + 1), ids, say }));
    }
    await Promise.all(callers.map((caller) => caller.run(meddle)));
    for (const store of stores) await store.close();
    for (const { answeredWithoutAsking } of callers) hits += answeredWithoutAsking;
  }
  expect(hits, "answers without a round trip").toBeGreaterThan(10 * RUNS);
});

/** Makes the network of all but one connection a bad one: answers arrive late and together, or are lost. */
function disturb(random, spared) {
  const isDisturbed = ({ connection, command: [name] }) => connection !== spared && name !== "CLIENT";
  let meddle;
  const before = async (next) => {
    await meddle(next);
    if (isDisturbed(next) && random.chance(REFUSED)) next.refusal = "TRYAGAIN later";
    else if (isDisturbed(next) && random.chance(CUT)) sequencer.cut(next.connection);
  };
  sequencer.delayAnswers(() => random.pick(KEPT));
  return {
    /** What happens before each command besides. */
    beforeEach(hook) {
      meddle = hook;
      sequencer.beforeEach(before);
    },
    stop() {
      sequencer.delayAnswers(() => 0);
      sequencer.beforeEach(() => {});
    },
  };
}

/** This thread is held up, so that the answers of several connections find it busy. */
const holdUp = () => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);

it("no answer is older than another one that this thread has had before", async () => {
  let hits = 0;
  for (let run = 0; run < RUNS; run += 1) {
    const seed = newSeed();
    const say = sayWith(seed);
    const random = createRandom(seed);
    const ids = [newId()];
    const model = createModel();
    // With settings of its own, a store has a connection of its own.
    const stores = [4998, 4999].map((connectTimeout) => createRedisStore(sequencer.url, { connectTimeout }));
    const client = new Redis(sequencer.url);
    client.on("error", () => {});
    await client.ping();
    const network = disturb(createRandom(seed + 1), sequencer.passed.at(-1).connection);
    stores.push(createRedisStore(client, { connection: "client" }));
    const { meddle } = connectModel(model, createRandom(seed + 2), ids, network);
    /**
     * The first version that all further answers can be of, per execution: the latest beginning of a call that was answered.
     * Its own version would be more than is promised: a call and what it carries are several commands, and others may come
     * in between.
     */
    const known = new Map(ids.map((id) => [id, 0]));
    let values = 0;

    const perform = async (store, { name, args }) => {
      const [id] = args;
      const begun = model.latest;
      const asOf = known.get(id);
      const answered = store[name](...args);
      // What is known already has no need to wait.
      const isAsked = inspect(answered).includes("<pending>");
      const answer = await answered;
      if (isAsked) known.set(id, Math.max(known.get(id), begun));
      else hits += 1;
      if (!model.isReading(name)) return;
      const since = isAsked ? begun : asOf;
      const right = model.answers(since, name, args);
      if (right.some((candidate) => isDeepStrictEqual(candidate, answer))) return;
      const shown = `${name}(${args.join(", ")}) = ${JSON.stringify(answer)} ${isAsked ? "from Redis" : "read ahead"}`;
      expect.fail(say(`${shown}, but since what was known before only ${JSON.stringify(right)} was true`));
    };
    const caller = async () => {
      let store = random.pick(stores);
      for (let call = 0; call < CALLS; call += 1) {
        const name = random.pick(random.chance(0.05) ? WRITES : READS);
        await perform(
          store,
          callTo(name, random.pick(ids), random, () => ({ n: ++values })),
        );
        if (random.chance(0.6)) continue;
        await random.pick([nextIteration, () => delay(0), meddle])();
        if (random.chance(0.2)) holdUp();
        store = random.pick(stores);
      }
    };
    await Promise.all(Array.from({ length: CALLERS }, caller));
    network.stop();
    for (const store of stores) await store.close();
    client.disconnect();
  }
  expect(hits, "answers without a round trip").toBeGreaterThan(RUNS);
});

it("answers over one connection are of moments in their order, whoever comes in between any two commands", async () => {
  let hits = 0;
  for (let run = 0; run < RUNS; run += 1) {
    const seed = newSeed();
    const say = sayWith(seed);
    const random = createRandom(seed);
    const ids = [newId()];
    const model = createModel();
    const store = createRedisStore(sequencer.url);
    await store.isExecutionInProgress(ids[0]);
    connectModel(model, createRandom(seed + 1), ids);
    // Answers to several callers arrive together.
    sequencer.delayAnswers(() => random.pick(KEPT));
    /** The earliest version that the next answer can be of. */
    let moment = 0;
    let values = 0;

    const caller = async () => {
      for (let call = 0; call < CALLS; call += 1) {
        const { name, args } = callTo(random.pick(random.chance(0.1) ? WRITES : READS), ids[0], random, () => ({
          n: ++values,
        }));
        const answered = store[name](...args);
        if (!inspect(answered).includes("<pending>")) hits += 1;
        const answer = await answered;
        if (model.isReading(name)) {
          const right = model.answers(moment, name, args);
          const later = right.findIndex((candidate) => isDeepStrictEqual(candidate, answer));
          const shown = `${name}(${args.join(", ")}) = ${JSON.stringify(answer)}`;
          if (later === -1)
            expect.fail(say(`${shown}, but since the answer before only ${JSON.stringify(right)} was true`));
          moment += later;
        }
        if (random.chance(0.3)) await nextIteration();
      }
    };
    await Promise.all(Array.from({ length: CALLERS }, caller));
    sequencer.delayAnswers(() => 0);
    sequencer.beforeEach(() => {});
    await store.close();
  }
  expect(hits, "answers without a round trip").toBeGreaterThan(RUNS);
});
