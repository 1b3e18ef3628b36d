/**
 * `node scripts/release/check-version.mjs [TAG]` fails when not everything that names a version names the same one, or when
 * the tag of a release is for another.
 */
import { namedVersions, versionProblem } from "../../tooling/package/versions.mjs";

const problem = versionProblem(namedVersions(), process.argv[2]);
if (problem !== undefined) {
  console.error(problem);
  process.exitCode = 1;
}
