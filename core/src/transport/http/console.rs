//! Commands of any kind as one HTTP request, for the admin API.

use std::future::poll_fn;
use std::iter;
use std::sync::{Arc, Mutex, PoisonError};

use hyper::header::HeaderValue;
use redis::Value;

use super::client::{Client, Failure, MAX_ANSWER_BYTES};
use super::decode::{AnswerReader, Part, read_error_reply};
use super::encode::Path;
use super::error;
use crate::config::Upstash;
use crate::error::StoreError;
use crate::error_texts::http::WORDS_WITH_TOKEN;
use crate::store::ErrorReply;
use crate::store::json::write_string;
use crate::transport::observed::Observed;
use crate::transport::protocol::auth::conceal;
use crate::transport::target::Target;

/// Bytes that are kept of the body of an answer that is not a success.
const MAX_REFUSAL_BYTES: usize = 64 * 1024;

/// Sends requests to one database.
#[derive(Default)]
pub struct HttpConsole {
    client: Mutex<Option<Arc<Client>>>,
    sync_token: Mutex<Option<HeaderValue>>,
}

impl HttpConsole {
    /// Sends commands as one request, and reads as many replies. The caller sets the time limit.
    ///
    /// # Errors
    /// When there is no answer, or none that can be used.
    pub async fn send(
        &self,
        target: &Target,
        upstash: &Upstash,
        commands: &[Vec<Vec<u8>>],
    ) -> Result<Vec<Value>, StoreError> {
        let client = self.client(target, upstash)?;
        let path = if commands.len() == 1 { Path::Single } else { Path::Pipeline };
        let token = self.sync_token.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let answer = client.send(path, body(commands), token.as_ref()).await.map_err(failed)?;
        let mut answer = answer;
        let head = answer.head.clone();
        if upstash.read_your_writes && head.sync_token.is_some() {
            *self.sync_token.lock().unwrap_or_else(PoisonError::into_inner) = head.sync_token.clone();
        }
        let without_token = |words: &str| conceal(ErrorReply::of(words), iter::once(&upstash.token), WORDS_WITH_TOKEN);
        let mut refusal = Vec::new();
        let mut reader = AnswerReader::new(commands.len(), path == Path::Pipeline);
        let mut replies = Vec::with_capacity(commands.len());
        while let Some(bytes) = poll_fn(|cx| answer.poll_body(cx)).await {
            let bytes = bytes.map_err(failed)?;
            if head.status != 200 {
                let room = MAX_REFUSAL_BYTES.saturating_sub(refusal.len());
                refusal.extend_from_slice(&bytes[..bytes.len().min(room)]);
                continue;
            }
            reader.push(&bytes);
            while let Some(part) = reader.next().map_err(|_| error::not_an_answer(head.status))? {
                match part {
                    Part::Reply(reply) => replies.push(reply),
                    Part::Refused(words) => return Err(error::refused(head.status, without_token(&words))),
                }
            }
        }
        match (head.status, read_error_reply(&refusal)) {
            (200, _) if reader.is_complete() => Ok(replies),
            (200, _) => Err(error::not_an_answer(head.status)),
            (401, Some(words)) => Err(error::wrong_token(without_token(&words))),
            // One command that the database refused is a reply to it.
            (400, Some(words)) if commands.len() == 1 => Ok(vec![refused(&without_token(&words))]),
            (429, Some(words)) => Err(error::too_many(without_token(&words))),
            (status, Some(words)) => Err(error::refused(status, without_token(&words))),
            (status, None) => Err(error::broken(status, &target.settings.address)),
        }
    }

    fn client(&self, target: &Target, upstash: &Upstash) -> Result<Arc<Client>, StoreError> {
        let mut client = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = &*client {
            return Ok(client.clone());
        }
        // Nobody watches a console.
        let observed = Arc::new(Observed::new(&target.settings));
        let made = Client::new(target, upstash, &observed).map_err(|connect_error| connect_error.error().clone())?;
        Ok(client.insert(Arc::new(made)).clone())
    }

    /// Closes the connections.
    pub fn close(&self) {
        self.client.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

/// An error reply as the redis crate has it, which only its parser makes.
fn refused(error_reply: &ErrorReply) -> Value {
    let line = format!("-{} {}\r\n", error_reply.code, error_reply.detail.replace(['\r', '\n'], " "));
    redis::parse_redis_value(line.as_bytes()).unwrap_or(Value::Nil)
}

fn body(commands: &[Vec<Vec<u8>>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let list = |bytes: &mut Vec<u8>, arguments: &[Vec<u8>]| {
        bytes.push(b'[');
        for (index, argument) in arguments.iter().enumerate() {
            if index > 0 {
                bytes.push(b',');
            }
            write_string(argument, bytes);
        }
        bytes.push(b']');
    };
    if let [command] = commands {
        list(&mut bytes, command);
        return bytes;
    }
    bytes.push(b'[');
    for (index, command) in commands.iter().enumerate() {
        if index > 0 {
            bytes.push(b',');
        }
        list(&mut bytes, command);
    }
    bytes.push(b']');
    bytes
}

fn failed(failure: Failure) -> StoreError {
    match failure {
        Failure::NotSent(connect_error) | Failure::Lost(connect_error) => connect_error.error().clone(),
        Failure::TooLarge => error::answer_too_large(MAX_ANSWER_BYTES),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_command_is_a_list_and_several_are_lists_in_a_list() {
        let command = |words: &[&str]| words.iter().map(|word| word.as_bytes().to_vec()).collect::<Vec<_>>();
        assert_eq!(body(&[command(&["GET", "a\"\n"])]), br#"["GET","a\"\n"]"#);
        assert_eq!(body(&[command(&["PING"]), command(&["GET", "a"])]), br#"[["PING"],["GET","a"]]"#);
    }
}
