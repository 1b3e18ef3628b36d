"use strict";
// What `--help` says: about all commands, and about each.

const COMMON = `Where to connect (else REDIS_URL, or the URL and token of Upstash or Vercel KV, in the environment):
  --url URL           redis://, rediss://, host:port or the path of a socket; - reads it from standard input, so that no password is among the arguments, which everybody on the machine can see
  --cluster           the URL is that of a node of a cluster
  --config FILE       a configuration as createRedisStore takes it, in JSON (Sentinel, TLS, Upstash); - is standard input
  --prefix TEXT       the stores' keyPrefix
  --hash-tags         the stores have hashTags
  --ttl DURATION      the stores' ttl: ages then follow from what is left of it
  --timeout DURATION  how long one answer is waited for (default 10s)

What is printed:
  --json              JSON: one document, or a line for each execution
  --debug             errors with all that is known of them

Durations are written as 500ms, 90s, 10m, 12h, 7d or 2w.
Exit status: 0 done, 1 doctor found a problem, there is no such execution or task, or nothing was changed, 2 wrong use, 3 no connection or the server refused, 130 Ctrl-C (with --watch 0).`;

const WATCH = `  --watch, -w         again and again, until Ctrl-C
  --interval DURATION how long between (default 2s)`;
const YES = "  --yes, -y           without a question; without a terminal nothing is changed unless this is given";
const READING = "+ping +client|no-touch +type +pttl +object|idletime +memory|usage +hlen +hscan";
const FINDING = `${READING} +scan +info +object|encoding +getrange`;

const ID = "6a1f0e9c-5b1c-4f4e-9a53-0d6cf6b2b1aa";

const COMMANDS = {
  doctor: {
    usage: "doctor",
    summary: "say what is good about the servers, and what is not",
    text: `Connects as the store would, and looks at version, role, persistence, eviction, memory, replicas, clients, round trip, clock, permissions, slots, and whether all stores that wrote there had the same options. Writes nothing. ✓ is good, ⚠ may become a problem, ✗ is one (exit status 1), · could not be looked at.`,
    options: WATCH,
    permissions: "+ping +info +time +config|get +cluster|info +scan +type +pttl; what is missing is not looked at",
    examples: ["doctor", "doctor --ttl 7d --json", "doctor --cluster --url rediss://node-1.internal:6379"],
  },
  list: {
    usage: "list [--stuck] [--orphans] [--older-than DURATION] [--match PATTERN] [--limit N] [--all]",
    summary: "list executions",
    text: `  --stuck             with tasks in progress, and nothing has happened for --older-than (default 10m)
  --orphans           results or in-progress marks whose execution is gone
  --older-than DURATION only if nothing has happened for so long, or nobody knows
  --match PATTERN     only ids that match: * ? [a-z] as in Redis
  --limit N           no more than that
  --all               also what merely looks like an execution: keys without hashes, and hashes without an execution, whose id is no UUID

Walks through all keys with pauses, so that the server has at least four fifths of its time for others. The idle time is that of the keys; what is read for it here does not count as use since Redis 7.2. Before that, only the execution's own key tells it, and hashes without one are not read. Under an LFU policy and at Upstash only --ttl tells ages.`,
    options: WATCH,
    permissions: FINDING,
    examples: ["list", "list --stuck --older-than 1h", "list --orphans --json"],
  },
  show: {
    usage: "show ID [--values] [--limit N] [--offset N]",
    summary: "show one execution and its tasks",
    text: `  --values            with the results of the tasks
  --limit N           tasks on a page (default 200 on a terminal, else 1000)
  --offset N          tasks to leave out before it

✓ is done, ● in progress. Tasks are in the order of their paths.`,
    options: WATCH,
    permissions: `${READING} +hmget`,
    examples: [`show ${ID}`, `show ${ID} --values --json`],
  },
  count: {
    usage: "count [--match PATTERN] [--all]",
    summary: "count executions, those in progress, orphans, bytes",
    text: "Walks through all keys, as list does.",
    options: WATCH,
    permissions: FINDING,
    examples: ["count", "count --json"],
  },
  release: {
    usage: "release ID TASK",
    summary: "remove the in-progress mark of a task",
    text: `A message for the task that is delivered again is then handled again. Nothing is delivered by this: if the queue has given the message up, it has to be sent anew. Do it only when no worker runs the task any more.`,
    options: YES,
    permissions: READING,
    examples: [`release ${ID} order:charge-card`],
  },
  dispose: {
    usage: "dispose ID…",
    summary: "delete executions",
    text: "Workers stop at the next task of an execution that is gone. What its tasks have done is not undone.",
    options: YES,
    permissions: READING,
    examples: [`dispose ${ID}`, "dispose $(cat ids.txt) --yes"],
  },
  sweep: {
    usage: "sweep --older-than DURATION [--stuck] [--any-age] [--match PATTERN] [--limit N] [--all]",
    summary: "delete orphans, and stuck executions",
    text: `  --older-than DURATION nothing younger is deleted
  --stuck             also executions with tasks in progress to which nothing has happened for so long
  --any-age           also what has an age that nobody knows
  --match PATTERN     only ids that match
  --limit N           no more than that
  --all               also what merely looks like the rest of an execution: its id is no UUID

Each is looked at once more in the step that deletes it (a script; in a cluster without hash tags, and where scripts are not permitted, just before).`,
    options: YES,
    permissions: `${FINDING} +eval +exists`,
    examples: ["sweep --older-than 7d", "sweep --older-than 30d --stuck --yes"],
  },
};

/** Lines of at most so many characters; the rest of an option goes on below where its text began. */
function wrap(text, width = 80) {
  return text
    .split("\n")
    .flatMap((line) => {
      const [begin] = /^ *(?:--?\S.*?(?: {2,}|(?:DURATION|N) (?=[a-z])))?/.exec(line);
      const indent = begin.trim() === "" ? begin.length : 22;
      const lines = begin.trim() === "" ? [begin] : [begin.trimEnd().padEnd(indent)];
      if (lines[0].length > indent) lines.push(" ".repeat(indent));
      let isEmpty = true;
      for (const word of line.slice(begin.length).split(" ")) {
        if (!isEmpty && lines.at(-1).length + 1 + word.length > width) {
          lines.push(" ".repeat(indent));
          isEmpty = true;
        }
        lines.push(`${lines.pop()}${isEmpty ? "" : " "}${word}`);
        isEmpty = false;
      }
      return lines.map((one) => one.trimEnd());
    })
    .join("\n");
}

function overview() {
  const width = Math.max(...Object.keys(COMMANDS).map((name) => name.length));
  const commands = Object.entries(COMMANDS).map(([name, { summary }]) => `  ${name.padEnd(width)}  ${summary}`);
  return wrap(`idioteque-redis: the executions of idioteque workers in Redis

Usage: idioteque-redis COMMAND [options]

${commands.join("\n")}

${COMMON}

idioteque-redis COMMAND --help says more about each, with examples.`);
}

/** @param {string} command */
function helpOf(command) {
  const { usage, summary, text, options, permissions, examples } = COMMANDS[command];
  return wrap(`Usage: idioteque-redis ${usage}

${summary[0].toUpperCase()}${summary.slice(1)}.

${text}

${options}

${COMMON}

Permissions beyond the store's: ${permissions}

Examples:
${examples.map((example) => `  idioteque-redis ${example}`).join("\n")}`);
}

module.exports = { helpOf, overview };
