// An addon for Windows is not released when it needs a library that is no part of Windows.
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { ROOT } from "../../tooling/setup.mjs";

describe("an addon for Windows", () => {
  it("may need what Windows has", () => {
    expect(check(library(["KERNEL32.dll", "ws2_32.dll"], ["bcrypt.dll"]))).toEqual({
      status: 0,
      stdout: "KERNEL32.dll, ws2_32.dll, bcrypt.dll\n",
      stderr: "",
    });
  });

  it.each([
    [["KERNEL32.dll", "VCRUNTIME140.dll"], []],
    [["KERNEL32.dll"], ["VCRUNTIME140.dll"]],
  ])("may not need the runtime of Visual C++: %o, at the first call %o", (imports, delayed) => {
    expect(check(library(imports, delayed))).toEqual({
      status: 1,
      stdout: "",
      stderr: "it needs VCRUNTIME140.dll, which not every Windows has\n",
    });
  });

  it("has to be one", () => {
    expect(check(Buffer.alloc(1024))).toMatchObject({ status: 1, stderr: "not a program or library for Windows\n" });
    expect(check(library([], []))).toMatchObject({ status: 1, stderr: "it names no libraries\n" });
    const cut = library(["KERNEL32.dll"], []).subarray(0, 0x180);
    expect(check(cut)).toMatchObject({ status: 1, stderr: expect.stringContaining("out of range") });
  });
});

/** A file with the headers and import tables of a library for Windows, and nothing else in it. */
function library(imports, delayed) {
  const [header, sections, data, base] = [0x40, 0x148, 0x200, 0x1000];
  const file = Buffer.alloc(0x1000);
  file.writeUInt32LE(header, 0x3c);
  file.write("PE\0\0", header, "latin1");
  file.writeUInt16LE(1, header + 6);
  file.writeUInt16LE(240, header + 20);
  file.writeUInt16LE(0x20b, header + 24);
  // One section: where it is in memory, and where in the file.
  file.writeUInt32LE(base, sections + 12);
  file.writeUInt32LE(file.length - data, sections + 16);
  file.writeUInt32LE(data, sections + 20);

  let free = 0x800;
  const table = (at, names, entry, field, directory) => {
    if (names.length > 0) file.writeUInt32LE(base + at, header + 24 + 112 + directory * 8);
    for (const [index, name] of names.entries()) {
      file.writeUInt32LE(base + free, data + at + index * entry + field);
      file.write(`${name}\0`, data + free, "latin1");
      free += name.length + 1;
    }
  };
  table(0, imports, 20, 12, 1);
  table(0x400, delayed, 32, 4, 13);
  return file;
}

function check(file) {
  const home = mkdtempSync(join(tmpdir(), "idioteque-library-"));
  onTestFinished(() => rmSync(home, { recursive: true, force: true }));
  const path = join(home, "addon.node");
  writeFileSync(path, file);
  const script = join(ROOT, "scripts", "release", "windows-libraries.mjs");
  const { status, stdout, stderr } = spawnSync(process.execPath, [script, path], { encoding: "utf8", timeout: 60_000 });
  return { status, stdout: stdout.replace(`${path}: `, ""), stderr: stderr.replace(`${path}: `, "") };
}
