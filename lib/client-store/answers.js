"use strict";
// What clients answer with: text or bytes, and hashes in any of the forms that clients and their reply transformers make.

/**
 * Visits what `HGETALL` became: an object, a `Map`, a list of fields and values in turn, of pairs or of records
 * (`{ field, value }`), or nothing.
 *
 * @param {unknown} hash the client's answer
 * @param {(field: string, value: unknown) => void} visit called once per field
 */
function forEachField(hash, visit) {
  if (hash === null || typeof hash !== "object") return;
  if (hash instanceof Map) {
    for (const [field, value] of hash) visit(asText(field), value);
  } else if (!Array.isArray(hash)) {
    for (const field of Object.keys(hash)) visit(field, hash[field]);
  } else if (isList(hash[0])) {
    for (const [field, value] of hash) visit(asText(field), value);
  } else if (isRecord(hash[0])) {
    for (const { field, value } of hash) visit(asText(field), value);
  } else {
    for (let index = 0; index + 1 < hash.length; index += 2) visit(asText(hash[index]), hash[index + 1]);
  }
}

const isList = Array.isArray;

function isRecord(value) {
  return value !== null && typeof value === "object" && !ArrayBuffer.isView(value);
}

/** Bytes as the text they encode; everything else untouched. */
function asText(value) {
  if (!ArrayBuffer.isView(value)) return value;
  return Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString("utf8");
}

module.exports = { asText, forEachField };
