/**
 * The Redis server of `docker-compose.yml`, where Docker runs.
 */
import { spawnSync } from "node:child_process";
import { ROOT } from "../setup.mjs";

/** Where the Compose file publishes Redis. */
export const COMPOSE_REDIS_URL = "redis://127.0.0.1:6379";

const QUESTION_DEADLINE_MS = 15_000;
const START_DEADLINE_MS = 5 * 60_000;

/**
 * Why Compose cannot be used here.
 *
 * @returns {string | undefined} a sentence, or nothing when it can be used
 */
export function composeProblem() {
  if (docker(["--version"]).status !== 0) return "Docker is not installed.";
  if (docker(["compose", "version"]).status !== 0) return "Docker is here, but its Compose plugin is not.";
  if (docker(["info"]).status !== 0) return "Docker is here, but its engine does not run.";
  return undefined;
}

/**
 * Starts the Redis service and returns when it is healthy.
 *
 * @returns {{ stop: () => void }} `stop` ends the service if it was not running before
 * @throws {Error} with Docker's own message
 */
export function startComposeRedis() {
  const wasRunning = docker(["compose", "ps", "--status", "running", "--quiet", "redis"]).stdout.trim() !== "";
  const { status, stderr, error } = docker(["compose", "up", "-d", "--wait", "redis"], START_DEADLINE_MS);
  if (status !== 0) throw new Error(`docker compose up failed: ${error?.message ?? stderr.trim()}`);
  return {
    stop() {
      if (!wasRunning) docker(["compose", "stop", "redis"]);
    },
  };
}

function docker(args, timeout = QUESTION_DEADLINE_MS) {
  const { status, stdout, stderr, error } = spawnSync("docker", args, { cwd: ROOT, encoding: "utf8", timeout });
  return { status, stdout: stdout ?? "", stderr: stderr ?? "", error };
}
