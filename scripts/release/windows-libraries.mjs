/**
 * The libraries that an addon for Windows is loaded with, as its import table names them.
 * `node scripts/release/windows-libraries.mjs FILE…` fails when one is no part of Windows: those of Visual C++ are there only
 * where something has installed them.
 *
 * Read from the file itself, as objdump does not know the format of every processor on every system.
 * https://learn.microsoft.com/windows/win32/debug/pe-format
 */
import { readFileSync } from "node:fs";

const NO_PART_OF_WINDOWS = /^(vcruntime|msvcp|msvcr|concrt)\d/i;

/** Of each table: its place among the data directories, the size of an entry, and where the address of a name is in it. */
const TABLES = [
  { directory: 1, entry: 20, name: 12 },
  // Loaded at the first call.
  { directory: 13, entry: 32, name: 4 },
];
const LIBRARIES_LIMIT = 1000;

/**
 * @param {Buffer} file a 64-bit program or library for Windows
 * @returns {string[]} the names of libraries
 */
function importedLibraries(file) {
  const header = file.readUInt32LE(0x3c);
  if (file.toString("latin1", header, header + 4) !== "PE\0\0") throw new Error("not a program or library for Windows");
  const optional = header + 24;
  if (file.readUInt16LE(optional) !== 0x20b) throw new Error("not for a 64-bit processor");
  const sections = optional + file.readUInt16LE(header + 20);
  const count = file.readUInt16LE(header + 6);

  const offsetOf = (address) => {
    for (let at = sections; at < sections + count * 40; at += 40) {
      const [start, size] = [file.readUInt32LE(at + 12), file.readUInt32LE(at + 16)];
      if (address >= start && address < start + size) return address - start + file.readUInt32LE(at + 20);
    }
    throw new Error(`the address ${address} is in no section`);
  };
  const textAt = (offset) => file.toString("latin1", offset, file.indexOf(0, offset));

  return TABLES.flatMap(({ directory, entry, name }) => {
    const address = file.readUInt32LE(optional + 112 + directory * 8);
    const names = [];
    for (let at = address && offsetOf(address); at > 0 && names.length < LIBRARIES_LIMIT; at += entry) {
      const place = file.readUInt32LE(at + name);
      if (place === 0) break;
      names.push(textAt(offsetOf(place)));
    }
    return names;
  });
}

for (const path of process.argv.slice(2)) {
  try {
    const names = importedLibraries(readFileSync(path));
    const missing = names.filter((name) => NO_PART_OF_WINDOWS.test(name));
    if (names.length === 0) throw new Error("it names no libraries");
    if (missing.length > 0) throw new Error(`it needs ${missing.join(", ")}, which not every Windows has`);
    console.log(`${path}: ${names.join(", ")}`);
  } catch (error) {
    console.error(`${path}: ${error.message}`);
    process.exitCode = 1;
  }
}
