//! Error replies of a server.

use redis::ServerError;

/// The code of the error for a reply of another kind than the command brings. No server sends it.
pub const UNEXPECTED: &str = "UNEXPECTED";

/// The error reply that came in place of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorReply {
    /// The server's own code, such as `WRONGTYPE`.
    pub code: String,
    /// The rest of its text.
    pub detail: String,
}

impl ErrorReply {
    /// Whether the server did not refuse anything, but sent a reply of another kind than the command brings.
    pub fn is_unexpected(&self) -> bool {
        self.code == UNEXPECTED
    }

    /// The text of the error reply. An aborted transaction is reported as what aborted it, where the reply names that.
    pub fn new(error: &ServerError) -> Self {
        Self::of_parts(error.code(), error.details().unwrap_or_default())
    }

    /// The same, from the line as the server sent it, its type and end left out.
    pub fn from_line(line: &[u8]) -> Self {
        let line = String::from_utf8_lossy(line);
        let (code, detail) = line.split_once(' ').unwrap_or((&line, ""));
        Self::of_parts(code, detail)
    }

    /// Keeps of several errors the one that explains the others: in an aborted transaction the command's own, not `EXECABORT`.
    pub fn keep_cause(kept: &mut Option<Self>, next: Self) {
        if kept.as_ref().is_none_or(|kept| kept.code == "EXECABORT") {
            *kept = Some(next);
        }
    }

    fn of_parts(code: &str, detail: &str) -> Self {
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

#[cfg(test)]
mod tests {
    use redis::Value;

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
