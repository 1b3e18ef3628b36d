//! Error replies of a server.

use redis::{ServerError, Value};

/// The error reply that came in place of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorReply {
    /// The server's own code, such as `WRONGTYPE`.
    pub code: String,
    /// The rest of its text.
    pub detail: String,
}

impl ErrorReply {
    /// The text of the error reply. An aborted transaction is reported as what aborted it, where the reply names that.
    pub fn new(error: &ServerError) -> Self {
        let (code, detail) = (error.code(), error.details().unwrap_or_default());
        let cause = detail.strip_prefix("Transaction discarded because of: ").and_then(|cause| cause.split_once(' '));
        match cause {
            Some((cause, detail)) if code == "EXECABORT" => Self::without_arguments(cause, detail),
            _ => Self::without_arguments(code, detail),
        }
    }

    /// Servers quote the arguments of an unknown command: results and passwords among them.
    fn without_arguments(code: &str, detail: &str) -> Self {
        let detail = detail.split_once(", with args beginning with").map_or(detail, |(text, _)| text);
        Self { code: code.into(), detail: detail.into() }
    }

    /// A server's text as code and detail; `ERR` where it begins with no code.
    pub fn of(text: &str) -> Self {
        let (code, detail) = text.split_once(' ').unwrap_or((text, ""));
        let is_code = code.len() > 2 && code.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_');
        let (code, detail) = if is_code { (code, detail) } else { ("ERR", text) };
        Self::without_arguments(code, detail)
    }
}

/// The error that explains the others: in an aborted transaction the command's own, not `EXECABORT`.
pub fn find_error_reply(replies: &[Value]) -> Option<ErrorReply> {
    let mut aborted = None;
    for reply in replies {
        let error = match reply {
            Value::ServerError(error) => error,
            Value::Array(items) => match find_error_reply(items) {
                Some(error_reply) => return Some(error_reply),
                None => continue,
            },
            _ => continue,
        };
        let error_reply = ErrorReply::new(error);
        if error_reply.code != "EXECABORT" {
            return Some(error_reply);
        }
        aborted = Some(error_reply);
    }
    aborted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server_error(line: &str) -> Value {
        redis::parse_redis_value(format!("-{line}\r\n").as_bytes()).unwrap()
    }

    #[test]
    fn arguments_that_a_server_quotes_are_left_out() {
        let text = "ERR unknown command 'HSET', with args beginning with: 'run-results' 'step' '{\"card\":4111}' ";
        assert_eq!(ErrorReply::of(text).detail, "unknown command 'HSET'");
        let Value::ServerError(error) = server_error(text) else { panic!() };
        assert_eq!(ErrorReply::new(&error).detail, "unknown command 'HSET'");
    }

    #[test]
    fn texts_without_a_code_are_recognised() {
        for (text, code, detail) in
            [("ERR max size", "ERR", "max size"), ("Unauthorized", "ERR", "Unauthorized"), ("A b", "ERR", "A b")]
        {
            assert_eq!(ErrorReply::of(text), ErrorReply { code: code.into(), detail: detail.into() });
        }
    }
}
