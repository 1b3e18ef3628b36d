/**
 * Where the links of the documents lead: for their test, and for the script that builds the API reference and checks its pages.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, posix, relative } from "node:path";
import { anchors, links } from "./markdown.mjs";
import { ROOT } from "./setup.mjs";

const FOLDERS = ["", "docs", "examples/nextjs", "examples/service"];

/** @returns {string[]} the documents in Markdown, as paths in the checkout */
export function documentPaths() {
  return FOLDERS.flatMap((dir) =>
    readdirSync(join(ROOT, dir))
      .filter((name) => name.endsWith(".md"))
      .map((name) => posix.join(dir, name)),
  );
}

/**
 * @param {string} path of a document in the checkout
 * @returns {import("./markdown.mjs").Link[]} its links that lead nowhere; addresses on the web are not asked
 */
export function brokenLinks(path) {
  return links(readFileSync(join(ROOT, path), "utf8")).filter(({ target }) => {
    if (/^https?:/.test(target)) return !URL.canParse(target);
    const [file, anchor] = decodeURI(target).split("#");
    const found = file === "" ? path : relative(ROOT, join(ROOT, dirname(path), file));
    if (!existsSync(join(ROOT, found))) return true;
    return anchor !== undefined && !anchors(readFileSync(join(ROOT, found), "utf8")).has(anchor);
  });
}

/**
 * @param {string} dir of pages in HTML
 * @returns {string[]} their links to other pages, and to places in them, that lead nowhere, each behind its page
 */
export function brokenPageLinks(dir) {
  const pages = new Map();
  // Pages have their icons in a picture of their own, by places in it.
  for (const name of readdirSync(dir, { recursive: true }).filter((name) => /\.(html|svg)$/.test(name))) {
    const text = readFileSync(join(dir, name), "utf8");
    const find = (pattern) => [...text.matchAll(pattern)].map(([, value]) => value);
    pages.set(posix.normalize(name), { places: new Set(find(/\bid="([^"]*)"/g)), targets: find(/\bhref="([^"]*)"/g) });
  }
  const leads = (page, target) => {
    if (/^[a-z]+:/.test(target)) return URL.canParse(target);
    const [file, place] = decodeURI(target).split("#");
    const found = file === "" ? page : posix.join(posix.dirname(page), file);
    if (place === undefined || place === "") return existsSync(join(dir, found));
    return pages.get(found)?.places.has(place) ?? false;
  };
  return [...pages].flatMap(([page, { targets }]) =>
    targets.filter((target) => !leads(page, target)).map((target) => `${page}: ${target}`),
  );
}
