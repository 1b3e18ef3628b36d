//! What an endpoint answers, as replies of Redis: strings in base64, a bare `OK`, numbers and null as they are.

use std::fmt;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use redis::Value;
use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::encode::ReplyShape;
use crate::store::ErrorReply;

/// Reads the body of an answer while it arrives: a list of items, or a single one, each `{ "result": … }` or
/// `{ "error": … }`.
#[derive(Default)]
pub struct AnswerReader {
    bytes: Vec<u8>,
    /// Where the next item begins.
    at: usize,
    state: State,
    is_list: bool,
    /// Replies that are still to come.
    left: usize,
}

/// What comes next.
#[derive(Clone, Copy, Default)]
enum State {
    /// The list or the only item.
    #[default]
    Start,
    /// The first item, or the end of the list.
    First,
    /// An item.
    Item,
    /// A comma, or the end of the list.
    Behind,
    /// The rest of an item, of which this many bytes have been looked at.
    Inside { looked_at: usize, depth: usize, string: Text, is_only: bool },
    /// Nothing.
    End,
}

/// Where in an item a string begins and ends.
#[derive(Clone, Copy)]
enum Text {
    Outside,
    Inside,
    /// Behind a backslash.
    Escaped,
}

/// Part of an answer.
#[derive(Debug, PartialEq)]
pub enum Part {
    /// The reply to the next command.
    Reply(Value),
    /// The request as a whole was refused.
    Refused(String),
}

/// A body that does not answer the request.
#[derive(Debug, PartialEq)]
pub struct Malformed;

impl AnswerReader {
    /// For the answer to so many commands, as a list or as the only item.
    pub fn new(commands: usize, is_list: bool) -> Self {
        Self { is_list, left: commands, ..Self::default() }
    }

    /// More of the body.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.drain(..self.at);
        self.at = 0;
        self.bytes.extend_from_slice(bytes);
    }

    /// Whether every command has its reply, and nothing more can come.
    pub fn is_complete(&self) -> bool {
        self.left == 0 && matches!(self.state, State::End)
    }

    /// The next part that is there in whole.
    pub fn next(&mut self) -> Result<Option<Part>, Malformed> {
        loop {
            if let State::Inside { is_only, .. } = self.state {
                let Some(item) = self.item() else { return Ok(None) };
                let item = serde_json::from_slice(item).map_err(|_| Malformed)?;
                self.at = self.item_end();
                self.state = if is_only { State::End } else { State::Behind };
                return self.part(item, is_only).map(Some);
            }
            let rest = &self.bytes[self.at..];
            let Some(space) = rest.iter().position(|byte| !byte.is_ascii_whitespace()) else {
                self.at = self.bytes.len();
                return Ok(None);
            };
            self.at += space;
            let byte = self.bytes[self.at];
            self.state = match (self.state, byte) {
                (State::Start, b'{') => State::inside(true),
                (State::Start, b'[') if self.is_list => State::First,
                (State::First | State::Item, b'{') if self.left > 0 => State::inside(false),
                (State::Behind, b',') => State::Item,
                (State::Behind, b']') if self.left == 0 => State::End,
                _ => return Err(Malformed),
            };
            if !matches!(self.state, State::Inside { .. }) {
                self.at += 1;
            }
        }
    }

    /// The item that begins here, if it is there in whole.
    fn item(&mut self) -> Option<&[u8]> {
        let State::Inside { looked_at, depth, string, .. } = &mut self.state else { return None };
        for byte in &self.bytes[self.at + *looked_at..] {
            *looked_at += 1;
            *string = match (*string, byte) {
                (Text::Outside, b'"') | (Text::Escaped, _) => Text::Inside,
                (Text::Inside, b'"') => Text::Outside,
                (Text::Inside, b'\\') => Text::Escaped,
                (state, _) => state,
            };
            match (*string, byte) {
                (Text::Outside, b'{' | b'[') => *depth += 1,
                (Text::Outside, b'}' | b']') => *depth -= 1,
                _ => continue,
            }
            if *depth == 0 {
                let end = self.item_end();
                return Some(&self.bytes[self.at..end]);
            }
        }
        None
    }

    fn item_end(&self) -> usize {
        match self.state {
            State::Inside { looked_at, .. } => self.at + looked_at,
            _ => self.at,
        }
    }

    fn part(&mut self, item: Item, is_only: bool) -> Result<Part, Malformed> {
        let reply = match (item, is_only && self.is_list) {
            (Item::Error(error), true) => return Ok(Part::Refused(error)),
            (Item::Result(_), true) => return Err(Malformed),
            (Item::Result(value), false) => value,
            (Item::Error(error), false) => server_error(&error),
        };
        self.left = self.left.checked_sub(1).ok_or(Malformed)?;
        Ok(Part::Reply(reply))
    }
}

impl State {
    fn inside(is_only: bool) -> Self {
        State::Inside { looked_at: 0, depth: 0, string: Text::Outside, is_only }
    }
}

/// The error in the body of a refusal, if it is one.
pub fn read_error_reply(body: &[u8]) -> Option<String> {
    match serde_json::from_slice(body).ok()? {
        Item::Error(error) => Some(error),
        Item::Result(_) => None,
    }
}

/// Whether a short body is all there, whether or not it has ended.
pub fn is_whole(body: &[u8]) -> bool {
    /// What endpoints say of a refusal or a ping is shorter. It is looked at again whenever more of it has come.
    const SHORT: usize = 4096;
    body.len() <= SHORT && serde_json::from_slice::<IgnoredAny>(body).is_ok()
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

    /// Everything that is read from a body that comes in pieces of this size. `None` when it does not answer the request.
    fn read_in_pieces(body: &[u8], commands: usize, is_list: bool, size: usize) -> Option<Vec<Part>> {
        let mut reader = AnswerReader::new(commands, is_list);
        let mut parts = Vec::new();
        for piece in body.chunks(size) {
            reader.push(piece);
            while let Some(part) = reader.next().ok()? {
                parts.push(part);
            }
        }
        let is_refused = matches!(parts.as_slice(), [Part::Refused(_)]);
        (reader.is_complete() || is_refused).then_some(parts)
    }

    fn read(body: &[u8], commands: usize, is_list: bool) -> Option<Vec<Part>> {
        let whole = read_in_pieces(body, commands, is_list, body.len().max(1));
        for size in [1, 2, 7] {
            assert_eq!(read_in_pieces(body, commands, is_list, size), whole, "{size}");
        }
        whole
    }

    fn replies(body: &str, count: usize) -> Vec<Value> {
        let parts = read(body.as_bytes(), count, count != 1).expect(body).into_iter();
        parts.map(|part| if let Part::Reply(reply) = part { reply } else { panic!("{body}: {part:?}") }).collect()
    }

    #[test]
    fn strings_are_decoded_and_the_rest_is_as_it_is() {
        assert_eq!(replies(r#"{"result":"dHJ1ZQ=="}"#, 1), [text("true")]);
        assert_eq!(replies(r#"{"result":"OK"}"#, 1), [Value::Okay]);
        assert_eq!(replies(r#"{"result":"T0s="}"#, 1), [text("OK")]);
        assert_eq!(replies(r#"{"result":""}"#, 1), [text("")]);
        assert_eq!(replies(r#"{"result":null,"error":null,"more":[{}]}"#, 1), [Value::Nil]);
        let both = replies(" [ {\"result\":[\"YQ==\",\"MQ==\"]}\n,{\"result\":-1} ]\n", 2);
        assert_eq!(both, [Value::Array(vec![text("a"), text("1")]), Value::Int(-1)]);
        let odd = replies(r#"[{"result":1,"}":"\"]}{\\"},{"x":"\\","result":2}]"#, 2);
        assert_eq!(odd, [Value::Int(1), Value::Int(2)]);
    }

    #[test]
    fn refusals_differ_from_results() {
        let both = replies(r#"[{"result":1},{"error":"WRONGTYPE Operation\r\nagainst a key"}]"#, 2);
        assert_eq!(code(&both[1]), "WRONGTYPE");
        let whole = read(br#"{"error":"EXECABORT x"}"#, 2, true);
        assert_eq!(whole, Some(vec![Part::Refused("EXECABORT x".into())]));
        assert_eq!(code(&replies(r#"{"error":"NOPERM x"}"#, 1)[0]), "NOPERM");
    }

    #[test]
    fn each_reply_is_there_before_the_rest_of_the_answer() {
        let mut reader = AnswerReader::new(2, true);
        reader.push(br#"[{"result":1},{"res"#);
        assert_eq!(reader.next(), Ok(Some(Part::Reply(Value::Int(1)))));
        assert_eq!(reader.next(), Ok(None));
        reader.push(br#"ult":2}"#);
        assert_eq!(reader.next(), Ok(Some(Part::Reply(Value::Int(2)))));
        assert!(!reader.is_complete());
        reader.push(b"]");
        assert_eq!(reader.next(), Ok(None));
        assert!(reader.is_complete());
    }

    #[test]
    fn what_does_not_answer_the_request_is_no_answer() {
        for body in [
            "",
            "{}",
            "<html>",
            "[]",
            r#"[{"result":1}]"#,
            r#"[{"result":1},{}]"#,
            r#"{"result":1}"#,
            "[1,2]",
            "null",
            r#"[{"result":1},{"result":2},{"result":3}]"#,
            r#"[{"result":1},{"result":2}"#,
            r#"[{"result":1},{"result":2}]x"#,
            r#"[{"result":1},]"#,
            r#"[{"result":1}{"result":2}]"#,
            r#"[,{"result":1},{"result":2}]"#,
        ] {
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
