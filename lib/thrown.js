"use strict";
// What can be said of something that a client threw or rejected with: anything at all, also what cannot be looked at.

const { PHRASES } = require("./error-texts.js");

/**
 * Reads a thrown value. Objects without a prototype have no text, and getters and proxies may throw.
 *
 * @param {unknown} thrown
 * @returns {{ text: string, isError: boolean, name?: unknown, code?: unknown }} what it says, whether it says it in a `message`
 *   as errors do, and the properties of an error
 */
function lookAt(thrown) {
  try {
    if (thrown === null || typeof thrown !== "object") return { text: String(thrown), isError: false };
    const { message, name, code } = thrown;
    if (typeof message === "string") return { text: message, isError: true, name, code };
    return { text: String(thrown), isError: false };
  } catch {
    return { text: PHRASES.notAnError, isError: false };
  }
}

module.exports = { lookAt };
