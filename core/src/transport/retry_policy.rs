//! Which refusals are worth another try and which are reported, with which error; and how long a call is kept back that
//! connections keep ending with.

use std::time::Duration;

use crate::error::StoreError;
use crate::error_texts::{Text, calls, replies as texts};
use crate::store::ErrorReply;

/// How the errors of the server's parser begin (`networking.c`). Behind one, the server closes the connection.
const PARSER: &str = "Protocol error: ";
/// How many connections have to end when a call's answer is due, before it may be the cause.
const POISON_LOSSES: u32 = 2;
/// The first pause of such a call; it doubles to 1.6 s, by when a connection counts as a good one.
const POISON_PAUSE: Duration = Duration::from_millis(100);

/// What to do about a server's refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryDecision {
    /// Nothing was applied and it will pass: try again on the same connection after a pause.
    Retry,
    /// Nothing was applied and this server is the wrong one: resolve the address again, connect, try again.
    Reconnect,
    /// Trying again would not help.
    Report,
}

/// Sorts a refusal. The codes are those of <https://redis.io/docs/latest/develop/reference/protocol-spec/#simple-errors>
/// and of the server's sources; an unknown one is reported.
pub fn retry_decision(error_reply: &ErrorReply) -> RetryDecision {
    match error_reply.code.as_str() {
        "LOADING" | "TRYAGAIN" | "CLUSTERDOWN" | "NOREPLICAS" | "BUSY" => RetryDecision::Retry,
        "READONLY" | "MASTERDOWN" => RetryDecision::Reconnect,
        "ERR" if error_reply.detail.starts_with("max number of clients") => RetryDecision::Reconnect,
        _ => RetryDecision::Report,
    }
}

/// Whether a refusal is none of the command but of the connection: each command would be refused, and some servers close it.
pub fn refuses_connection(error_reply: &ErrorReply) -> bool {
    matches!(error_reply.code.as_str(), "NOAUTH" | "DENIED") || retry_decision(error_reply) == RetryDecision::Reconnect
}

/// The error for a refusal that is reported, with what to do next where that is known.
pub fn refused(error_reply: ErrorReply) -> StoreError {
    refusal(error_reply, |code, said, advice| match advice {
        Some(advice) => texts::refused_with_advice(code, said, advice),
        None => texts::refused(code, said),
    })
}

/// The same of a server that refuses a connection, whatever is sent over it.
pub fn connection_refused(error_reply: ErrorReply) -> StoreError {
    refusal(error_reply, |code, said, advice| match advice {
        Some(advice) => texts::connection_refused_with_advice(code, said, advice),
        None => texts::connection_refused(code, said),
    })
}

fn refusal(error_reply: ErrorReply, text: impl FnOnce(&str, &str, Option<&str>) -> Text) -> StoreError {
    let ErrorReply { code, detail } = translate_parser_error(error_reply);
    let text = text(&code, detail.trim_end_matches('.'), texts::advice(&code, &detail));
    StoreError { reply: Some(code), ..text.error() }
}

/// The error for a call that a server refused with an error behind which it closed the connection. `None` when that is worth
/// another try, or does not say what is wrong with the call.
pub fn closing_error(error_reply: ErrorReply) -> Option<StoreError> {
    let error_reply = translate_parser_error(error_reply);
    // The reason is in the error of the command that aborted the transaction, and comes again when that is sent again.
    let tells = error_reply.code != "EXECABORT" && !error_reply.detail.starts_with(PARSER);
    (tells && retry_decision(&error_reply) == RetryDecision::Report).then(|| refused(error_reply))
}

/// An error of the server's parser, as the server reports the same outside of it.
fn translate_parser_error(error_reply: ErrorReply) -> ErrorReply {
    match error_reply.detail.strip_prefix(PARSER) {
        // Before AUTH, the server refuses long arguments.
        Some(error) if error.starts_with("unauthenticated") => {
            ErrorReply { code: "NOAUTH".into(), detail: texts::AUTHENTICATION_REQUIRED.into() }
        }
        Some("invalid bulk length") => ErrorReply { detail: texts::ARGUMENT_TOO_LONG.into(), ..error_reply },
        _ => error_reply,
    }
}

/// The error for a call that connections keep ending with.
pub fn ends_connections(losses: u32, bytes: usize) -> StoreError {
    calls::connections_lost(losses, bytes).error()
}

/// How long a call is kept from the next connection because it may be what ends them: the others have to get through.
pub fn poison_pause(losses: u32) -> Option<Duration> {
    let doublings = losses.checked_sub(POISON_LOSSES)?;
    Some(POISON_PAUSE.saturating_mul(1 << doublings.min(4)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_sorted_by_what_helps() {
        let decision_of =
            |code: &str, detail: &str| retry_decision(&ErrorReply { code: code.into(), detail: detail.into() });
        for code in ["LOADING", "TRYAGAIN", "CLUSTERDOWN", "NOREPLICAS", "BUSY"] {
            assert_eq!(decision_of(code, ""), RetryDecision::Retry, "{code}");
        }
        for code in ["READONLY", "MASTERDOWN"] {
            assert_eq!(decision_of(code, ""), RetryDecision::Reconnect, "{code}");
        }
        assert_eq!(decision_of("ERR", "max number of clients reached"), RetryDecision::Reconnect);
        for code in ["ERR", "WRONGTYPE", "OOM", "MISCONF", "NOAUTH", "WRONGPASS", "NOPERM", "EXECABORT", "NEWCODE"] {
            assert_eq!(decision_of(code, ""), RetryDecision::Report, "{code}");
        }
    }
}
