/**
 * RESP on sockets, for what stands between a client and a server: values as they arrive, and a reply for each command.
 */
import { RespFramer } from "../../tooling/resp.mjs";

/**
 * Asks a server over a socket of its own.
 *
 * @param {import("node:net").Socket} socket
 * @returns {(bytes: Buffer) => Promise<Buffer>} sends one command and resolves with the bytes of its reply; several may be
 *   under way
 */
export function createAsker(socket) {
  const asked = [];
  onValues(socket, (bytes) => asked.shift()?.resolve(bytes));
  socket.on("close", () => {
    for (const { reject } of asked.splice(0)) reject(new Error("the server closed the connection"));
  });
  return (bytes) =>
    new Promise((resolve, reject) => {
      asked.push({ resolve, reject });
      socket.write(bytes);
    });
}

/**
 * Cuts what a socket receives into RESP values.
 *
 * @param {import("node:net").Socket} socket
 * @param {(bytes: Buffer) => void} onValue
 */
export function onValues(socket, onValue) {
  const framer = new RespFramer();
  let kept = Buffer.alloc(0);
  let keptFrom = 0;
  socket.on("data", (chunk) => {
    kept = Buffer.concat([kept, chunk]);
    const values = [];
    framer.push(chunk, ({ end }) => {
      values.push(kept.subarray(0, end - keptFrom));
      kept = kept.subarray(end - keptFrom);
      keptFrom = end;
    });
    for (const value of values) onValue(value);
  });
}

/**
 * The values in an array.
 *
 * @param {Buffer} bytes
 * @returns {Buffer[]} none when it is no array
 */
export function itemsOf(bytes) {
  if (bytes[0] !== "*".charCodeAt(0)) return [];
  const items = [];
  const body = bytes.subarray(bytes.indexOf("\r\n") + 2);
  let from = 0;
  new RespFramer().push(body, ({ end }) => {
    items.push(body.subarray(from, end));
    from = end;
  });
  return items;
}

/**
 * The parts of a command, an array of bulk strings; its name in capitals.
 *
 * @param {Buffer} bytes
 * @returns {string[]}
 */
export function decodeCommand(bytes) {
  const words = [];
  for (let at = bytes.indexOf("\r\n") + 2; at < bytes.length; ) {
    const lineEnd = bytes.indexOf("\r\n", at);
    const start = lineEnd + 2;
    const end = start + Number(bytes.latin1Slice(at + 1, lineEnd));
    words.push(bytes.toString("utf8", start, end));
    at = end + 2;
  }
  return [words[0].toUpperCase(), ...words.slice(1)];
}
