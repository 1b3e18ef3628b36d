"use strict";
// Which slot of a cluster a key belongs to: https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/

const SLOTS = 16_384;

/** The CRC of every byte: CRC-16/XMODEM. */
const TABLE = Uint16Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 8;
  for (let bit = 0; bit < 8; bit += 1) crc = crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1;
  return crc;
});

/** The part of a key that its slot is made of: what stands in the first braces, if anything does. */
function tagOf(key) {
  const open = key.indexOf("{");
  if (open < 0) return key;
  const close = key.indexOf("}", open + 1);
  return close > open + 1 ? key.slice(open + 1, close) : key;
}

/** @param {string} key */
function slotOf(key) {
  let crc = 0;
  for (const byte of Buffer.from(tagOf(key))) crc = ((crc << 8) & 0xffff) ^ TABLE[(crc >> 8) ^ byte];
  return crc % SLOTS;
}

module.exports = { SLOTS, slotOf };
