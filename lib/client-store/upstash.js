"use strict";
// Requests through an Upstash client's own `request`, which answers with the stored text: its methods parse every value
// that looks like JSON, so that results come back changed or as nothing.

const { PHRASES } = require("../error-texts.js");

/**
 * Sends commands in one request: a single one by itself, several as a pipeline or a transaction.
 *
 * @param {{ client: { request: Function, options?: object } }} redis the instance that was passed
 * @param {(string | number)[][]} commands name and arguments of each
 * @param {boolean} atomic whether some of them belong together
 * @returns {Promise<{ result?: unknown, error?: string }[]>} the answer to each command
 */
async function requestOfUpstash({ client }, commands, atomic) {
  const single = commands.length === 1;
  const path = [atomic ? "multi-exec" : "pipeline"];
  const response = await client.request(single ? { body: commands[0] } : { path, body: commands });
  // A request that was aborted resolves too, with the reason in the place of the result.
  if (client.options?.signal?.aborted === true) throw new Error(PHRASES.requestAborted);
  const answers = single ? [response] : response;
  const complete = Array.isArray(answers) && answers.length === commands.length && answers.every(isAnswer);
  if (!complete) throw new Error(PHRASES.incompleteResponse);
  return answers;
}

/** A missing result is `null`; without the property, the reply is no answer, and must not be taken for "there is none". */
function isAnswer(answer) {
  return answer !== null && typeof answer === "object" && (answer.result !== undefined || isText(answer.error));
}

function isText(value) {
  return typeof value === "string" && value !== "";
}

module.exports = { requestOfUpstash };
