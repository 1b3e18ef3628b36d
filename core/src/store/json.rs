//! JSON, checked where it lies and written: nothing is built and no memory is asked for.

use serde::de::IgnoredAny;

/// Nesting that is kept track of in the bits of one number.
const MAX_DEPTH: u32 = 128;
/// A byte in each place of a word.
const EACH: u64 = u64::from_ne_bytes([1; 8]);
/// The highest bit of each byte of a word.
const HIGH: u64 = EACH << 7;

/// Whether the bytes are exactly one JSON value. Does not recurse, however deep it is nested. What is in its strings need not be
/// UTF-8.
pub fn is_json(bytes: &[u8]) -> bool {
    let mut reader = Reader { bytes, at: 0 };
    match reader.value() {
        Some(is_deep) if is_deep => serde_json::from_slice::<IgnoredAny>(bytes).is_ok(),
        Some(_) => reader.next_token().is_none(),
        None => false,
    }
}

/// Writes text as a JSON string.
pub fn write_string(text: &[u8], out: &mut Vec<u8>) {
    if text.is_ascii() && end_of_plain(text, 0) == text.len() {
        out.reserve(text.len() + 2);
        out.push(b'"');
        out.extend_from_slice(text);
        out.push(b'"');
        return;
    }
    serde_json::to_writer(out, &String::from_utf8_lossy(text)).expect("a string always has a JSON form");
}

/// The place behind a JSON string that begins with the quote at a place, or the end.
pub fn end_of_string(text: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    loop {
        at = end_of_plain(text, at);
        match text.get(at) {
            None => return text.len(),
            Some(b'"') => return at + 1,
            Some(b'\\') => at += 2,
            Some(_) => at += 1,
        }
    }
}

/// The next place, from one on, of a quote, a backslash or a control character; or the end.
fn end_of_plain(text: &[u8], mut at: usize) -> usize {
    while let Some(word) = text.get(at..).and_then(<[u8]>::first_chunk::<8>) {
        let word = u64::from_le_bytes(*word);
        // The lowest bit that is set stands in the first byte that is meant; behind that, borrows may set others.
        let zeros = |word: u64| word.wrapping_sub(EACH) & !word;
        let control = word.wrapping_sub(EACH * 0x20) & !word;
        let found = (zeros(word ^ (EACH * 0x22)) | zeros(word ^ (EACH * 0x5c)) | control) & HIGH;
        if found != 0 {
            return at + found.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    let rest = text.get(at..).unwrap_or_default();
    at + rest.iter().position(|&byte| byte < b' ' || byte == b'"' || byte == b'\\').unwrap_or(rest.len())
}

/// A place in a text. Whatever is not JSON makes its methods return `None`.
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    /// Goes behind one value. Returns whether it is nested too deep to be read here.
    fn value(&mut self) -> Option<bool> {
        // Of each object and array that has begun, whether it is an object; the innermost in the lowest bit.
        let (mut open, mut depth) = (0_u128, 0);
        let mut byte = self.next_token()?;
        loop {
            self.at += 1;
            match byte {
                b'{' | b'[' => {
                    let is_object = byte == b'{';
                    let first = self.next_token()?;
                    if first != byte + 2 {
                        if depth == MAX_DEPTH {
                            return Some(true);
                        }
                        (open, depth) = (open << 1 | u128::from(is_object), depth + 1);
                        byte = if is_object { self.name(first)? } else { first };
                        continue;
                    }
                    self.at += 1;
                }
                b'"' => self.string()?,
                b'-' | b'0'..=b'9' => self.number(byte)?,
                b't' => self.word(b"rue")?,
                b'f' => self.word(b"alse")?,
                b'n' => self.word(b"ull")?,
                _ => return None,
            }
            // A value is complete, and perhaps what it is in.
            loop {
                if depth == 0 {
                    return Some(false);
                }
                let is_object = open & 1 == 1;
                let next = self.next_token()?;
                if next == b',' {
                    self.at += 1;
                    let first = self.next_token()?;
                    byte = if is_object { self.name(first)? } else { first };
                    break;
                }
                if next != if is_object { b'}' } else { b']' } {
                    return None;
                }
                self.at += 1;
                (open, depth) = (open >> 1, depth - 1);
            }
        }
    }

    /// Goes to the next byte that is no white space, and returns it.
    fn next_token(&mut self) -> Option<u8> {
        loop {
            let byte = *self.bytes.get(self.at)?;
            if !matches!(byte, b' ' | b'\n' | b'\t' | b'\r') {
                return Some(byte);
            }
            self.at += 1;
        }
    }

    /// Goes behind a name and its colon, and returns the first byte of the value.
    fn name(&mut self, first: u8) -> Option<u8> {
        if first != b'"' {
            return None;
        }
        self.at += 1;
        self.string()?;
        if self.next_token()? != b':' {
            return None;
        }
        self.at += 1;
        self.next_token()
    }

    /// Goes behind a string of which the first quote has been read.
    fn string(&mut self) -> Option<()> {
        loop {
            self.at = end_of_plain(self.bytes, self.at) + 1;
            match self.bytes.get(self.at - 1)? {
                b'"' => return Some(()),
                b'\\' => {}
                _ => return None,
            }
            let escape = *self.bytes.get(self.at)?;
            self.at += 1;
            match escape {
                b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => {}
                b'u' => {
                    let digits = self.bytes.get(self.at..self.at + 4)?;
                    digits.iter().all(u8::is_ascii_hexdigit).then_some(())?;
                    self.at += 4;
                }
                _ => return None,
            }
        }
    }

    /// Goes behind a number of which the first byte has been read.
    fn number(&mut self, first: u8) -> Option<()> {
        if first == b'-' {
            self.digit()?;
        }
        // No other digit follows a leading zero.
        if self.bytes[self.at - 1] != b'0' {
            self.digits();
        }
        if self.bytes.get(self.at) == Some(&b'.') {
            self.at += 1;
            self.digit()?;
            self.digits();
        }
        if let Some(b'e' | b'E') = self.bytes.get(self.at) {
            self.at += 1;
            if let Some(b'+' | b'-') = self.bytes.get(self.at) {
                self.at += 1;
            }
            self.digit()?;
            self.digits();
        }
        Some(())
    }

    fn digit(&mut self) -> Option<()> {
        let is_digit = self.bytes.get(self.at)?.is_ascii_digit();
        self.at += 1;
        is_digit.then_some(())
    }

    fn digits(&mut self) {
        while self.bytes.get(self.at).is_some_and(u8::is_ascii_digit) {
            self.at += 1;
        }
    }

    fn word(&mut self, rest: &[u8]) -> Option<()> {
        let found = self.bytes.get(self.at..self.at + rest.len())? == rest;
        self.at += rest.len();
        found.then_some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &[u8]) {
        let expected = serde_json::from_slice::<IgnoredAny>(text).is_ok();
        assert_eq!(is_json(text), expected, "{}", text.escape_ascii());
    }

    #[test]
    fn deep_nesting_is_checked_without_recursion() {
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(is_json(deep.as_bytes()));
        assert!(!is_json(&deep.as_bytes()[1..]));
        for depth in 126..131 {
            let nested = format!("{}1{}", "{\"a\":[".repeat(depth / 2), "]}".repeat(depth / 2));
            assert!(is_json(nested.as_bytes()));
            check(&nested.as_bytes()[..nested.len() - 1]);
            check(nested.replacen("]}", "}]", 1).as_bytes());
            check(format!("{nested} ]").as_bytes());
        }
    }

    #[test]
    fn json_is_what_serde_json_takes_for_it() {
        let right = [
            "null",
            "true",
            "false",
            "0",
            "-0",
            "-1.5e+3",
            "1E9",
            "10",
            "0.0e-0",
            "\"\"",
            "\"\\u00aF\\\"\\\\\\/\\b\\f\\n\\r\\t\"",
            "[]",
            "{}",
            " [ 1 , [ ] , { } ] ",
            "{\"a\":{\"b\":[\"}\",\"\\\"\",\",\"]},\"c\":null}",
            "\t\r\n1\t\r\n",
            "\"abcdefgh\"",
            "\"abcdefg\u{e9}\u{2028}hijkl\"",
            "[{\"a\":1},{\"a\":[[[]]]}]",
            "\"\\ud800\"",
            "\"\u{7f}\"",
        ];
        let bytes = b"\"\\{}[]:,0159-+.eEtrufalsn \t\n\r\x00\x1f\x7f\xff/u";
        for text in right {
            assert!(is_json(text.as_bytes()), "{text}");
            for at in 0..=text.len() {
                check(&text.as_bytes()[..at]);
                for &byte in bytes {
                    let (before, behind) = text.as_bytes().split_at(at);
                    check(&[before, &[byte], behind].concat());
                    check(&[before, &[byte], behind.get(1..).unwrap_or_default()].concat());
                }
            }
        }
        // All short texts of what JSON is made of.
        let letters = b"{}[]\":,10-.e \\a";
        for code in 0..letters.len().pow(4) {
            let mut rest = code;
            let text = [(); 4].map(|()| {
                let letter = letters[rest % letters.len()];
                rest /= letters.len();
                letter
            });
            (1..=4).for_each(|length| check(&text[..length]));
        }
    }

    #[test]
    fn strings_are_written_as_serde_json_writes_them() {
        for code in (0..0x300).chain([0x2028, 0xfffd, 0x1f600]).filter_map(char::from_u32) {
            for text in [format!("{code}"), format!("a{code}b"), format!("abcdefgh{code}ijklmnopq")] {
                let mut out = Vec::new();
                write_string(text.as_bytes(), &mut out);
                assert_eq!(out, serde_json::to_vec(&text).unwrap());
                assert_eq!(end_of_string(&[&out[..], b",\"\""].concat(), 0), out.len());
            }
        }
    }
}
