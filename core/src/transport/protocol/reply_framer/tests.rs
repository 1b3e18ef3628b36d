//! What is let through and what is not, whichever way the bytes are cut.

use super::{MAX_BYTES, MAX_DEPTH, MAX_KEPT, MAX_VALUES, ProtocolViolation, ReplyFramer};

fn asked(replies: usize) -> ReplyFramer {
    let mut frames = ReplyFramer::new();
    frames.ask(replies);
    frames
}

#[test]
fn replies_are_counted_however_they_are_cut() {
    let text = b"+OK\r\n-ERR no\r\n:-7\r\n:+7\r\n$-1\r\n$0\r\n\r\n$4\r\n\r\n*9\r\n*-1\r\n*0\r\n*2\r\n*1\r\n:1\r\n$1\r\n*\r\n+a\nb\r\n";
    for size in 1..=text.len() {
        let mut frames = asked(11);
        for piece in text.chunks(size) {
            frames.read(piece).unwrap();
        }
        assert_eq!((frames.answered(), frames.between()), (11, true), "in pieces of {size}");
        assert_eq!(frames.read(b"+"), Err(ProtocolViolation::Unsolicited));
    }
}

#[test]
fn the_last_word_is_an_error_that_nothing_has_followed() {
    let word = |text: &str| {
        let mut frames = asked(3);
        frames.read(text.as_bytes()).unwrap();
        frames.last_word().map(|(number, words)| (number, String::from_utf8_lossy(words).into_owned()))
    };
    assert_eq!(word(""), None);
    assert_eq!(word("-ERR a\r\n"), Some((0, "ERR a".into())));
    assert_eq!(word("+OK\r\n-ERR b\r\n"), Some((1, "ERR b".into())));
    assert_eq!(word(&format!("-{}\r\n", "x".repeat(1000))).unwrap().1.len(), MAX_KEPT - 1);
    for followed in
        ["-ERR a\r\n+", "-ERR a\r\n:1\r\n", "-ERR a\r", "-ERR a\r\n*1\r\n", "*1\r\n-ERR a\r\n", "+ERR a\r\n"]
    {
        assert_eq!(word(followed), None, "{followed:?}");
    }
    let mut cut = asked(1);
    "-ERR a\r\n".bytes().for_each(|byte| cut.read(&[byte]).unwrap());
    assert_eq!(cut.last_word(), Some((0, &b"ERR a"[..])));
}

#[test]
fn what_nothing_asked_for_is_refused_at_its_first_byte() {
    assert_eq!(ReplyFramer::new().read(b"+OK\r\n"), Err(ProtocolViolation::Unsolicited));
    let mut frames = asked(1);
    assert_eq!(frames.ask(2), 1);
    assert_eq!(frames.read(b"+OK\r\n+OK\r\n+OK\r\n"), Ok(()));
    assert_eq!(frames.read(b"$"), Err(ProtocolViolation::Unsolicited));
}

#[test]
fn what_is_not_the_protocol_is_refused() {
    for text in [
        "HTTP/1.1 400 Bad Request\r\n",
        ">2\r\n+invalidate\r\n*0\r\n",
        "%1\r\n",
        "$-2\r\n",
        "*-5\r\n",
        "$\r\n",
        "$1a\r\n",
        "$+-1\r\n",
        ":1\n",
        ":1\r\r\n",
        "$99999999999999999999\r\n",
    ] {
        assert_eq!(asked(1).read(text.as_bytes()), Err(ProtocolViolation::Malformed), "{text:?}");
    }
    let deep = "*1\r\n".repeat(MAX_DEPTH);
    assert_eq!(asked(1).read(format!("{deep}:1\r\n").as_bytes()), Ok(()));
    assert_eq!(asked(1).read(format!("{deep}*1\r\n").as_bytes()), Err(ProtocolViolation::Malformed));
    let mut endless = asked(1);
    assert_eq!(endless.read(b"+"), Ok(()));
    assert!((0..100).any(|_| endless.read(&[b'x'; 1000]) == Err(ProtocolViolation::Malformed)));
}

#[test]
fn what_is_too_large_is_refused_before_it_comes() {
    assert_eq!(asked(1).read(format!("${MAX_BYTES}\r\n").as_bytes()), Err(ProtocolViolation::TooLarge));
    assert_eq!(asked(1).read(b"*2147483648\r\n"), Err(ProtocolViolation::TooLarge));
    let half = format!("*3\r\n${}\r\n", MAX_BYTES / 2);
    let mut frames = asked(1);
    assert_eq!(frames.read(half.as_bytes()), Ok(()));
    let chunk = vec![0; 1 << 20];
    for _ in 0..MAX_BYTES / 2 / (1 << 20) {
        assert_eq!(frames.read(&chunk), Ok(()));
    }
    assert_eq!(frames.read(format!("\r\n${}\r\n", MAX_BYTES / 2).as_bytes()), Err(ProtocolViolation::TooLarge));
    // Arrays of arrays, none of them too long by itself.
    let mut many = asked(1);
    assert_eq!(many.read(format!("*{}\r\n", MAX_VALUES / 2).as_bytes()), Ok(()));
    let inner = format!("*{}\r\n{}", 1000, "*0\r\n".repeat(1000));
    assert!((0..MAX_VALUES / 1000 + 2).any(|_| many.read(inner.as_bytes()) == Err(ProtocolViolation::TooLarge)));
}
