//! The slot that a key is in.
//! <https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/#key-distribution-model>

use super::call::Call;
use super::cluster_steps::steps;
use super::keys::Role;

/// How many slots a cluster has.
pub const SLOTS: usize = 16_384;
/// CRC16/XMODEM, one entry for each byte.
const TABLE: [u16; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = (byte as u16) << 8;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 };
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
};

/// The bytes that are looked at together.
const STEP: usize = 8;
/// What each byte of a step makes of the checksum, by how many bytes of the step follow it: so a step needs no byte's result for the
/// next byte.
const TABLES: [[u16; 256]; STEP] = {
    let mut tables = [TABLE; STEP];
    let mut after = 1;
    while after < STEP {
        let mut byte = 0;
        while byte < 256 {
            let crc = tables[after - 1][byte];
            tables[after][byte] = (crc << 8) ^ TABLE[(crc >> 8) as usize];
            byte += 1;
        }
        after += 1;
    }
    tables
};

fn checksum_of(bytes: &[u8]) -> u16 {
    let (steps, rest) = bytes.as_chunks::<STEP>();
    let crc = steps.iter().fold(0, |crc: u16, step| {
        let [high, low] = crc.to_be_bytes();
        let begun = [step[0] ^ high, step[1] ^ low];
        let all = begun.iter().chain(&step[2..]).zip(TABLES.iter().rev());
        all.fold(0, |crc, (byte, table)| crc ^ table[usize::from(*byte)])
    });
    rest.iter().fold(crc, |crc, byte| (crc << 8) ^ TABLE[usize::from((crc >> 8) as u8 ^ byte)])
}

/// What stands in a key's first braces, if anything does.
pub fn tag_of(key: &[u8]) -> Option<&[u8]> {
    // Most keys have none, and this is how that is found out quickest.
    if !key.contains(&b'{') {
        return None;
    }
    let open = key.iter().position(|&byte| byte == b'{')?;
    let length = key[open + 1..].iter().position(|&byte| byte == b'}')?;
    (length > 0).then(|| &key[open + 1..open + 1 + length])
}

/// The slot of a key: only its tag counts, if it has one.
pub fn slot_of(key: &[u8]) -> u16 {
    checksum_of(tag_of(key).unwrap_or(key)) % SLOTS as u16
}

/// Whether a call is one command or transaction on keys that may be in different slots.
pub fn spans_slots(call: &Call) -> bool {
    let is_several = steps(call).is_some() || call.prefetch.is_several(call.operation);
    call.only.is_none() && is_several && tag_of(&call.key(Role::Execution).to_bytes()).is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_in_the_slots_of_the_specification() {
        assert_eq!(slot_of(b"123456789"), 0x31C3);
        assert_eq!(slot_of(b"foo"), 12_182);
        for (key, tag) in [("{user}.a", "user"), ("a{user}b{c}", "user"), ("{{a}b", "{a")] {
            assert_eq!(slot_of(key.as_bytes()), slot_of(tag.as_bytes()), "{key}");
        }
        let long: Vec<u8> = (0..=255).collect();
        for length in 0..long.len() {
            let crc = long[..length].iter().fold(0u16, |crc, byte| {
                (0..8).fold(crc ^ u16::from(*byte) << 8, |crc, _| crc << 1 ^ if crc & 0x8000 == 0 { 0 } else { 0x1021 })
            });
            assert_eq!(checksum_of(&long[..length]), crc, "{length}");
        }
        assert_ne!(slot_of(b"{}a"), slot_of(b"{}b"));
        assert_ne!(slot_of(b"{a"), slot_of(b"{b"));
    }
}
