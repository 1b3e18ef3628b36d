//! Commands and connections that the server refused. What to do about it is known by the server's own code.

texts! {
    refused(reply, detail) => Reply, "Redis refused the command: {reply} {detail}", "";
    refused_with_advice(reply, detail, advice) => Reply, "Redis refused the command: {reply} {detail}: {advice}", "";
    connection_refused(reply, detail) => Reply, "Redis refused the connection: {reply} {detail}", "";
    connection_refused_with_advice(reply, detail, advice) => Reply, "Redis refused the connection: {reply} {detail}: {advice}", "";
}

/// What to do about a refusal, by the server's own code; the second column is how its message begins.
const ADVICE: [(&str, &str, &str); 9] = [
    ("NOAUTH", "Authentication", "the server requires a password and none was given"),
    ("WRONGPASS", "", "check username and password"),
    (
        "ERR",
        "DB index is out of range",
        "the server has no database of that number: choose another, or raise its setting databases",
    ),
    ("NOPERM", "", "the ACL user lacks a permission the store needs"),
    ("WRONGTYPE", "", "the key is used by something else"),
    ("OOM", "", "raise the server's maxmemory or give the store a ttl"),
    ("MISCONF", "", "the server cannot save its data, see its log"),
    ("MOVED", "", ANOTHER_NODE),
    ("ASK", "", ANOTHER_NODE),
];

const ANOTHER_NODE: &str = "another node of the cluster has the key; a cluster is passed as an array of its nodes";

/// Of a server that does not know the command that an option needs.
pub const NO_FIELD_EXPIRY: &str =
    "inProgressTtl needs a server on which fields of a hash can expire: Redis 7.4, Valkey 9 or later";

/// Of a server that runs no scripts.
const NO_SCRIPTS: &str = "claim and orphanTtl need a server that runs scripts (EVAL)";

/// What to do about a refusal, where that is known.
pub fn advice(reply: &str, detail: &str) -> Option<&'static str> {
    let known = ADVICE.iter().find(|(code, start, _)| *code == reply && detail.starts_with(start));
    let lacks = |command: &str| reply == "ERR" && detail.to_ascii_uppercase().contains(command);
    match known {
        Some((_, _, advice)) => Some(advice),
        None if lacks("HPEXPIRE") => Some(NO_FIELD_EXPIRY),
        None if lacks("UNKNOWN COMMAND 'EVAL'") || lacks("UNKNOWN COMMAND `EVAL`") => Some(NO_SCRIPTS),
        None => None,
    }
}

/// In place of the server's own words, where these do not say what is wrong.
pub const AUTHENTICATION_REQUIRED: &str = "Authentication required";
pub const NO_AUTH_COMMAND: &str =
    "unknown command 'AUTH': the server has renamed it or switched it off, so that a password cannot be used";
pub const DEFAULT_USER_IS_OFF: &str =
    "the server's default user is off, so that a password without a user name logs in nobody: give a user name as well";
pub const ARGUMENT_TOO_LONG: &str = "an id or a result is longer than the server accepts (its proto-max-bulk-len)";
pub const IS_A_REPLICA: &str = "the server is a replica, though the sentinels call it the primary";
pub const WORDS_WITH_LOGIN: &str = "AUTH was refused, with a message that is left out because it repeats the login";

/// Of a reply that no server sends to such a command.
pub fn unexpected_kind(kind: &str) -> String {
    format!("the server answered with {kind}: is it a Redis server?")
}
