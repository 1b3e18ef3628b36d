//! Random replies to every call: mostly those that a server gives, with others in between.

use idioteque_redis_core::store::keys::Role;
use idioteque_redis_core::store::server_features::ServerFeatures;
use idioteque_redis_core::store::{Call, Prefetch};

use crate::replies::{OF_WORKER, call, features, read_in_pieces};

/// Numbers that only look random, from a seed: <https://www.jstatsoft.org/article/view/v008i14>.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % bound
    }

    fn one_of<'a>(&mut self, choices: &[&'a [u8]]) -> &'a [u8] {
        choices[self.below(choices.len())]
    }
}

fn bulk(text: &[u8], out: &mut Vec<u8>) {
    out.extend(format!("${}\r\n", text.len()).into_bytes());
    out.extend(text);
    out.extend(b"\r\n");
}

fn array(length: usize, out: &mut Vec<u8>) {
    out.extend(format!("*{length}\r\n").into_bytes());
}

/// Any value.
fn value(random: &mut Random, depth: usize, out: &mut Vec<u8>) {
    match random.below(if depth < 4 { 12 } else { 9 }) {
        0 => out.extend(random.one_of(&[b"+OK\r\n", b"+QUEUED\r\n", b"+\r\n", b"+a\nb\r\n"])),
        1 => out.extend(random.one_of(&[
            b"-ERR syntax error\r\n",
            b"-WRONGTYPE Operation against a key\r\n",
            b"-EXECABORT Transaction discarded because of previous errors.\r\n",
            b"-EXECABORT Transaction discarded because of: READONLY You can't write\r\n",
            b"-ERR unknown command 'HSET', with args beginning with: 'x' \r\n",
            b"-MOVED 1 127.0.0.1:7000\r\n",
            b"-lower\r\n",
            b"-\r\n",
        ])),
        2 | 3 => out.extend(random.one_of(&[b":0\r\n", b":1\r\n", b":-12\r\n", b":9223372036854775807\r\n"])),
        4 => out.extend(random.one_of(&[b"$-1\r\n", b"*-1\r\n"])),
        5..9 => bulk(random.one_of(TEXTS), out),
        _ => {
            let length = random.below(6);
            array(length, out);
            (0..length).for_each(|_| value(random, depth + 1, out));
        }
    }
}

const TEXTS: &[&[u8]] =
    &[b"true", b"", b"1", b"{\"a\":[1]}", b"1,\"x\":2", b"}", b"a\"\\\n", b"\xff\xfe", b"task", b" null "];
const JSON: &[&[u8]] =
    &[b"1", b"null", b" [ ] ", b"{\"a\":{\"b\":[\"}\",\"\\\"\",\",\"]}}", b"\"\\\\\"", b"\"\xc3\xa9\"", b"-1.5e3"];

fn hash(random: &mut Random, out: &mut Vec<u8>) {
    // Now and then more than a snapshot keeps.
    let length = if random.below(40) == 0 { 300 } else { random.below(6) };
    let large = random.below(40) == 0;
    let is_odd = random.below(30) == 0;
    array(2 * length + usize::from(is_odd), out);
    for number in 0..length {
        match random.below(20) {
            0 => value(random, 3, out),
            1 => bulk(random.one_of(TEXTS), out),
            _ => bulk(format!("task{number}").as_bytes(), out),
        }
        match random.below(40) {
            0 => value(random, 3, out),
            1 => bulk(random.one_of(TEXTS), out),
            _ if large => bulk(format!("[{}1]", "1,".repeat(12_000)).as_bytes(), out),
            _ => bulk(random.one_of(JSON), out),
        }
    }
    if is_odd {
        value(random, 0, out);
    }
}

/// What a command that is no transaction is answered.
fn answer(random: &mut Random, name: &[u8], out: &mut Vec<u8>) {
    match name {
        b"HGETALL" => hash(random, out),
        b"HKEYS" => {
            let count = random.below(4);
            array(count, out);
            (0..count).for_each(|_| bulk(random.one_of(JSON), out));
        }
        b"GET" | b"HGET" | b"SET" => match random.below(3) {
            0 => out.extend(b"$-1\r\n"),
            _ => bulk(random.one_of(JSON), out),
        },
        _ => out.extend(b":1\r\n"),
    }
}

/// The replies to a call's commands.
fn replies(random: &mut Random, call: &Call, features: ServerFeatures, out: &mut Vec<u8>) {
    let mut pipeline = redis::Pipeline::new();
    call.append(features, &mut pipeline);
    let mut queued: Option<Vec<Vec<u8>>> = None;
    for command in pipeline.cmd_iter() {
        let name = match command.args_iter().next() {
            Some(redis::Arg::Simple(name)) => name.to_vec(),
            _ => Vec::new(),
        };
        if random.below(10) == 0 {
            value(random, 0, out);
            continue;
        }
        match (name.as_slice(), &mut queued) {
            (b"MULTI", _) => {
                queued = Some(Vec::new());
                out.extend(b"+OK\r\n");
            }
            (b"EXEC", commands) => {
                let commands = commands.take().unwrap_or_default();
                array(commands.len(), out);
                for name in commands {
                    match random.below(20) {
                        0 => value(random, 0, out),
                        _ => answer(random, &name, out),
                    }
                }
            }
            (_, Some(commands)) => {
                commands.push(name);
                out.extend(b"+QUEUED\r\n");
            }
            (name, None) => answer(random, name, out),
        }
    }
}

#[test]
fn random_replies_mean_while_they_come_what_they_mean_as_trees() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let roles = [None, None, None, Some(Role::Execution), Some(Role::Transactions), Some(Role::Results)];
    let (mut compared, mut bytes) = (0, Vec::new());
    for round in 0..60 {
        for &kind in OF_WORKER {
            for prefetch in Prefetch::ALL {
                let features = features(random.below(2) == 0, random.below(4) > 0);
                for (ttl, sliding) in [(None, false), (Some(9), false), (Some(9), true)] {
                    let role = roles[random.below(roles.len())];
                    let call = call(kind, prefetch, ttl, sliding, role);
                    bytes.clear();
                    replies(&mut random, &call, features, &mut bytes);
                    let size = [usize::MAX, 1, 2, 3, 5, 17][round % 6];
                    compared += usize::from(read_in_pieces(&call, features, size, &bytes));
                }
            }
        }
    }
    assert!(compared > 7800, "{compared} of 8640 were compared");
}
