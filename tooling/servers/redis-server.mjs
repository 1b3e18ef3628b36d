/**
 * Private Redis servers on the loopback interface: started on a free port, ready when they answer, ended with the
 * process that started them. Plain Node.js, because it runs before anything is installed.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createConnection, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { findRedisServer, installAdvice } from "./redis-install.mjs";

export { ensureRedisServer, findRedisServer } from "./redis-install.mjs";

const HOST = "127.0.0.1";
const START_DEADLINE_MS = 10_000;
const STOP_DEADLINE_MS = 10_000;
const START_ATTEMPTS = 5;
const LOG_LIMIT = 64 * 1024;

/**
 * @typedef {object} RedisServer a private server, ready to be used
 * @property {string} url `redis://127.0.0.1:<port>`
 * @property {string} host
 * @property {number} port stays the same over restarts
 * @property {number} pid of the process that runs now
 * @property {string} dir where it keeps its data
 * @property {string} [unixSocketPath] where it listens besides the port
 * @property {() => Promise<void>} stop ends it for good and removes a temporary directory
 * @property {() => Promise<void>} kill SIGKILL; what is not in the append-only file is lost
 * @property {() => Promise<void>} restart starts it again on the same port, with its data; also after `kill`
 * @property {() => void} pause SIGSTOP: it keeps its connections and answers nothing
 * @property {() => void} resume SIGCONT
 * @property {() => string} log what it has printed last
 */

/**
 * Starts a private server that listens on 127.0.0.1 and resolves when it answers. It ends with this process at the
 * latest.
 *
 * @param {object} [options]
 * @param {string[]} [options.args] further `redis-server` arguments, such as `["--requirepass", "secret"]`
 * @param {number} [options.port] default: a free one
 * @param {string} [options.dir] its data; default: a temporary directory, removed at the end
 * @param {boolean | string} [options.unixSocket] listen on a Unix socket too: at this path, or `true` for one in `dir`
 * @param {boolean} [options.appendonly] keep an append-only file, so that data outlives `kill()`
 * @returns {Promise<RedisServer>}
 * @throws {Error} when there is no binary, or when the server does not answer within ten seconds
 */
export async function startRedis({ args = [], port, dir, unixSocket = false, appendonly = false } = {}) {
  const binary = findRedisServer();
  if (!binary) throw new Error(`No redis-server was found. ${installAdvice()}`);

  const temporary = dir === undefined;
  const home = dir ?? mkdtempSync(join(tmpdir(), "idioteque-redis-"));
  const unixSocketPath = unixSocket === true ? join(home, "redis.sock") : unixSocket || undefined;
  // A save point that is never reached: nothing is saved meanwhile, but SIGTERM saves, so that a restart keeps the data.
  const savePoint = ["31536000", "1000000000"];
  const common = ["--bind", HOST, "--dir", home, "--daemonize", "no", "--logfile", "", "--save", ...savePoint];
  common.push("--appendonly", appendonly ? "yes" : "no");
  if (unixSocketPath) common.push("--unixsocket", unixSocketPath, "--unixsocketperm", "700");

  const launch = (onPort) => launchProcess(binary, [...common, ...args, "--port", String(onPort)], onPort);
  let running;
  let listening = port;
  try {
    // Between looking for a free port and using it, another process may take it.
    for (let attempt = 1; !running; attempt += 1) {
      listening = port ?? (await freePort());
      running = await launch(listening).catch((error) => {
        if (port !== undefined || attempt === START_ATTEMPTS || !error.portTaken) throw error;
      });
    }
  } catch (error) {
    if (temporary) removeDirectory(home);
    throw error;
  }
  if (temporary) temporaryDirectories.add(home);

  return {
    url: `redis://${HOST}:${listening}`,
    host: HOST,
    port: listening,
    dir: home,
    unixSocketPath,
    get pid() {
      return running.child.pid;
    },
    log: () => running.log(),
    pause: () => void running.child.kill("SIGSTOP"),
    resume: () => void running.child.kill("SIGCONT"),
    kill: () => end(running, "SIGKILL"),
    async restart() {
      await end(running, "SIGTERM");
      running = await launch(listening);
    },
    async stop() {
      await end(running, temporary ? "SIGKILL" : "SIGTERM");
      if (temporary) removeDirectory(home);
    },
  };
}

/**
 * A port on 127.0.0.1 that nothing listens on at this moment.
 *
 * @returns {Promise<number>}
 */
export async function freePort() {
  const server = createServer().listen(0, HOST);
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
}

const children = new Set();
const temporaryDirectories = new Set();
let watching = false;

/** Sees to it that no server outlives this process, whether it ends by itself or by a signal it does not handle. */
function endWithThisProcess() {
  if (watching) return;
  watching = true;
  const clean = () => {
    for (const child of children) child.kill("SIGKILL");
    for (const dir of temporaryDirectories) removeDirectory(dir);
  };
  process.on("exit", clean);
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
    process.once(signal, () => {
      clean();
      // Somebody else who listens decides what follows; otherwise the signal does what it would have done.
      if (process.listenerCount(signal) === 0) process.kill(process.pid, signal);
    });
  }
}

async function launchProcess(binary, args, port) {
  endWithThisProcess();
  const child = spawn(binary, args, { stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text) => {
      output = (output + text).slice(-LOG_LIMIT);
    });
  }
  const exited = new Promise((resolve) => {
    child.once("error", (error) => resolve(`could not be started: ${error.message}`));
    child.once("close", (code, signal) => resolve(`ended with ${signal ?? `status ${code}`}`));
  });
  children.add(child);
  const running = { child, exited: exited.finally(() => children.delete(child)), log: () => output };

  const deadline = Date.now() + START_DEADLINE_MS;
  for (;;) {
    // Its own log as well: on a port that is taken, another server answers.
    const reported = output.includes("Ready to accept connections");
    const outcome = await Promise.race([reported ? answersPing(port) : delay(5), exited]);
    if (outcome === true) return running;
    if (typeof outcome === "string" || Date.now() > deadline) {
      await end(running, "SIGKILL");
      const reason = typeof outcome === "string" ? outcome : `did not answer within ${START_DEADLINE_MS / 1000} s`;
      const error = new Error(`redis-server ${reason}.\n${output.trim()}`);
      error.portTaken = /address already in use/i.test(output);
      throw error;
    }
    if (reported) await delay(5);
  }
}

/** True once the server answers commands; it may refuse them without a password, but it must have loaded its data. */
function answersPing(port) {
  return new Promise((resolve) => {
    const socket = createConnection({ host: HOST, port });
    const settle = (ready) => {
      socket.destroy();
      resolve(ready);
    };
    socket.setTimeout(1000, () => settle(false));
    socket.once("error", () => settle(false));
    socket.once("end", () => settle(false));
    socket.once("connect", () => socket.write("*1\r\n$4\r\nPING\r\n"));
    socket.once("data", (reply) => settle(/^(\+PONG|-NOAUTH)/.test(reply.toString("latin1"))));
  });
}

async function end(running, signal) {
  const { child, exited } = running;
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
  child.kill(signal);
  child.kill("SIGCONT");
  const timer = setTimeout(() => child.kill("SIGKILL"), STOP_DEADLINE_MS);
  await exited;
  clearTimeout(timer);
}

function removeDirectory(dir) {
  temporaryDirectories.delete(dir);
  rmSync(dir, { recursive: true, force: true });
}
