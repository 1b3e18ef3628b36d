//! Replies as trees, for the conversations where speed does not matter: handshakes, sentinels, maps of clusters.

use redis::Value;

use crate::store::ReplyVisitor;

/// Values that room is made for before they come.
const MAX_RESERVED: usize = 1024;

/// Builds a reply as the redis crate's parser does.
#[derive(Debug, Default)]
pub struct ValueVisitor {
    /// Arrays that are not complete: their values so far, and how many there will be.
    open: Vec<(Vec<Value>, usize)>,
    text: Vec<u8>,
    complete: Option<Value>,
}

impl ValueVisitor {
    /// The reply, once it is complete.
    pub fn take(&mut self) -> Option<Value> {
        self.complete.take()
    }

    fn value(&mut self, mut value: Value) {
        while let Some((values, length)) = self.open.last_mut() {
            values.push(value);
            if values.len() < *length {
                return;
            }
            value = Value::Array(std::mem::take(values));
            self.open.pop();
        }
        self.complete = Some(value);
    }
}

impl ReplyVisitor for ValueVisitor {
    fn status(&mut self, text: &[u8]) {
        let value = match text {
            b"OK" => Value::Okay,
            text => Value::SimpleString(String::from_utf8_lossy(text).into_owned()),
        };
        self.value(value);
    }

    fn error(&mut self, text: &[u8]) {
        // Only the crate's own parser makes its errors.
        let line = format!("-{}\r\n", String::from_utf8_lossy(text));
        self.value(redis::parse_redis_value(line.as_bytes()).unwrap_or_default());
    }

    fn integer(&mut self, number: i64) {
        self.value(Value::Int(number));
    }

    fn nil(&mut self) {
        self.value(Value::Nil);
    }

    fn bulk_start(&mut self, _length: usize) {
        self.text = Vec::new();
    }

    fn bulk_bytes(&mut self, bytes: &[u8]) {
        self.text.extend_from_slice(bytes);
    }

    fn bulk_end(&mut self) {
        let text = std::mem::take(&mut self.text);
        self.value(Value::BulkString(text));
    }

    fn array(&mut self, length: usize) {
        match length {
            0 => self.value(Value::Array(Vec::new())),
            length => self.open.push((Vec::with_capacity(length.min(MAX_RESERVED)), length)),
        }
    }
}
