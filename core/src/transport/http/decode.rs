//! What an endpoint answers, as replies of Redis: strings in base64, a bare `OK`, numbers and null as they are.

use std::fmt;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use redis::Value;
use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::encode::ReplyShape;
use crate::store::ErrorReply;

/// A body that was understood.
#[derive(Debug, PartialEq)]
pub enum Answer {
    /// One reply for each command.
    Replies(Vec<Value>),
    /// The request as a whole was refused.
    Refused(String),
}

/// Reads the body of an answer to a number of commands. `None` when it is not one.
pub fn read(body: &[u8], commands: usize, is_list: bool) -> Option<Answer> {
    if !is_list {
        return match serde_json::from_slice(body).ok()? {
            Item::Result(value) => Some(Answer::Replies(vec![value])),
            Item::Error(error) => Some(Answer::Replies(vec![server_error(&error)])),
        };
    }
    match serde_json::from_slice::<Items>(body).ok()? {
        Items::Each(items) if items.len() == commands => {
            let value = |item| match item {
                Item::Result(value) => value,
                Item::Error(error) => server_error(&error),
            };
            Some(Answer::Replies(items.into_iter().map(value).collect()))
        }
        Items::Each(_) => None,
        Items::Whole(Item::Error(error)) => Some(Answer::Refused(error)),
        Items::Whole(Item::Result(_)) => None,
    }
}

/// The error in the body of a refusal, if it is one.
pub fn read_error_reply(body: &[u8]) -> Option<String> {
    match serde_json::from_slice(body).ok()? {
        Item::Error(error) => Some(error),
        Item::Result(_) => None,
    }
}

/// The replies to one call: the answers to a transaction are one reply, as `EXEC` brings them.
pub fn gather(shapes: &[ReplyShape], replies: &mut impl Iterator<Item = Value>) -> Vec<Value> {
    let gathered = shapes.iter().filter_map(|shape| match shape {
        ReplyShape::Command => replies.next(),
        ReplyShape::Transaction(length) => Some(Value::Array(replies.take(*length).collect())),
    });
    gathered.collect()
}

/// An error as the redis crate has it, which can only be made by its parser.
fn server_error(error: &str) -> Value {
    let ErrorReply { code, detail } = ErrorReply::of(error);
    let line = format!("-{code} {}\r\n", detail.replace(['\r', '\n'], " "));
    redis::parse_redis_value(line.as_bytes()).unwrap_or(Value::Nil)
}

/// `{ "result": … }` or `{ "error": … }`
enum Item {
    Result(Value),
    Error(String),
}

/// A list of items, or one for the whole request.
enum Items {
    Each(Vec<Item>),
    Whole(Item),
}

impl<'de> Deserialize<'de> for Item {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ItemVisitor)
    }
}

struct ItemVisitor;

impl<'de> Visitor<'de> for ItemVisitor {
    type Value = Item;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a result or an error")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Item, A::Error> {
        let mut found = None;
        while let Some(key) = map.next_key::<String>()? {
            match (key.as_str(), &found) {
                ("error", _) => {
                    if let Some(error) = map.next_value::<Option<String>>()?.filter(|error| !error.is_empty()) {
                        found = Some(Item::Error(error));
                    }
                }
                ("result", None) => found = Some(Item::Result(map.next_value::<DecodedValue>()?.0)),
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        found.ok_or_else(|| A::Error::custom("neither a result nor an error"))
    }
}

impl<'de> Deserialize<'de> for Items {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ItemsVisitor)
    }
}

struct ItemsVisitor;

impl<'de> Visitor<'de> for ItemsVisitor {
    type Value = Items;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of results and errors")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Items, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element()? {
            items.push(item);
        }
        Ok(Items::Each(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Items, A::Error> {
        ItemVisitor.visit_map(map).map(Items::Whole)
    }
}

/// The value of a result.
struct DecodedValue(Value);

impl<'de> Deserialize<'de> for DecodedValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor).map(DecodedValue)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a reply with its strings in base64")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Nil)
    }

    fn visit_bool<E: Error>(self, flag: bool) -> Result<Value, E> {
        Ok(Value::Boolean(flag))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Value, E> {
        Ok(Value::Int(number))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Value, E> {
        i64::try_from(number).map(Value::Int).map_err(E::custom)
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Value, E> {
        Ok(Value::Double(number))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Value, E> {
        // No text has `OK` as its base64.
        if text == "OK" {
            return Ok(Value::Okay);
        }
        BASE64_STANDARD.decode(text).map(Value::BulkString).map_err(E::custom)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut items = Vec::with_capacity(list.size_hint().unwrap_or_default());
        while let Some(DecodedValue(item)) = list.next_element()? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Value {
        Value::BulkString(text.as_bytes().to_vec())
    }

    fn code(value: &Value) -> &str {
        match value {
            Value::ServerError(error) => error.code(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn strings_are_decoded_and_the_rest_is_as_it_is() {
        let replies = |body: &str, count| match read(body.as_bytes(), count, count != 1) {
            Some(Answer::Replies(replies)) => replies,
            other => panic!("{body}: {other:?}"),
        };
        assert_eq!(replies(r#"{"result":"dHJ1ZQ=="}"#, 1), [text("true")]);
        assert_eq!(replies(r#"{"result":"OK"}"#, 1), [Value::Okay]);
        assert_eq!(replies(r#"{"result":"T0s="}"#, 1), [text("OK")]);
        assert_eq!(replies(r#"{"result":""}"#, 1), [text("")]);
        assert_eq!(replies(r#"{"result":null,"error":null,"more":[{}]}"#, 1), [Value::Nil]);
        let both = replies(r#"[{"result":["YQ==","MQ=="]},{"result":-1}]"#, 2);
        assert_eq!(both, [Value::Array(vec![text("a"), text("1")]), Value::Int(-1)]);
    }

    #[test]
    fn refusals_differ_from_results() {
        let body = br#"[{"result":1},{"error":"WRONGTYPE Operation\r\nagainst a key"}]"#;
        let Some(Answer::Replies(replies)) = read(body, 2, true) else { panic!() };
        assert_eq!(code(&replies[1]), "WRONGTYPE");
        assert_eq!(read(br#"{"error":"EXECABORT x"}"#, 2, true), Some(Answer::Refused("EXECABORT x".into())));
        let alone = read(br#"{"error":"NOPERM x"}"#, 1, false);
        assert!(matches!(alone, Some(Answer::Replies(replies)) if code(&replies[0]) == "NOPERM"));
    }

    #[test]
    fn what_does_not_answer_the_request_is_no_answer() {
        for body in
            ["", "{}", "<html>", "[]", r#"[{"result":1}]"#, r#"[{"result":1},{}]"#, r#"{"result":1}"#, "[1,2]", "null"]
        {
            assert_eq!(read(body.as_bytes(), 2, true), None, "{body}");
        }
        for body in ["", "{}", r#"[{"result":1}]"#, r#"{"result":"not base64!"}"#, r#"{"result":{}}"#, "1"] {
            assert_eq!(read(body.as_bytes(), 1, false), None, "{body}");
        }
        let deep = format!("{{\"result\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(read(deep.as_bytes(), 1, false), None);
    }

    #[test]
    fn the_answers_to_a_transaction_are_one_reply() {
        let mut replies = [1, 2, 3, 4].map(Value::Int).into_iter();
        let own = gather(&[ReplyShape::Command, ReplyShape::Transaction(2)], &mut replies);
        assert_eq!(own, [Value::Int(1), Value::Array(vec![Value::Int(2), Value::Int(3)])]);
        assert_eq!(gather(&[ReplyShape::Command], &mut replies), [Value::Int(4)]);
    }
}
