//! What the fuzz targets check of the replies that `transport` reads itself: frames, cluster maps, Sentinel, the handshake.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use idioteque_redis_core::config::{Address, Secret, Sentinels, Settings, Topology};
use idioteque_redis_core::store::slot::{SLOTS, slot_of};
use idioteque_redis_core::transport::cluster::topology::{NodeId, read_redirect, read_slots};
use idioteque_redis_core::transport::connection::handshake::Handshake;
use idioteque_redis_core::transport::protocol::decode::{Decoder, ValueVisitor};
use idioteque_redis_core::transport::sentinel::discovery;
use idioteque_redis_core::transport::{ExpectedNode, Member, Target};
use redis::Value;

/// What is told of replies does not depend on how the bytes are cut, and is what the parser says.
pub fn decode(data: &[u8]) {
    let Some((&cut, bytes)) = data.split_first() else { return };
    let in_pieces = |size: usize| {
        let (mut decoder, mut visitor, mut values) = (Decoder::new(), ValueVisitor::default(), Vec::new());
        let mut at = 0;
        for mut piece in bytes.chunks(size) {
            while !piece.is_empty() {
                match decoder.read(piece, &mut visitor) {
                    Ok(progress) => {
                        (piece, at) = (&piece[progress.used..], at + progress.used);
                        values.extend(visitor.take().map(|value| (at, value)));
                        assert_eq!(progress.complete, values.last().is_some_and(|&(end, _)| end == at));
                    }
                    Err(violation) => return (values, Some(violation)),
                }
            }
        }
        (values, None)
    };
    let single = in_pieces(1);
    assert_eq!(in_pieces(usize::from(cut).max(1)), single);
    assert_eq!(in_pieces(usize::MAX), single);
    let mut from = 0;
    for (end, value) in single.0 {
        let reply = &bytes[from..end];
        from = end;
        assert!(!is_whole(&reply[..reply.len() - 1]), "the parser needs less than {reply:?}");
        // What is not UTF-8 the parser does not take for a status.
        match redis::parse_redis_value(reply) {
            Ok(expected) => assert_eq!(value, expected),
            Err(_) => assert!(std::str::from_utf8(reply).is_err(), "the parser does not take {reply:?}"),
        }
    }
}

fn is_whole(reply: &[u8]) -> bool {
    redis::parse_redis_value(reply).is_ok()
}

/// Slot maps, redirects, sentinels and handshakes: nonsense is survived, and only slots that exist are given away.
pub fn topology(data: &[u8]) {
    let asked = Address::Tcp("asked.example".into(), 1);
    let _ = read_redirect(&String::from_utf8_lossy(data), &asked);
    assert!(usize::from(slot_of(data)) < SLOTS);
    let replies: Vec<Value> = crate::values(data).collect();
    for (first, last, owner) in replies.iter().filter_map(|reply| read_slots(reply, &asked)).flatten() {
        assert!(matches!(owner.address, Address::Tcp(..)));
        assert!(first <= last && usize::from(last) < SLOTS);
    }
    let _ = discovery::read_report(&replies);
    let id = Arc::new(OnceLock::from(NodeId::new("node")));
    let node = ExpectedNode { id, ..ExpectedNode::default() };
    for (member, topology) in [
        (Member::Alone, Topology::Single),
        (Member::Alone, Topology::Sentinel(Sentinels::default())),
        (Member::Node(node), Topology::Single),
    ] {
        let target = Target { member, ..test_target() };
        let settings = Settings { password: Some(Secret::new("password")), topology, ..target.settings.clone() };
        let handshake = Handshake::new(&target, &settings, &[]);
        let _ = handshake.read(&replies);
        let _ = replies.first().map(|reply| handshake.read_map(reply));
    }
}

/// A server that nothing connects to.
fn test_target() -> Target {
    let settings = idioteque_redis_core::config::from_input(&idioteque_redis_core::config::Input::Text(
        "redis://127.0.0.1:1".into(),
    ));
    Target {
        settings: settings.expect("a URL that is right"),
        source: None,
        connect_timeout: Duration::from_secs(1),
        command_timeout: Duration::from_secs(1),
        member: Member::Alone,
    }
}
