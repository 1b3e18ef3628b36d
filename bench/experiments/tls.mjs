/**
 * What encryption costs: our store over TLS against our store in plaintext, on one server that listens for both.
 */
import { createAuthority } from "../../tooling/servers/certificates.mjs";
import { startTlsRedis } from "../../tooling/servers/tls.mjs";
import { runContender } from "../run-contender.mjs";

/**
 * @param {import("../experiments.mjs").Settings} settings
 * @returns {import("../experiments.mjs").Experiment[]}
 */
export function tlsExperiments({ warmUp, duration }) {
  return [256, 64].map((concurrency) => overTls(concurrency, { warmUp, duration }));
}

function overTls(concurrency, times) {
  const authority = createAuthority();
  let server;
  return {
    contenders: ["tls", "plaintext"],
    ours: "tls",
    baseline: "plaintext",
    cases: [
      {
        name: concurrency === 256 ? "tls" : `tls-${concurrency}`,
        title: `Store calls per second over TLS, against plaintext, ${concurrency} at a time`,
        figure: "callsPerSecond",
        unit: "calls/s",
        better: "higher",
      },
    ],
    async setUp() {
      server = await startTlsRedis(authority);
    },
    run(contender) {
      const { host, port, tlsPort } = server;
      const url = contender === "tls" ? { host, port: tlsPort, tls: { ca: authority.cert } } : { host, port };
      return runContender({ contender: "ours", url, workload: "throughput", params: { concurrency, ...times } });
    },
    tearDown: () => server?.stop(),
  };
}
