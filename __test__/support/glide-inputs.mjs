/**
 * Clients of valkey-glide, one row for each that the contract is checked on.
 */
import { Decoder, GlideClient, GlideClusterClient, Logger } from "@valkey/valkey-glide";

// It prints a warning whenever a server refuses a command, which tests make it do.
Logger.init("off");

const open = (Client, url, defaultDecoder) => {
  const { hostname: host, port } = new URL(url);
  return Client.createClient({ addresses: [{ host, port: Number(port) }], defaultDecoder, requestTimeout: 10_000 });
};

/** @type {import("./inputs.mjs").Input[]} */
export const GLIDE_INPUTS = [
  ["", Decoder.String],
  [" that answers with bytes", Decoder.Bytes],
].flatMap(([label, decoder]) =>
  [
    { name: `valkey-glide${label}`, at: "url", make: ({ url }) => open(GlideClient, url, decoder) },
    {
      name: `a cluster of valkey-glide${label}`,
      at: "clusterUrl",
      make: ({ clusterUrl }) => open(GlideClusterClient, clusterUrl, decoder),
    },
  ].map((input) => ({ backend: "client", end: (client) => client.close(), ...input })),
);
