"use strict";
// Which machine and runtime this is, in the terms in which prebuilt addons differ.

/** The rest of the name of a target, after platform and processor. */
const ABI = { linux: { glibc: "gnu", musl: "musl" }, win32: "msvc" };

/**
 * @typedef {object} Machine
 * @property {string} target the name its addon would have, such as `linux-x64-gnu`
 * @property {string} platform as `process.platform` has it
 * @property {string} arch as `process.arch` has it
 * @property {"glibc" | "musl"} [libc] the C library, on Linux
 * @property {string} [libcVersion] of glibc; musl has no way to ask
 * @property {string} runtime name and version
 * @property {number} [node] the major version, where the runtime is Node.js itself
 */

/** @returns {Machine} */
function thisMachine() {
  const { platform, arch, versions } = process;
  const glibc = platform === "linux" ? glibcVersion() : undefined;
  const libc = platform !== "linux" ? undefined : glibc === undefined ? "musl" : "glibc";
  const abi = platform === "linux" ? ABI.linux[libc] : ABI[platform];
  const suffix = platform === "linux" && arch === "arm" ? `${abi}eabihf` : abi;
  const other = versions.bun ? `Bun ${versions.bun}` : versions.deno ? `Deno ${versions.deno}` : undefined;
  return {
    target: [platform, arch, suffix].filter(Boolean).join("-"),
    platform,
    arch,
    libc,
    libcVersion: glibc || undefined,
    runtime: other ?? `Node.js ${versions.node}`,
    node: other ? undefined : Number.parseInt(versions.node, 10),
  };
}

/**
 * Asks the runtime's own report.
 *
 * @returns {string | undefined} empty where it is glibc of unknown version, `undefined` where it is musl
 */
function glibcVersion() {
  try {
    const { report } = process;
    // Looking up the names of all open connections could take seconds.
    report.excludeNetwork = true;
    const { header, sharedObjects } = report.getReport();
    if (header.glibcVersionRuntime) return header.glibcVersionRuntime;
    return sharedObjects.some((file) => /ld-musl-|libc\.musl-/.test(file)) ? undefined : "";
  } catch {
    // A runtime without such a report: those are taken to be built for glibc.
    return "";
  }
}

/** @param {Machine} machine */
function describeMachine({ platform, arch, libc, libcVersion, runtime }) {
  const library = libc === undefined ? "" : ` with ${[libc, libcVersion].filter(Boolean).join(" ")}`;
  return `${platform}-${arch}${library}, ${runtime}`;
}

module.exports = { describeMachine, thisMachine };
