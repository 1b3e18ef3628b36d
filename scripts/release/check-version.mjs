/**
 * `node scripts/release/check-version.mjs [TAG]` fails when not everything that names a version names the same one, or when
 * the tag of a release is for another. Prints the version.
 */
import { namedVersions, versionProblem } from "../../tooling/package/versions.mjs";

const versions = namedVersions();
const problem = versionProblem(versions, process.argv[2]);
if (problem === undefined) {
  console.log(versions["package.json"]);
} else {
  console.error(problem);
  process.exitCode = 1;
}
