//! Every sentence that a user can be shown, in tables: the code of the error, the sentence, and what to do next where that
//! is known. Nothing else makes a [`StoreError`] or a `ConfigError`, so that no sentence exists twice.
//!
//! - [`admin`]: questions of the admin API
//! - [`calls`]: store calls that are refused or given up
//! - [`connections`]: connecting and TLS, Sentinel, clusters
//! - [`http`]: requests to Upstash
//! - [`replies`]: commands that the server refused
//! - [`values`], [`urls`]: the arguments of `createRedisStore`
//! - [`unsupported`]: settings that a native connection cannot honour
//! - [`clients`]: clients that were passed in
//!
//! A row is a function of its placeholders, so that one that is missing, misspelt or not used does not compile. No
//! placeholder is given a secret. `docs/errors.md` lists the rows, and `lib/error-texts.js` has those that JavaScript
//! needs too; a test compares them.

#![allow(missing_docs, reason = "a sentence says itself what it is")]

use std::fmt::Arguments;

use crate::error::{Code, StoreError};

/// Makes a function of each row: `name(placeholders) => code, "sentence", "advice";`
macro_rules! texts {
    ($($name:ident($($value:ident),*) => $code:ident, $sentence:literal, $advice:literal;)*) => {
        $(
            /// Fills in the row of this name.
            pub fn $name($($value: impl std::fmt::Display),*) -> $crate::error_texts::Text {
                let (sentence, advice) = (format_args!($sentence), format_args!($advice));
                $crate::error_texts::Text::new($crate::error::Code::$code, sentence, advice)
            }
        )*
    };
}

pub mod admin;
pub mod calls;
pub mod clients;
pub mod connections;
pub mod http;
pub mod replies;
pub mod unsupported;
pub mod urls;
pub mod values;

/// A row whose placeholders have been filled in. Only the tables make one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    code: Code,
    message: String,
}

impl Text {
    /// The sentence and the advice.
    pub fn into_message(self) -> String {
        self.message
    }

    /// Advice that begins with a small letter goes on behind a colon, other advice is a sentence of its own.
    fn new(code: Code, sentence: Arguments<'_>, advice: Arguments<'_>) -> Self {
        let advice = advice.to_string();
        let message = match advice.chars().next() {
            None => sentence.to_string(),
            Some(first) if first.is_lowercase() => format!("{sentence}: {advice}"),
            Some(_) => format!("{sentence}. {advice}"),
        };
        Self { code, message }
    }

    /// The error of a store call.
    pub fn error(self) -> StoreError {
        StoreError { code: self.code, message: self.message, reply: None, cause: None, beyond_native: false }
    }

    /// The error of a store call, with what the layer below said.
    pub fn caused_by(self, cause: impl Into<String>) -> StoreError {
        StoreError { cause: Some(cause.into()), ..self.error() }
    }
}

/// Adds a sentence to a message, which may or may not end with a full stop.
pub fn append(message: &mut String, sentence: &str) {
    if !message.ends_with(['.', '?', '!']) {
        message.push('.');
    }
    message.push(' ');
    message.push_str(sentence);
}

/// Adds advice to a message that may have some already.
pub fn append_advice(message: &mut String, advice: &str) {
    message.push_str(": ");
    message.push_str(advice);
}

#[cfg(test)]
mod tests {
    use super::*;

    texts! {
        plain() => Config, "Nothing is filled in", "";
        small(what) => Closed, "{what} failed", "try \"{{ {what} }}\" again";
        capital(what) => Closed, "{what} failed", "Try again";
    }

    #[test]
    fn sentence_and_advice_are_joined() {
        assert_eq!(plain().message, "Nothing is filled in");
        assert_eq!(small("it").message, "it failed: try \"{ it }\" again");
        assert_eq!(capital("it").message, "it failed. Try again");
    }

    #[test]
    fn what_is_filled_in_is_not_read_again() {
        assert_eq!(capital("{what}").message, "{what} failed. Try again");
    }

    #[test]
    fn errors_have_the_code_and_the_sentence() {
        let error = capital("it").caused_by("EPIPE");
        assert_eq!((error.code, error.cause.as_deref()), (Code::Closed, Some("EPIPE")));
        assert_eq!(plain().error().in_call("beginExecution").message, "beginExecution: Nothing is filled in");
    }

    #[test]
    fn a_sentence_is_appended_behind_a_full_stop() {
        for (message, expected) in [("a", "a. B."), ("a.", "a. B."), ("is it?", "is it? B."), ("a (b)", "a (b). B.")] {
            let mut message = message.to_owned();
            append(&mut message, "B.");
            assert_eq!(message, expected);
        }
    }
}
