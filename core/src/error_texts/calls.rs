//! Store calls: refused before anything is sent, or given up.

use std::fmt::Display;

texts! {
    closed() => Closed, "the store is closed", "";
    client_ended() => Closed, "the store is closed, because the client it was made from has ended", "";

    too_many_calls(limit) => Overloaded, "{limit} calls are in flight already (maxPending)", "await some of them first";
    too_much_data(present, limit) => Overloaded,
        "ids and results of {present} are in flight already, and {limit} are the limit", "await some of them first";

    not_json(task, reason) => Serialize,
        "The result of task \"{task}\" cannot be stored as JSON: {reason}. Nothing was written",
        "Return a value that has a JSON form";
    // In the words of the TypeScript package.
    unparsable(key, field, reason, raw) => Parse,
        "Failed to parse JSON for Redis key \"{key}\" field \"{field}\": {reason}. Raw value: \"{raw}\"", "";

    given_up(method, timeout, reason) => Timeout, "{method} was given up after {timeout} ms (commandTimeout): {reason}", "";
    too_many_pings() => Overloaded, "1024 pings have no answer yet", "";
    ping_given_up(timeout, reason) => Timeout, "ping was given up after {timeout} ms: {reason}", "";
    reply_too_large(key) => Reply,
        "the reply about \"{key}\" is larger than 512 MB or 16 million values, which is more than can be read at once", "";
    results_wait(limit) => Timeout,
        "{limit} MiB of results that arrived before wait to be taken by their thread, which is busy", "";
    connections_lost(losses, bytes) => Connection,
        "the connection was lost {losses} times while the reply to this call of {bytes} bytes was the next to come",
        "is it more than the server, or a proxy before it, accepts?";

    shut_down() => Connection, "the connection was shut down before the call was answered", "";
    no_thread() => Connection, "the I/O thread could not be started", "are threads or memory used up?";
}

/// Why a call was given up when nothing else is known.
pub const SERVER_DID_NOT_ANSWER: &str = "the server did not answer";

/// Why a value has no JSON form, when `JSON.stringify` threw nothing.
pub const NO_JSON_FORM: &str = "undefined, functions and symbols have no JSON form";

/// What is said of something that was thrown and has no message.
pub const NOT_AN_ERROR: &str = "something was thrown that is not an Error";

// Behind the error of a write: what it says of whether the write was applied.
pub const NOT_SENT: &str = "The command had not been sent, so it was not applied.";
pub const REFUSED_EACH_TIME: &str = "The command was refused each time, so it was not applied.";
pub const MAY_BE_APPLIED: &str = "The command had been sent, so it may have been applied.";
pub const SENT_BEFORE: &str = "It had been sent before without an answer, so it may have been applied.";
pub const OTHER_PARTS_APPLIED: &str = "Other parts of the call have been applied.";

/// Of an execution id or task id that is none, as Node.js says it, whose codes it comes with.
pub fn wrong_id(name: impl Display, received: impl Display) -> String {
    format!("The \"{name}\" argument must be a non-empty string. Received {received}")
}
