/**
 * The slots of a cluster: which one a key is in, and execution ids whose keys are in slots of a test's choice.
 * https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/#key-distribution-model
 */

const SLOTS = 16_384;

/**
 * The slot of a key: the CRC16 (XMODEM) of what stands in its first braces, or of all of it.
 *
 * @param {string} key
 * @returns {number}
 */
export function slotOf(key) {
  const tag = /\{([^}]+)\}/.exec(key.slice(Math.max(key.indexOf("{"), 0)));
  let crc = 0;
  for (const byte of Buffer.from(tag?.index === 0 ? tag[1] : key)) {
    crc ^= byte << 8;
    for (let bit = 0; bit < 8; bit += 1) crc = (crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1) & 0xffff;
  }
  return crc % SLOTS;
}

/**
 * The keys of an execution.
 *
 * @param {string} id
 * @param {boolean} [hashTags]
 */
export function keysOf(id, hashTags = false) {
  const name = hashTags ? `{${id}}` : id;
  return [name, `${name}-transactions`, `${name}-results`];
}

/**
 * An execution id all of whose keys are in slots from the first to the last.
 *
 * @param {string} label the id begins with it
 * @param {{ first: number, last: number, hashTags?: boolean }} where
 */
export function idWithin(label, { first, last, hashTags }) {
  const isWithin = (key) => first <= slotOf(key) && slotOf(key) <= last;
  for (let index = 0; ; index += 1) {
    const id = `${label}-${index}`;
    if (keysOf(id, hashTags).every(isWithin)) return id;
  }
}
