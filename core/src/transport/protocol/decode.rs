//! Replies read in one pass: found, bounded and told to a visitor while they come. What no Redis server says is refused at the
//! first byte that shows it: <https://redis.io/docs/latest/develop/reference/protocol-spec/>.

pub use super::value_visitor::ValueVisitor;
pub use super::violation::ProtocolViolation;
pub use crate::store::ReplyVisitor;

/// Bytes of one reply: as many as the longest string of JavaScript has characters, and as Redis takes for one value.
const MAX_BYTES: u64 = 512 * 1024 * 1024;
/// Values in one reply. Each takes room however short it is.
const MAX_VALUES: u64 = 16 * 1024 * 1024;
/// Arrays within arrays. The deepest reply we ask for, a map of slots, has five.
const MAX_DEPTH: usize = 16;
/// Bytes of a line, which is a status or an error.
const MAX_LINE: usize = 64 * 1024;
/// The first byte of an alert of TLS.
const TLS_ALERT: u8 = 0x15;
/// Digits of a number, of which `u64` holds all there are.
const MAX_DIGITS: u32 = 19;
/// Room for lines that is kept for the next one.
const MAX_KEPT: usize = 4096;

/// How far a decoder came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The bytes that were used.
    pub used: usize,
    /// Whether they end with the end of a reply. If not, all bytes were used, and the reply goes on.
    pub complete: bool,
}

/// What the next byte is part of.
#[derive(Clone, Copy, Debug)]
enum Part {
    /// The type of a value.
    Type,
    /// A line of text, of which so much as has come is in [`Decoder::line`].
    Line { error: bool },
    /// A number and what it means.
    Number { of: Number, digits: Digits },
    /// The bytes of a string.
    Body { left: u64 },
    /// The line end behind a string.
    BodyEnd { returned: bool },
}

#[derive(Clone, Copy, Debug)]
enum Number {
    Integer,
    StringLength,
    ArrayLength,
}

/// A number that has come in part.
#[derive(Clone, Copy, Debug, Default)]
struct Digits {
    value: u64,
    count: u32,
    signed: bool,
    negative: bool,
    returned: bool,
}

/// Reads a stream of replies.
#[derive(Debug)]
pub struct Decoder {
    part: Part,
    /// Values still to come in each array that has begun, of which there are `depth`.
    open: [u64; MAX_DEPTH],
    depth: usize,
    /// Bytes and values of the reply that has begun.
    bytes: u64,
    values: u64,
    /// A line that was cut.
    line: Vec<u8>,
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new()
    }
}

impl Decoder {
    /// The beginning of a stream.
    pub fn new() -> Self {
        Self { part: Part::Type, open: [0; MAX_DEPTH], depth: 0, bytes: 0, values: 0, line: Vec::new() }
    }

    /// Whether the last reply is complete and the next has not begun.
    pub fn between(&self) -> bool {
        matches!(self.part, Part::Type) && self.depth == 0
    }

    /// Reads on, up to the end of a reply.
    ///
    /// # Errors
    /// When what the server sends cannot be used, nor anything that follows. The decoder must not be used any more.
    pub fn read(&mut self, bytes: &[u8], visitor: &mut impl ReplyVisitor) -> Result<Progress, ProtocolViolation> {
        let mut used = 0;
        while let Some(&first) = bytes.get(used) {
            let rest = &bytes[used..];
            let step = match self.part {
                Part::Type => {
                    self.count()?;
                    match self.whole(rest, visitor)? {
                        Some(step) => step,
                        None => self.begin(first)?,
                    }
                }
                Part::Line { error } => self.line(error, rest, visitor)?,
                Part::Number { of, digits } => self.number(of, digits, first, visitor)?,
                Part::Body { left } => self.body(left, rest, visitor),
                Part::BodyEnd { returned } => self.body_end(returned, first, visitor)?,
            };
            used += step;
            if self.between() {
                (self.bytes, self.values) = (0, 0);
                return Ok(Progress { used, complete: true });
            }
            self.bytes += step as u64;
        }
        Ok(Progress { used, complete: false })
    }

    /// One more value.
    fn count(&mut self) -> Result<(), ProtocolViolation> {
        self.values += 1;
        let fits = self.values <= MAX_VALUES && self.bytes < MAX_BYTES;
        fits.then_some(()).ok_or(ProtocolViolation::TooLarge)
    }

    /// A value that is there as a whole, or a string of which the length is. `None` for what has to be looked at byte by byte:
    /// because it is cut, or to find where it goes wrong.
    fn whole(&mut self, rest: &[u8], visitor: &mut impl ReplyVisitor) -> Result<Option<usize>, ProtocolViolation> {
        if rest.starts_with(b"+OK\r\n") {
            visitor.status(b"OK");
            self.end();
            return Ok(Some(5));
        }
        if let b'+' | b'-' = rest[0] {
            let Some(end) = rest.iter().position(|&byte| byte == b'\n') else { return Ok(None) };
            if rest[end - 1] != b'\r' || end > MAX_LINE {
                return Ok(None);
            }
            self.text(rest[0] == b'-', &rest[1..end - 1], visitor);
            return Ok(Some(end + 1));
        }
        let Some((number, header)) = short_number(rest) else { return Ok(None) };
        match (rest[0], number) {
            (b':', _) => {
                visitor.integer(number);
                self.end();
            }
            (b'$' | b'*', -1) => {
                visitor.nil();
                self.end();
            }
            (b'$', 0..) => {
                let length = number as usize;
                self.check_string(number as u64, self.bytes + header as u64)?;
                if let Some(body) = rest.get(header..header + length + 2)
                    && body.ends_with(b"\r\n")
                {
                    visitor.bulk(&body[..length]);
                    self.end();
                    return Ok(Some(header + length + 2));
                }
                self.begin_string(number as u64, visitor);
            }
            (b'*', 0..) => self.begin_array(number as u64, visitor)?,
            _ => return Ok(None),
        }
        Ok(Some(header))
    }

    fn begin(&mut self, kind: u8) -> Result<usize, ProtocolViolation> {
        let number = |of| Part::Number { of, digits: Digits::default() };
        self.part = match kind {
            b'+' | b'-' => Part::Line { error: kind == b'-' },
            b':' => number(Number::Integer),
            b'$' => number(Number::StringLength),
            b'*' => number(Number::ArrayLength),
            TLS_ALERT => return Err(ProtocolViolation::Encrypted),
            _ => return Err(ProtocolViolation::Malformed),
        };
        Ok(1)
    }

    fn line(&mut self, error: bool, rest: &[u8], visitor: &mut impl ReplyVisitor) -> Result<usize, ProtocolViolation> {
        let line_feed = rest.iter().position(|&byte| byte == b'\n');
        let used = line_feed.map_or(rest.len(), |at| at + 1);
        if self.line.len() + used > MAX_LINE {
            return Err(ProtocolViolation::Malformed);
        }
        self.line.extend_from_slice(&rest[..used]);
        if line_feed.is_some() && self.line.ends_with(b"\r\n") {
            let mut line = std::mem::take(&mut self.line);
            self.text(error, &line[..line.len() - 2], visitor);
            line.clear();
            line.shrink_to(MAX_KEPT);
            self.line = line;
        }
        Ok(used)
    }

    fn text(&mut self, error: bool, text: &[u8], visitor: &mut impl ReplyVisitor) {
        if error {
            visitor.error(text);
        } else {
            visitor.status(text);
        }
        self.end();
    }

    fn number(
        &mut self,
        of: Number,
        mut digits: Digits,
        byte: u8,
        visitor: &mut impl ReplyVisitor,
    ) -> Result<usize, ProtocolViolation> {
        if !digits.is_complete_with(byte)? {
            self.part = Part::Number { of, digits };
            return Ok(1);
        }
        let absent = digits.negative;
        match of {
            Number::Integer => {
                let value = i128::from(digits.value);
                let number = i64::try_from(if digits.negative { -value } else { value });
                visitor.integer(number.map_err(|_| ProtocolViolation::Malformed)?);
                self.end();
            }
            _ if absent && digits.value != 1 => return Err(ProtocolViolation::Malformed),
            _ if absent => {
                visitor.nil();
                self.end();
            }
            Number::StringLength => {
                self.check_string(digits.value, self.bytes + 1)?;
                self.begin_string(digits.value, visitor);
            }
            Number::ArrayLength => self.begin_array(digits.value, visitor)?,
        }
        Ok(1)
    }

    /// Refuses a string of a length with which the reply, so far of so many bytes, is too long.
    fn check_string(&self, length: u64, before: u64) -> Result<(), ProtocolViolation> {
        let fits = length.saturating_add(before + 2) <= MAX_BYTES;
        fits.then_some(()).ok_or(ProtocolViolation::TooLarge)
    }

    fn begin_string(&mut self, length: u64, visitor: &mut impl ReplyVisitor) {
        visitor.bulk_start(length as usize);
        self.part = if length > 0 { Part::Body { left: length } } else { Part::BodyEnd { returned: false } };
    }

    fn begin_array(&mut self, length: u64, visitor: &mut impl ReplyVisitor) -> Result<(), ProtocolViolation> {
        if length.saturating_add(self.values) > MAX_VALUES {
            return Err(ProtocolViolation::TooLarge);
        }
        if length > 0 && self.depth == MAX_DEPTH {
            return Err(ProtocolViolation::Malformed);
        }
        visitor.array(length as usize);
        if length == 0 {
            self.end();
        } else {
            self.open[self.depth] = length;
            self.depth += 1;
            self.part = Part::Type;
        }
        Ok(())
    }

    fn body(&mut self, left: u64, rest: &[u8], visitor: &mut impl ReplyVisitor) -> usize {
        let used = rest.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        visitor.bulk_bytes(&rest[..used]);
        let left = left - used as u64;
        self.part = if left > 0 { Part::Body { left } } else { Part::BodyEnd { returned: false } };
        used
    }

    fn body_end(
        &mut self,
        returned: bool,
        byte: u8,
        visitor: &mut impl ReplyVisitor,
    ) -> Result<usize, ProtocolViolation> {
        match (returned, byte) {
            (false, b'\r') => self.part = Part::BodyEnd { returned: true },
            (true, b'\n') => {
                visitor.bulk_end();
                self.end();
            }
            _ => return Err(ProtocolViolation::Malformed),
        }
        Ok(1)
    }

    /// A value is complete, and with it perhaps the arrays it is the last one of.
    fn end(&mut self) {
        self.part = Part::Type;
        while let Some(last) = self.depth.checked_sub(1) {
            self.open[last] -= 1;
            if self.open[last] > 0 {
                return;
            }
            self.depth = last;
        }
    }
}

impl Digits {
    /// Takes the next byte, and says whether it was the last.
    fn is_complete_with(&mut self, byte: u8) -> Result<bool, ProtocolViolation> {
        match byte {
            b'\n' if self.returned && self.count > 0 => return Ok(true),
            _ if self.returned => return Err(ProtocolViolation::Malformed),
            b'0'..=b'9' if self.count < MAX_DIGITS => {
                self.value = self.value * 10 + u64::from(byte - b'0');
                self.count += 1;
            }
            b'-' | b'+' if self.count == 0 && !self.signed => {
                (self.signed, self.negative) = (true, byte == b'-');
            }
            b'\r' => self.returned = true,
            _ => return Err(ProtocolViolation::Malformed),
        }
        Ok(false)
    }
}

/// The number behind a type, if it is there as a whole and has the usual form, and the bytes up to the end of its line.
fn short_number(rest: &[u8]) -> Option<(i64, usize)> {
    let negative = *rest.get(1)? == b'-';
    let start = 1 + usize::from(negative);
    let (mut value, mut at) = (0_i64, start);
    loop {
        let digit = rest.get(at)?.wrapping_sub(b'0');
        if digit > 9 {
            break;
        }
        // Eighteen digits always fit.
        if at - start == 18 {
            return None;
        }
        value = value * 10 + i64::from(digit);
        at += 1;
    }
    let is_usual = at > start && !(negative && value == 0) && rest.get(at..at + 2)? == b"\r\n";
    is_usual.then_some((if negative { -value } else { value }, at + 2))
}

#[cfg(test)]
mod tests;
