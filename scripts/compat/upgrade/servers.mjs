/**
 * The servers that both releases share: one, a cluster, one behind sentinels, and an endpoint with Upstash's protocol.
 */
import { Cluster, Redis } from "ioredis";
import { startMasters } from "../../../tooling/servers/cluster.mjs";
import { startRedis } from "../../../tooling/servers/redis-server.mjs";
import { startRestEndpoint } from "../../../tooling/servers/rest-endpoint.mjs";
import { MASTER, startSentinels } from "../../../tooling/servers/sentinels.mjs";

/**
 * @returns what is in use, with the clients that look into it, and `stop`, which ends all that was started
 */
export async function startServers() {
  const started = [];
  const stop = async () => {
    for (const end of started.reverse()) await end();
  };
  const later = (end) => started.push(end);
  try {
    const server = await startRedis();
    later(() => server.stop());
    const admin = new Redis(server.url);
    later(() => admin.disconnect());
    const rest = await startRestEndpoint({ redisUrl: server.url });
    later(() => rest.stop());
    const masters = await startMasters({ replicas: 0 });
    later(() => masters.stop());
    const cluster = new Cluster(masters.startup);
    later(() => cluster.disconnect());
    const watched = await startSentinels({ replicas: 1 });
    later(() => watched.stop());
    const primary = new Redis((await watched.primary()).url);
    later(() => primary.disconnect());
    return {
      redis: { server, admin },
      rest,
      cluster: { startup: masters.startup, admin: cluster, admins: masters.masters.map((node) => node.admin) },
      sentinels: { addresses: watched.addresses, name: MASTER, admin: primary },
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}
