import { dirname } from "node:path";
import { fileURLToPath } from "node:url";

// The directory above, because this example shares its worker and its workflow with others. An app that is complete in its
// own directory needs neither `outputFileTracingRoot` nor `turbopack.root`.
const root = dirname(dirname(fileURLToPath(import.meta.url)));

export default {
  // The package has to stay outside of the bundle: a native addon is loaded from a file, which Next.js then traces.
  serverExternalPackages: ["@idioteque/redis"],
  outputFileTracingRoot: root,
  turbopack: { root },
};
