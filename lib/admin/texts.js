"use strict";
// Every sentence of the admin API's errors: the code, the sentence, and the advice.

const { messageOf } = require("../error-texts.js");

/** Errors of the admin API. */
const TEXTS = {
  needsNative: {
    code: "ERR_REDIS_CONFIG",
    sentence: "The admin API needs a connection of its own, and this client can only be called through its own methods",
    advice: "Pass a URL or a configuration of the same server",
  },
  closed: { code: "ERR_REDIS_CLOSED", sentence: "the admin API is closed", advice: "" },
  refused: { code: "ERR_REDIS_REPLY", sentence: "the server refused {command}: {refusal}", advice: "" },
  forbidden: {
    code: "ERR_REDIS_REPLY",
    sentence: "the server refused {command}: {refusal}",
    advice: "`idioteque-redis --help` lists the permissions of each command",
  },
  noPassword: {
    code: "ERR_REDIS_REPLY",
    sentence: "the server refused {command}: {refusal}",
    advice: "it requires a password: put it into the URL (`redis://:password@host`) or the configuration",
  },
  notOfThisServer: {
    code: "ERR_REDIS_REPLY",
    sentence: "the server refused {command}: {refusal}",
    advice: "this is one node of a cluster: name it as one (`--cluster`, or an array of its nodes)",
  },
  unexpected: {
    code: "ERR_REDIS_REPLY",
    sentence: "the server answered {command} with another kind of reply than it brings",
    advice: "is it a Redis server, or something in between?",
  },
  noNode: {
    code: "ERR_REDIS_CONNECTION",
    sentence: "no server of the cluster has slot {slot}",
    advice: "`idioteque-redis doctor` says which slots are not covered",
  },
  unknownFilter: { code: "ERR_REDIS_CONFIG", sentence: "`{name}` is no filter here; there are {known}", advice: "" },
  wrongFilter: { code: "ERR_REDIS_CONFIG", sentence: "`{name}` must be {wanted}. Received {received}", advice: "" },
  ageNeeded: {
    code: "ERR_REDIS_CONFIG",
    sentence: "`sweep` needs `olderThan`, a number of milliseconds",
    advice: "what is younger may belong to an execution that is being begun",
  },
  wrongId: {
    code: "ERR_REDIS_CONFIG",
    sentence: 'The "{name}" argument must be a non-empty string. Received {received}',
    advice: "",
  },
};

/** A `TypeError` for arguments that cannot be used. */
function argumentError(row, values) {
  return Object.assign(new TypeError(messageOf(row, values)), { code: row.code });
}

module.exports = { TEXTS, argumentError, messageOf };
