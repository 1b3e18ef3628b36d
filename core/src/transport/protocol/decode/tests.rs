//! What is let through and told of, and what is not, whichever way the bytes are cut.

use redis::Value;

use super::{Decoder, MAX_BYTES, MAX_DEPTH, MAX_LINE, MAX_VALUES, ProtocolViolation, ReplyVisitor, ValueVisitor};

/// Writes down what it is told.
#[derive(Default)]
struct Log {
    lines: Vec<String>,
    text: Option<(usize, Vec<u8>)>,
}

fn shown(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}

impl ReplyVisitor for Log {
    fn status(&mut self, text: &[u8]) {
        self.lines.push(format!("+{}", shown(text)));
    }

    fn error(&mut self, text: &[u8]) {
        self.lines.push(format!("-{}", shown(text)));
    }

    fn integer(&mut self, number: i64) {
        self.lines.push(format!(":{number}"));
    }

    fn nil(&mut self) {
        self.lines.push("nil".into());
    }

    fn bulk_start(&mut self, length: usize) {
        assert!(self.text.replace((length, Vec::new())).is_none());
    }

    fn bulk_bytes(&mut self, bytes: &[u8]) {
        self.text.as_mut().unwrap().1.extend_from_slice(bytes);
    }

    fn bulk_end(&mut self) {
        let (length, text) = self.text.take().unwrap();
        assert_eq!(text.len(), length);
        self.lines.push(format!("${}", shown(&text)));
    }

    fn array(&mut self, length: usize) {
        self.lines.push(format!("*{length}"));
    }
}

/// Everything that is told of bytes in pieces, how many of them were used, and what ended it.
fn decoded<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Log, usize, Option<ProtocolViolation>) {
    let (mut decoder, mut log, mut used) = (Decoder::new(), Log::default(), 0);
    for mut piece in pieces {
        while !piece.is_empty() {
            match decoder.read(piece, &mut log) {
                Ok(progress) => {
                    assert!(progress.used > 0);
                    assert!(progress.complete || progress.used == piece.len());
                    assert_eq!(progress.complete, decoder.between());
                    if progress.complete {
                        assert!(log.text.is_none());
                        log.lines.push("end".into());
                    }
                    piece = &piece[progress.used..];
                    used += progress.used;
                }
                Err(violation) => return (log, used, Some(violation)),
            }
        }
    }
    (log, used, None)
}

/// Replies of every shape.
fn replies() -> Vec<u8> {
    let mut bytes = b"+OK\r\n+QUEUED\r\n+\r\n+a\nb\rc\r\n-ERR no\r\n:1\r\n:-7\r\n:+7\r\n:007\r\n:-0\r\n".to_vec();
    bytes.extend(b":9223372036854775807\r\n:-9223372036854775808\r\n:0000000000000000012\r\n");
    bytes.extend(b"$-1\r\n$-01\r\n$0\r\n\r\n$4\r\ntrue\r\n$+4\r\n\r\n*9\r\n$12\r\n0123456789\r\n\r\n*-1\r\n*0\r\n");
    bytes.extend(
        b"*2\r\n:1\r\n:1\r\n*2\r\n*1\r\n:1\r\n$1\r\n*\r\n*3\r\n*0\r\n*2\r\n*-1\r\n*1\r\n-ERR x\r\n$2\r\nab\r\n",
    );
    bytes.extend("*1\r\n".repeat(MAX_DEPTH).into_bytes());
    bytes.extend(b"+OK\r\n");
    bytes
}

#[test]
fn every_shape_is_told_of() {
    let (log, _, violation) = decoded([replies().as_slice()]);
    assert_eq!(violation, None);
    let told = log.lines.join(" ");
    let told = told.trim_end_matches(" end").split(" end ").collect::<Vec<_>>();
    let deep = format!("{}+OK", "*1 ".repeat(MAX_DEPTH));
    let expected = [
        "+OK",
        "+QUEUED",
        "+",
        r"+a\nb\rc",
        "-ERR no",
        ":1",
        ":-7",
        ":7",
        ":7",
        ":0",
        ":9223372036854775807",
        ":-9223372036854775808",
        ":12",
        "nil",
        "nil",
        "$",
        "$true",
        r"$\r\n*9",
        r"$0123456789\r\n",
        "nil",
        "*0",
        "*2 :1 :1",
        "*2 *1 :1 $*",
        "*3 *0 *2 nil *1 -ERR x $ab",
        &deep,
    ];
    assert_eq!(told, expected);
}

#[test]
fn it_does_not_matter_where_bytes_are_cut() {
    let bytes = replies();
    let whole = decoded([bytes.as_slice()]).0.lines;
    for size in 1..bytes.len() {
        assert_eq!(decoded(bytes.chunks(size)).0.lines, whole, "in pieces of {size}");
        assert_eq!(decoded([&bytes[..size], &bytes[size..]]).0.lines, whole, "cut at {size}");
    }
}

#[test]
fn replies_are_built_as_the_redis_crate_builds_them() {
    let bytes = replies();
    for size in [1, 2, 3, 7, 64, bytes.len()] {
        let (mut parser, mut expected) = (redis::Parser::new(), bytes.as_slice());
        let (mut decoder, mut visitor) = (Decoder::new(), ValueVisitor::default());
        for mut piece in bytes.chunks(size) {
            while !piece.is_empty() {
                let progress = decoder.read(piece, &mut visitor).unwrap();
                piece = &piece[progress.used..];
                let value: Option<Value> = visitor.take();
                assert_eq!(value.is_some(), progress.complete);
                if let Some(value) = value {
                    assert_eq!(value, parser.parse_value(&mut expected).unwrap());
                }
            }
        }
        assert!(expected.is_empty());
    }
}

/// What is not the protocol, and the bytes that are right before the one that shows it.
fn violations() -> Vec<(Vec<u8>, usize, ProtocolViolation)> {
    use ProtocolViolation::{Malformed, TooLarge};
    let deep = "*1\r\n".repeat(MAX_DEPTH);
    let long = format!("+{}", "x".repeat(MAX_LINE));
    let large = format!("${}\r", MAX_BYTES - 13);
    let mut all: Vec<(String, usize, ProtocolViolation)> = Vec::new();
    for (text, right) in [
        ("HTTP/1.1 400 Bad Request\r\n", 0),
        (">2\r\n+invalidate\r\n*0\r\n", 0),
        ("%1\r\n", 0),
        ("_\r\n", 0),
        ("\r\n", 0),
        ("$-2\r\n", 4),
        ("$-0\r\n", 4),
        ("*-5\r\n", 4),
        ("$\r\n", 2),
        ("$1a\r\n", 2),
        ("$ 1\r\n", 1),
        ("$+-1\r\n", 2),
        ("$1-\r\n", 2),
        (":\r\n", 2),
        (":-\r\n", 3),
        (":1\n", 2),
        (":1\r\r\n", 3),
        (":1 \r\n", 2),
        (":9223372036854775808\r\n", 21),
        (":-9223372036854775809\r\n", 22),
        ("$99999999999999999999\r\n", 20),
        ("*00000000000000000000\r\n", 20),
        ("$2\r\nabc\r\n", 6),
        ("$2\r\nab\n\n", 6),
        ("$2\r\nab\rx", 7),
        ("$0\r\nx", 4),
    ] {
        all.push((text.into(), right, Malformed));
        all.push((format!("*2\r\n:1\r\n{text}"), right + 8, Malformed));
    }
    all.push((format!("{deep}*1\r\n"), deep.len() + 3, Malformed));
    all.push((long.clone() + "\r\n", MAX_LINE + 1, Malformed));
    all.push((long[..MAX_LINE].to_owned() + "\r\n", MAX_LINE + 1, Malformed));
    all.push((long, MAX_LINE + 1, Malformed));
    all.push((large.clone() + "\n", large.len(), TooLarge));
    all.push((format!("${MAX_BYTES}\r\n"), MAX_BYTES.to_string().len() + 2, TooLarge));
    all.push(("$9999999999999999999\r\n".into(), 21, TooLarge));
    all.push(("*9999999999999999999\r\n".into(), 21, TooLarge));
    all.push((format!("*{MAX_VALUES}\r\n"), MAX_VALUES.to_string().len() + 2, TooLarge));
    all.push((format!("*2\r\n:1\r\n*{}\r\n", MAX_VALUES - 2), MAX_VALUES.to_string().len() + 10, TooLarge));
    let of_text = |(text, right, violation): (String, usize, ProtocolViolation)| {
        assert!(right <= text.len());
        // The last of these texts go wrong at a byte that is still to come.
        let mut bytes = text.into_bytes();
        bytes.resize(bytes.len().max(right + 1), b'x');
        (bytes, right, violation)
    };
    all.into_iter().map(of_text).collect()
}

#[test]
fn what_is_wrong_is_refused_at_the_first_byte_that_shows_it() {
    for (bytes, right, violation) in violations() {
        let shown = shown(&bytes[..bytes.len().min(60)]);
        let (expected, _, found) = decoded([bytes.as_slice()]);
        assert_eq!(found, Some(violation), "{shown}");
        let (log, used, found) = decoded(bytes.chunks(1));
        assert_eq!((used, found), (right, Some(violation)), "{shown}");
        assert_eq!(log.lines, expected.lines, "{shown}");
        let cuts: Vec<usize> = (1..bytes.len()).filter(|&at| at < 100 || at + 100 > bytes.len()).collect();
        for cut in cuts {
            let (log, _, found) = decoded([&bytes[..cut], &bytes[cut..]]);
            assert_eq!(found, Some(violation), "{shown} cut at {cut}");
            assert_eq!(log.lines, expected.lines, "{shown} cut at {cut}");
        }
        assert_eq!(decoded([&bytes[..right]]).2, None, "{shown}");
    }
}

#[test]
fn what_is_just_small_enough_is_read() {
    let line = format!("+{}\r\n", "x".repeat(MAX_LINE - 2));
    for size in [1, 1000, line.len()] {
        assert_eq!(decoded(line.as_bytes().chunks(size)).0.lines.len(), 2);
    }
    let header = format!("${}\r\n", MAX_BYTES - 14);
    assert_eq!(decoded([header.as_bytes()]).2, None);
    assert_eq!(decoded([format!("*{}\r\n", MAX_VALUES - 1).as_bytes()]).2, None);
}

#[test]
fn a_reply_is_bounded_as_a_whole() {
    let half = MAX_BYTES / 2;
    let mut decoder = Decoder::new();
    /// Counts bytes.
    #[derive(Default)]
    struct Size(u64);
    impl ReplyVisitor for Size {
        fn status(&mut self, _: &[u8]) {}
        fn error(&mut self, _: &[u8]) {}
        fn integer(&mut self, _: i64) {}
        fn nil(&mut self) {}
        fn bulk_start(&mut self, _: usize) {}
        fn bulk_bytes(&mut self, bytes: &[u8]) {
            self.0 += bytes.len() as u64;
        }
        fn bulk_end(&mut self) {}
        fn array(&mut self, _: usize) {}
    }
    let mut size = Size::default();
    let mut read = |bytes: &[u8]| decoder.read(bytes, &mut size).map(|progress| progress.complete);
    assert_eq!(read(format!("*3\r\n${half}\r\n").as_bytes()), Ok(false));
    let chunk = vec![0; 1 << 20];
    for _ in 0..half / (1 << 20) {
        assert_eq!(read(&chunk), Ok(false));
    }
    assert_eq!(read(format!("\r\n${half}\r\n").as_bytes()), Err(ProtocolViolation::TooLarge));
    assert_eq!(size.0, half);
    // Arrays of arrays, none of them too long by itself.
    let mut decoder = Decoder::new();
    assert!(decoder.read(format!("*{}\r\n", MAX_VALUES / 2).as_bytes(), &mut Size::default()).is_ok());
    // As if so many had come.
    decoder.values = MAX_VALUES - 1500;
    let inner = format!("*{}\r\n{}", 1000, "*0\r\n".repeat(1000));
    let mut read = || decoder.read(inner.as_bytes(), &mut Size::default()).map(|progress| progress.complete);
    assert_eq!(read(), Ok(false));
    assert_eq!(read(), Err(ProtocolViolation::TooLarge));
    // The next reply has all the room again.
    let mut decoder = Decoder::new();
    for text in ["*3\r\n$1\r\na\r\n*1\r\n:1\r\n+OK\r\n", "+OK\r\n", "$1\r\na\r\n"] {
        assert_eq!(decoder.read(text.as_bytes(), &mut Size::default()).map(|progress| progress.complete), Ok(true));
        assert_eq!((decoder.bytes, decoder.values), (0, 0));
    }
}
