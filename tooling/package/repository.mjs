/**
 * The repository in what is published: `repository`, `bugs` and `homepage` of package.json, and the links of the README, which
 * lead nowhere on a page that is not in the repository. All of it comes from the environment of the workflow that publishes, so
 * that a fork, or a repository that was moved, publishes with its own address. Plain functions of their arguments.
 */
import { posix } from "node:path";
import { changeLinks } from "../markdown.mjs";

const NAME = /^[\w.-]+\/[\w.-]+$/;
const IMAGE = /\.(avif|gif|jpe?g|png|svg|webp)$/i;

/**
 * @typedef {object} Repository
 * @property {string} url of its page, without a slash at the end
 * @property {string} revision the tag or commit that is published
 */

/**
 * @param {Record<string, string | undefined>} env with the variables that GitHub Actions sets
 * @returns {Repository | undefined} nothing outside of GitHub Actions
 * @throws {Error} when they are not what GitHub Actions sets
 */
export function repositoryOf(env) {
  const { GITHUB_SERVER_URL: server, GITHUB_REPOSITORY: name } = env;
  if (!server && !name) return undefined;
  if (!URL.canParse(server ?? "") || new URL(server).protocol !== "https:")
    throw new Error(`GITHUB_SERVER_URL has to be an address with https, and is ${server ?? "not set"}`);
  if (!NAME.test(name ?? "")) throw new Error(`GITHUB_REPOSITORY has to be OWNER/NAME, and is ${name ?? "not set"}`);
  const tag = env.GITHUB_REF_TYPE === "tag" ? env.GITHUB_REF_NAME : undefined;
  return { url: `${server.replace(/\/+$/, "")}/${name}`, revision: tag || env.GITHUB_SHA || "HEAD" };
}

/**
 * @param {object} manifest a `package.json`
 * @param {Repository} repository
 * @returns {object} with `repository` as provenance wants it (the address that the workflow runs in), `bugs` and `homepage`
 */
export function describedBy(manifest, { url }) {
  return {
    ...manifest,
    homepage: `${url}#readme`,
    repository: { type: "git", url: `git+${url}.git` },
    bugs: { url: `${url}/issues` },
  };
}

/**
 * @param {string} text a document in Markdown, of the repository's root
 * @param {Repository} repository
 * @returns {string} with links into the repository, to the revision that is published, in place of relative ones
 * @throws {Error} when a link leads out of the repository
 */
export function withAbsoluteLinks(text, { url, revision }) {
  return changeLinks(text, (target) => {
    if (isAbsolute(target)) return target;
    const [path, ...anchor] = target.split("#");
    const file = posix.normalize(path);
    if (file.startsWith("../") || file.startsWith("/")) throw new Error(`${target} leads out of the repository`);
    const view = IMAGE.test(file) ? "raw" : "blob";
    return [`${url}/${view}/${encodeURI(revision)}/${file}`, ...anchor].join("#");
  });
}

/**
 * @param {string} target of a link
 * @returns {boolean} whether it means the same on every page: an address, or a place on the page itself
 */
export function isAbsolute(target) {
  return target.startsWith("#") || /^[a-z][a-z+.-]*:/i.test(target);
}
