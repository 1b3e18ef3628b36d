//! Where replies begin and end, read ahead of the parser, which would keep whatever a server sends until its memory is full.
//! What no Redis server says is refused at the first byte that shows it: <https://redis.io/docs/latest/develop/reference/protocol-spec/>.

use std::fmt;

use crate::error_texts::connections as texts;

/// Bytes of one reply: as many as the longest string of JavaScript has characters, and as Redis takes for one value.
const MAX_BYTES: u64 = 512 * 1024 * 1024;
/// Values in one reply. Each takes room however short it is.
const MAX_VALUES: u64 = 16 * 1024 * 1024;
/// Arrays within arrays. The deepest reply we ask for, a map of slots, has five.
const MAX_DEPTH: usize = 16;
/// Bytes of a line, which is a status or an error.
const MAX_LINE: u64 = 64 * 1024;
/// Bytes of an error that are kept in case it is the last thing a server says.
const MAX_KEPT: usize = 256;

/// Why a server is not listened to any longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProtocolViolation {
    /// A reply that nothing asked for, by which all later ones would be taken for those of other calls.
    Unsolicited,
    /// A reply larger than any that can be used.
    TooLarge,
    /// Something that is not the Redis protocol.
    Malformed,
}

impl fmt::Display for ProtocolViolation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ProtocolViolation::Unsolicited => texts::UNSOLICITED_REPLY,
            ProtocolViolation::TooLarge => texts::REPLY_TOO_LARGE,
            ProtocolViolation::Malformed => texts::NOT_REDIS,
        })
    }
}

impl std::error::Error for ProtocolViolation {}

/// What the next byte is part of.
#[derive(Debug)]
enum Part {
    /// The type of a value.
    Type,
    /// A line of text, of which so many bytes have come; the last one may have been a carriage return.
    Text { length: u64, returned: bool },
    /// A number and what it means.
    Number { of: Number, value: u64, digits: u32, signed: bool, negative: bool, returned: bool },
    /// The bytes of a string, line end included.
    Body { left: u64 },
}

#[derive(Clone, Copy, Debug)]
enum Number {
    Integer,
    StringLength,
    ArrayLength,
}

/// The place in a stream of replies.
#[derive(Debug)]
pub struct ReplyFramer {
    part: Part,
    /// Values still to come in each array that has begun.
    open: Vec<u64>,
    bytes: u64,
    values: u64,
    asked: u64,
    answered: u64,
    /// The latest reply, as far as it has come, if it is an error.
    error_reply: Vec<u8>,
}

impl Default for ReplyFramer {
    fn default() -> Self {
        Self::new()
    }
}

impl ReplyFramer {
    /// The beginning of a stream.
    pub fn new() -> Self {
        let (open, error_reply) = (Vec::new(), Vec::new());
        Self { part: Part::Type, open, bytes: 0, values: 0, asked: 0, answered: 0, error_reply }
    }

    /// Takes note that more replies are going to come, and returns the number of the first of them.
    pub fn ask(&mut self, replies: usize) -> u64 {
        let first = self.asked;
        self.asked += replies as u64;
        first
    }

    /// The number of replies that have come as a whole, which is also the number of the one that is coming.
    pub fn answered(&self) -> u64 {
        self.answered
    }

    /// The number of the latest reply and what it says, if it is an error, so far nothing has followed it, and it is complete.
    pub fn last_word(&self) -> Option<(u64, &[u8])> {
        let error_reply = self.error_reply.strip_prefix(b"-")?;
        Some((self.answered.checked_sub(1).filter(|_| self.between())?, error_reply.trim_ascii_end()))
    }

    /// Reads on.
    ///
    /// # Errors
    /// When the bytes must not reach the parser, nor anything that follows them.
    pub fn read(&mut self, mut bytes: &[u8]) -> Result<(), ProtocolViolation> {
        while let Some((&byte, rest)) = bytes.split_first() {
            let used = match &mut self.part {
                Part::Type => {
                    self.begin(byte)?;
                    bytes.len() - rest.len()
                }
                Part::Body { left } => {
                    let used = (*left).min(bytes.len() as u64);
                    *left -= used;
                    if *left == 0 {
                        self.end();
                    }
                    used as usize
                }
                Part::Text { length, returned } => {
                    let line_feed = bytes.iter().position(|&byte| byte == b'\n');
                    let used = line_feed.map_or(bytes.len(), |at| at + 1);
                    *length += used as u64;
                    if !self.error_reply.is_empty() {
                        let room = MAX_KEPT.saturating_sub(self.error_reply.len());
                        self.error_reply.extend_from_slice(&bytes[..used.min(room)]);
                    }
                    let before = used.checked_sub(2).map_or(*returned, |at| bytes[at] == b'\r');
                    *returned = bytes[used - 1] == b'\r';
                    match (line_feed, *length > MAX_LINE) {
                        (_, true) => return Err(ProtocolViolation::Malformed),
                        (Some(_), _) if before => self.end(),
                        _ => {}
                    }
                    used
                }
                Part::Number { .. } => {
                    self.number(byte)?;
                    1
                }
            };
            // A reply that ended with these bytes is not counted any more.
            if !self.between() {
                self.bytes += used as u64;
                if self.bytes > MAX_BYTES {
                    return Err(ProtocolViolation::TooLarge);
                }
            }
            bytes = &bytes[used..];
        }
        Ok(())
    }

    /// Whether the last reply is complete and the next has not begun.
    pub fn between(&self) -> bool {
        matches!(self.part, Part::Type) && self.open.is_empty()
    }

    fn begin(&mut self, kind: u8) -> Result<(), ProtocolViolation> {
        if self.open.is_empty() && self.answered == self.asked {
            return Err(ProtocolViolation::Unsolicited);
        }
        if self.open.is_empty() {
            self.error_reply.clear();
            self.error_reply.extend((kind == b'-').then_some(kind));
        }
        self.values += 1;
        if self.values > MAX_VALUES {
            return Err(ProtocolViolation::TooLarge);
        }
        let number = |of| Part::Number { of, value: 0, digits: 0, signed: false, negative: false, returned: false };
        self.part = match kind {
            b'+' | b'-' => Part::Text { length: 0, returned: false },
            b':' => number(Number::Integer),
            b'$' => number(Number::StringLength),
            b'*' => number(Number::ArrayLength),
            _ => return Err(ProtocolViolation::Malformed),
        };
        Ok(())
    }

    fn number(&mut self, byte: u8) -> Result<(), ProtocolViolation> {
        let Part::Number { of, value, digits, signed, negative, returned } = &mut self.part else { return Ok(()) };
        match byte {
            b'\n' if *returned && *digits > 0 => {}
            _ if *returned => return Err(ProtocolViolation::Malformed),
            b'0'..=b'9' if *digits < 19 => {
                *value = *value * 10 + u64::from(byte - b'0');
                *digits += 1;
                return Ok(());
            }
            b'-' | b'+' if *digits == 0 && !*signed => {
                (*signed, *negative) = (true, byte == b'-');
                return Ok(());
            }
            b'\r' => {
                *returned = true;
                return Ok(());
            }
            _ => return Err(ProtocolViolation::Malformed),
        }
        let (of, value, absent) = (*of, *value, *negative);
        if absent && value != 1 && !matches!(of, Number::Integer) {
            return Err(ProtocolViolation::Malformed);
        }
        match of {
            Number::StringLength if !absent => {
                if value.saturating_add(self.bytes) > MAX_BYTES {
                    return Err(ProtocolViolation::TooLarge);
                }
                self.part = Part::Body { left: value + 2 };
            }
            Number::ArrayLength if !absent && value > 0 => {
                if value.saturating_add(self.values) > MAX_VALUES {
                    return Err(ProtocolViolation::TooLarge);
                }
                if self.open.len() == MAX_DEPTH {
                    return Err(ProtocolViolation::Malformed);
                }
                self.open.push(value);
                self.part = Part::Type;
            }
            Number::Integer | Number::StringLength | Number::ArrayLength => self.end(),
        }
        Ok(())
    }

    /// A value is complete, and with it perhaps the arrays it is the last one of.
    fn end(&mut self) {
        self.part = Part::Type;
        while let Some(left) = self.open.last_mut() {
            *left -= 1;
            if *left > 0 {
                return;
            }
            self.open.pop();
        }
        self.answered += 1;
        (self.bytes, self.values) = (0, 0);
    }
}

#[cfg(test)]
mod tests;
