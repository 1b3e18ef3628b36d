/**
 * Commands as they travel: https://redis.io/docs/latest/develop/reference/protocol-spec/
 */

/**
 * The first command of a text and what follows it, once it is all there. Commands here are short.
 *
 * @param {string} text in latin1
 * @returns {{ command: string[], rest: string } | undefined} the command's name is in upper case
 */
export function takeCommand(text) {
  const header = /^\*(\d+)\r\n/.exec(text);
  if (header === null) return undefined;
  const command = [];
  let at = header[0].length;
  for (let left = Number(header[1]); left > 0; left--) {
    const length = /^\$(\d+)\r\n/.exec(text.slice(at, at + 24));
    if (length === null) return undefined;
    at += length[0].length;
    const end = at + Number(length[1]);
    if (text.length < end + 2) return undefined;
    command.push(text.slice(at, end));
    at = end + 2;
  }
  command[0] = command[0].toUpperCase();
  return { command, rest: text.slice(at) };
}

/**
 * A command as a client sends it.
 *
 * @param {string[]} command in latin1
 */
export function encodeCommand(command) {
  return `*${command.length}\r\n${command.map((part) => `$${part.length}\r\n${part}\r\n`).join("")}`;
}
