// Next.js with the package outside of the bundle, in an example that shares its worker with others.
import { fileURLToPath } from "node:url";

// The checkout, because this example shares its worker and its workflow with others. An app that is complete in its own
// directory needs neither `outputFileTracingRoot` nor `turbopack.root`.
const root = fileURLToPath(new URL("../..", import.meta.url));

export default {
  // The package has to stay outside of the bundle: a native addon is loaded from a file, which Next.js then traces.
  serverExternalPackages: ["@idioteque/redis"],
  outputFileTracingRoot: root,
  turbopack: { root },
};
