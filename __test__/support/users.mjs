/**
 * A user that may do what the store needs in a cluster and ask for its map, but may not ask a server for its name.
 */
import { secret } from "../../tooling/secrets.mjs";

const COMMANDS = [
  ["get", "set", "hget", "hset", "hdel", "hgetall", "unlink", "pexpire", "multi", "exec"],
  ["client|info", "client|kill", "cluster|slots", "asking"],
].flat();

/** What a configuration says. */
export const NAMELESS_USER = { username: "worker", password: secret("worker") };

/** What a server is started with. */
export const NAMELESS_USER_ARGS = ["--user", "worker", "on", `>${NAMELESS_USER.password}`, "~*", "-@all"].concat(
  COMMANDS.map((command) => `+${command}`),
);
