/**
 * Reads documents: their code blocks, links and headings. For the tests of the documentation, and for what is run with the
 * configurations it shows.
 *
 * Our own pages need few of Markdown's forms: fences of three backticks, inline links, headings with `#`; others are not seen.
 * `mdast-util-from-markdown` and `github-slugger` are more than thirty packages, and what is looked for would still have to
 * be found in their tree.
 */

/** Of an inline link or image: what is between the parentheses. */
const TARGET = /\]\(([^)\s]+)\)/g;

/**
 * @typedef {object} CodeBlock
 * @property {string} language as written behind the fence, `""` when there is none
 * @property {string} code
 * @property {string | undefined} title the text of a comment in the block's first line: a file's name
 * @property {number} line where its code begins, counted from 1
 *
 * @typedef {object} Link
 * @property {string} target
 * @property {number} line
 */

/**
 * @param {string} text a document in Markdown
 * @returns {CodeBlock[]}
 */
export function codeBlocks(text) {
  const blocks = [];
  let open;
  for (const [index, line] of text.split("\n").entries()) {
    if (!open) {
      const [, indent, language] = /^( *)```(\w*)\s*$/.exec(line) ?? [];
      if (indent !== undefined) open = { language, indent, lines: [], line: index + 2 };
    } else if (line.trim() === "```") {
      const code = `${open.lines.join("\n")}\n`;
      blocks.push({ language: open.language, code, title: titleOf(code), line: open.line });
      open = undefined;
    } else {
      open.lines.push(line.startsWith(open.indent) ? line.slice(open.indent.length) : line);
    }
  }
  if (open) throw new Error(`The code block that begins in line ${open.line} has no end`);
  return blocks;
}

function titleOf(code) {
  return /^(?:\/\/|#) (\S+\.\w+)\n/.exec(code)?.[1];
}

/**
 * @param {string} text a document in Markdown
 * @returns {Link[]} also those of images
 */
export function links(text) {
  return outsideOfCode(text).flatMap((line, index) =>
    [...line.matchAll(TARGET)].map(([, target]) => ({ target, line: index + 1 })),
  );
}

/**
 * @param {string} text a document in Markdown
 * @param {(target: string) => string} change gets the target of each link and image outside of code
 * @returns {string} the document with the targets that `change` has returned
 */
export function changeLinks(text, change) {
  const lines = text.split("\n");
  const changed = outsideOfCode(text).map((outside, index) => {
    let line = lines[index];
    // From the end, so that what is replaced moves nothing that comes yet.
    for (const { 1: target, index: at } of [...outside.matchAll(TARGET)].reverse()) {
      const start = at + "](".length;
      line = line.slice(0, start) + change(target) + line.slice(start + target.length);
    }
    return line;
  });
  return changed.join("\n");
}

/**
 * @param {string} text a document in Markdown
 * @returns {Set<string>} the anchors of its headings, named as GitHub names them
 */
export function anchors(text) {
  const found = new Set();
  for (const line of outsideOfCode(text)) {
    const [, heading] = /^#{1,6} (.+)$/.exec(line) ?? [];
    if (!heading) continue;
    const shown = heading.replace(/\[([^\]]*)\]\([^)]*\)/g, "$1").toLowerCase();
    const name = shown.replace(/[^\p{L}\p{N}\p{M}_ -]/gu, "").replaceAll(" ", "-");
    let unique = name;
    for (let count = 1; found.has(unique); count += 1) unique = `${name}-${count}`;
    found.add(unique);
  }
  return found;
}

/** The lines, with code emptied so that the others keep their numbers, and links their place in a line. */
function outsideOfCode(text) {
  let inCode = false;
  return text.split("\n").map((line) => {
    const fence = /^ *```/.test(line);
    if (fence) inCode = !inCode;
    return fence || inCode ? "" : line.replace(/`[^`]*`/g, (code) => code.replace(/[[\]()]/g, " "));
  });
}
