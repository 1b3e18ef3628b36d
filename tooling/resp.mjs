/**
 * Finds where one value ends and the next begins in a stream of RESP2 or RESP3, without decoding it.
 * https://redis.io/docs/latest/develop/reference/protocol-spec/
 */
const LINE_FEED = 10;
const BLOBS = "$=!";
const AGGREGATES = "*~>%|";

/**
 * One direction of one connection. Bytes go in as they arrive, cut anywhere; complete top-level values come out.
 */
export class RespFramer {
  /** The part of a header line that has arrived so far. */
  #line = "";
  /** Bytes of a blob, its CRLF included, that are still to come. */
  #blobLeft = 0;
  /** How many values each aggregate that is open still needs, the outermost first. */
  #open = [];
  /** First byte of the top-level value that is being read. */
  #type = "";
  /** The first blob inside the top-level value: the name, when the value is a command. */
  #name = "";
  /** Whether the blob that is being read is that first one. */
  #naming = false;
  /** Bytes seen in all earlier chunks. */
  #seen = 0;

  /**
   * @param {Buffer} chunk
   * @param {(value: { type: string, name: string, end: number }) => void} onValue called for each top-level value that
   *   is complete: its RESP type byte, the name of the command (upper case) if it is one, and the offset in the whole
   *   stream of the first byte after it
   */
  push(chunk, onValue) {
    let at = 0;
    while (at < chunk.length) {
      if (this.#blobLeft > 0) {
        const taken = Math.min(this.#blobLeft, chunk.length - at);
        if (this.#naming) this.#name += chunk.latin1Slice(at, at + taken);
        this.#blobLeft -= taken;
        at += taken;
        if (this.#blobLeft === 0) this.#closeValue(this.#seen + at, onValue);
        continue;
      }
      const lineEnd = chunk.indexOf(LINE_FEED, at);
      if (lineEnd === -1) {
        this.#line += chunk.latin1Slice(at);
        break;
      }
      const header = this.#line + chunk.latin1Slice(at, lineEnd - (chunk[lineEnd - 1] === 13 ? 1 : 0));
      this.#line = "";
      at = lineEnd + 1;
      this.#header(header.trimEnd(), this.#seen + at, onValue);
    }
    this.#seen += chunk.length;
  }

  #header(header, end, onValue) {
    const type = header[0];
    if (this.#open.length === 0) {
      this.#type = type;
      this.#name = "";
    }
    const length = Number(header.slice(1));
    if (BLOBS.includes(type) && length >= 0) {
      this.#naming = this.#name === "" && this.#open.length === 1;
      this.#blobLeft = length + 2;
    } else if (AGGREGATES.includes(type) && length > 0) {
      this.#open.push(type === "%" || type === "|" ? 2 * length : length);
    } else {
      this.#closeValue(end, onValue);
    }
  }

  #closeValue(end, onValue) {
    this.#naming = false;
    while (this.#open.length > 0) {
      const left = --this.#open[this.#open.length - 1];
      if (left > 0) return;
      this.#open.pop();
    }
    // Attributes come in front of a reply and are not one.
    if (this.#type === "|") return;
    onValue({ type: this.#type, name: this.#name.trimEnd().toUpperCase(), end });
  }
}
