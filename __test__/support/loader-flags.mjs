/** What an addon asks of the system's loader. */

const DYNAMIC_SEGMENT = 2;
const DYNAMIC_ENTRY_BYTES = 16;
const DT_FLAGS_1 = 0x6ffffffbn;
const DF_1_NODELETE = 8n;

/**
 * The same addon, without the flag (`NODELETE`) that it may never be unloaded, which linkers for glibc put into
 * it. So Linux behaves as systems do whose files have no such flag. Other than 64-bit ELF files stay as they are.
 *
 * @param {Buffer} addon
 * @returns {Buffer}
 */
export function withoutNodelete(addon) {
  const copy = Buffer.from(addon);
  if (copy.readUInt32BE(0) !== 0x7f454c46 || copy[4] !== 2) return copy;
  const [table, size, count] = [Number(copy.readBigUInt64LE(32)), copy.readUInt16LE(54), copy.readUInt16LE(56)];
  for (let header = table; header < table + size * count; header += size) {
    if (copy.readUInt32LE(header) !== DYNAMIC_SEGMENT) continue;
    const begin = Number(copy.readBigUInt64LE(header + 8));
    const end = begin + Number(copy.readBigUInt64LE(header + 32));
    for (let entry = begin; entry < end; entry += DYNAMIC_ENTRY_BYTES) {
      if (copy.readBigUInt64LE(entry) !== DT_FLAGS_1) continue;
      copy.writeBigUInt64LE(copy.readBigUInt64LE(entry + 8) & ~DF_1_NODELETE, entry + 8);
    }
  }
  return copy;
}
