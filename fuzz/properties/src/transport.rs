//! What the fuzz targets check of the replies that `transport` reads itself: frames, cluster maps, Sentinel, the handshake.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use idioteque_redis_core::config::{Address, Secret, Sentinels, Settings, Topology};
use idioteque_redis_core::store::slot::{SLOTS, slot_of};
use idioteque_redis_core::transport::cluster::topology::{NodeId, read_redirect, read_slots};
use idioteque_redis_core::transport::connection::handshake::Handshake;
use idioteque_redis_core::transport::protocol::reply_framer::ReplyFramer;
use idioteque_redis_core::transport::sentinel::discovery;
use idioteque_redis_core::transport::{ExpectedNode, Member, Target};
use redis::Value;

/// Where replies end does not depend on how the bytes are cut, and is where the parser says.
pub fn frames(data: &[u8]) {
    let Some((&cut, bytes)) = data.split_first() else { return };
    let mut pieces = ReplyFramer::new();
    pieces.ask(usize::MAX);
    let outcome = bytes.chunks(usize::from(cut).max(1)).try_for_each(|piece| pieces.read(piece));
    let mut single = ReplyFramer::new();
    single.ask(usize::MAX);
    let (mut from, mut refused) = (0, None);
    for (index, byte) in bytes.iter().enumerate() {
        if let Err(wrong) = single.read(&[*byte]) {
            refused = Some(wrong);
            break;
        }
        if single.between() {
            let reply = &bytes[from..=index];
            from = index + 1;
            assert!(!is_cut_short(reply), "the parser needs more than {reply:?}");
            assert!(!is_whole(&reply[..reply.len() - 1]), "the parser needs less than {reply:?}");
        }
    }
    assert_eq!(outcome.err(), refused);
    assert_eq!(pieces.answered(), single.answered());
    assert_eq!(pieces.last_word(), single.last_word());
}

/// Whether the parser wants more. What is no reply at all it may refuse at any byte.
fn is_cut_short(reply: &[u8]) -> bool {
    redis::parse_redis_value(reply).is_err_and(|error| error.kind() != redis::ErrorKind::Parse)
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
