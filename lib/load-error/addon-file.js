"use strict";
// Which machine a compiled file is for, read from its first bytes: system loaders report little about a file of another
// system (glibc reports one for another processor as missing).

const { closeSync, openSync, readSync } = require("node:fs");

/** https://refspecs.linuxfoundation.org/elf/gabi4+/ch4.eheader.html: `e_machine` */
const ELF_MACHINES = { 3: "ia32", 40: "arm", 62: "x64", 183: "arm64", 243: "riscv64" };
/** `cputype` in Apple's mach/machine.h */
const MACH_MACHINES = { 16777223: "x64", 16777228: "arm64" };
/** https://learn.microsoft.com/windows/win32/debug/pe-format: `Machine` */
const PE_MACHINES = { 34404: "x64", 43620: "arm64", 332: "ia32" };

/** The systems whose files have this format. */
const SYSTEMS = { ELF: ["linux", "android", "freebsd"], "Mach-O": ["darwin"], PE: ["win32"] };

/**
 * @param {string} path
 * @returns {{ format?: string, arch?: string, systems: string[] }} without `format` where it is no compiled file
 */
function inspectAddonFile(path) {
  const bytes = firstBytes(path);
  const format = formatOf(bytes);
  if (format === undefined) return { systems: [] };
  return { format, arch: archOf(format, bytes), systems: SYSTEMS[format] };
}

function firstBytes(path) {
  const bytes = Buffer.alloc(4096);
  const file = openSync(path, "r");
  try {
    return bytes.subarray(0, readSync(file, bytes, 0, bytes.length, 0));
  } finally {
    closeSync(file);
  }
}

function formatOf(bytes) {
  if (bytes.length < 64) return undefined;
  if (bytes.readUInt32BE(0) === 0x7f454c46) return "ELF";
  if (bytes.readUInt32LE(0) === 0xfeedfacf) return "Mach-O";
  return bytes.latin1Slice(0, 2) === "MZ" ? "PE" : undefined;
}

function archOf(format, bytes) {
  if (format === "ELF") return ELF_MACHINES[bytes.readUInt16LE(18)];
  if (format === "Mach-O") return MACH_MACHINES[bytes.readUInt32LE(4)];
  const header = bytes.readUInt32LE(60);
  return header + 6 <= bytes.length ? PE_MACHINES[bytes.readUInt16LE(header + 4)] : undefined;
}

module.exports = { inspectAddonFile };
