// The worker's contract over servers that are almost Redis: each lacks something, and says so or hangs up.
import { afterAll, beforeAll, describe } from "vitest";
import { freePort } from "../../tooling/servers/redis-server.mjs";
import { describeContract } from "../support/contract.mjs";
import { MANNERS, startLesserRedis, startLesserServer, startSentinelOf } from "../support/lesser-servers.mjs";
import { sharedRedis } from "../support/redis.mjs";
import { startCluster } from "../support/topologies.mjs";

const { newId } = sharedRedis();

/** Each lack by itself, and all that a proxy such as twemproxy lacks at once. */
const OF_ONE_SERVER = [["CLIENT"], ["MULTI"], ["UNLINK"], ["CLIENT", "MULTI", "UNLINK", "ROLE", "INFO", "SELECT"]];

for (const manner of MANNERS) {
  for (const lacks of OF_ONE_SERVER) {
    describe(`a server without ${lacks.join(", ")}, answered ${manner}`, () => {
      let target;
      beforeAll(async () => {
        target = await startLesserRedis(lacks, manner);
      });
      afterAll(() => target?.stop());
      const input = { name: "its URL", backend: "redis", at: "url", make: ({ lesser }) => lesser };
      describeContract([input], () => ({ url: target.server.url, lesser: target.url }), newId);
    });
  }

  describe.each([[["ROLE"]], [["ROLE", "INFO"]], [["CLIENT", "ROLE", "MULTI"]]])(
    `a primary that sentinels name, without %s, answered ${manner}`,
    (lacks) => {
      let target;
      let sentinel;
      beforeAll(async () => {
        target = await startLesserRedis(lacks, manner);
        sentinel = await startSentinelOf(target);
      });
      afterAll(() => Promise.all([target?.stop(), sentinel?.stop()]));
      const input = {
        name: "sentinels",
        backend: "redis-sentinel",
        at: "url",
        make: ({ host, port }) => ({ sentinels: [{ host, port }], name: "main" }),
      };
      describeContract([input], () => ({ url: target.server.url, ...sentinel }), newId);
    },
  );
}

describe.each([
  ["SET … GET", "with an error"],
  ["CLIENT INFO", "by hanging up"],
])("a server without %s, answered %s", (lack, manner) => {
  let target;
  beforeAll(async () => {
    target = await startLesserRedis([lack], manner);
  });
  afterAll(() => target?.stop());
  const input = { name: "its URL", backend: "redis", at: "url", make: ({ lesser }) => lesser };
  describeContract([input], () => ({ url: target.server.url, lesser: target.url }), newId);
});

describe.each([
  [["CLUSTER MYID"], "with an error"],
  [["CLUSTER INFO"], "with an error"],
  [["CLIENT", "CLUSTER INFO", "UNLINK"], "by hanging up"],
  [["MULTI"], "with an error"],
])("the nodes of a cluster without %s, answered %s", (lacks, manner) => {
  let cluster;
  let node;
  beforeAll(async () => {
    // What the map names is the node itself, or the proxy in front of it.
    const announcedPort = await freePort();
    cluster = await startCluster({ announcedPort });
    node = await startLesserServer(cluster, lacks, manner, { port: announcedPort });
  });
  afterAll(() => Promise.all([node?.stop(), cluster?.stop()]));
  const input = { name: "an array", backend: "redis-cluster", at: "url", make: ({ lesser }) => [lesser] };
  describeContract([input], () => ({ url: cluster.url, lesser: node.url }), newId);
});
