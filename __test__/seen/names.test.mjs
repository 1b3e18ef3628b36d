// Connections tell servers who is connected, and need no server that wants to know.
import { Redis } from "ioredis";
import { expect, it } from "vitest";
import { createRedisStore } from "../../index.js";
import { secret } from "../../tooling/secrets.mjs";
import { startFakeRedis } from "../support/fake-redis.mjs";
import { privateRedis } from "../support/redis.mjs";

const { version } = JSON.parse(
  await import("node:fs").then(({ readFileSync }) =>
    readFileSync(new URL("../../package.json", import.meta.url), "utf8"),
  ),
);

it("a connection has a name in the server's list, the caller's if there is one", async () => {
  const server = await privateRedis();
  const admin = new Redis(server.url);
  const names = async () => [...(await admin.client("LIST")).matchAll(/ name=(\S+) /g)].map(([, name]) => name).sort();
  const stores = [createRedisStore(server.url), createRedisStore({ port: server.port, connectionName: "orders" })];
  try {
    await Promise.all(stores.map((store) => store.beginExecution("named")));
    expect(await names()).toEqual(["idioteque-redis", "orders"]);
  } finally {
    await Promise.all(stores.map((store) => store.close()));
    admin.disconnect();
  }
});

it("names and library are sent with the rest of the handshake, which does not wait for them", async () => {
  const commands = [];
  const fake = await startFakeRedis(({ command }) => {
    commands.push(command);
    return command[0] === "GET" ? "$4\r\ntrue\r\n" : "-ERR unknown command\r\n";
  });
  const store = createRedisStore(`redis://127.0.0.1:${fake.port}`, { readAhead: false });
  try {
    expect(await store.isExecutionInProgress("one")).toBe(true);
    expect(commands).toEqual([
      ["CLIENT", "SETNAME", "idioteque-redis"],
      ["CLIENT", "SETINFO", "LIB-NAME", "idioteque-redis"],
      ["CLIENT", "SETINFO", "LIB-VER", version],
      ["CLIENT", "INFO"],
      ["GET", "one"],
    ]);
  } finally {
    await store.close();
    await fake.stop();
  }
});

it("a user who may not is connected all the same", async () => {
  const password = secret("nameless");
  const user = ["--user", "nameless", "on", `>${password}`, "~*", "+@all", "-client|setname", "-client|info"];
  const server = await privateRedis({ args: user });
  const store = createRedisStore(`redis://nameless:${password}@127.0.0.1:${server.port}`);
  await store.beginExecution("nameless");
  expect(store.status).toBe("ready");
  await store.close();
});
