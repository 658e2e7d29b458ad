//! Which slot of a Redis Cluster a key is in: CRC-16 (XMODEM) of its hash tag, of 16,384 slots.

/// Slots of a cluster.
pub const SLOTS: u16 = 16_384;

/// The slot of `key`: of what stands between its first `{` and the next `}` where that is not empty, else of all of it.
pub fn slot_of(key: &[u8]) -> u16 {
    crc16(hash_tag(key).unwrap_or(key)) % SLOTS
}

/// What the slot is made of, where the key has a tag.
pub(crate) fn hash_tag(key: &[u8]) -> Option<&[u8]> {
    let open = key.iter().position(|&byte| byte == b'{')?;
    let rest = &key[open + 1..];
    let close = rest.iter().position(|&byte| byte == b'}')?;
    (close > 0).then(|| &rest[..close])
}

/// CRC-16/XMODEM: polynomial 0x1021, from 0, not reflected.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, &byte| (crc << 8) ^ TABLE[usize::from((crc >> 8) ^ u16::from(byte))])
}

const TABLE: [u16; 256] = {
    let mut table = [0; 256];
    let mut byte: u16 = 0;
    while byte < 256 {
        let mut crc = byte << 8;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 };
            bit += 1;
        }
        table[byte as usize] = crc;
        byte += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use spike_domain::EventId;

    use super::*;
    use crate::EventKeys;

    #[test]
    fn slots_are_those_of_redis() {
        // The check value of CRC-16/XMODEM, then what CLUSTER KEYSLOT of Redis 7.0.15 says.
        assert_eq!(crc16(b"123456789"), 0x31c3);
        for (key, slot) in [
            ("", 0),
            ("foo", 12_182),
            ("spike:events", 9_329),
            ("{user1000}.following", 3_443),
            ("user1000", 3_443),
            ("foo{}{bar}", 8_363),
            ("foo{{bar}}zap", 4_015),
            ("foo{bar}{zap}", 5_061),
            ("{", 4_092),
        ] {
            assert_eq!(slot_of(key.as_bytes()), slot, "{key}");
        }
    }

    #[test]
    fn every_key_of_an_event_is_in_one_slot_and_events_are_spread() {
        let slot = |event| {
            let keys = EventKeys::new(EventId(event));
            let slots: Vec<_> = keys.all().iter().map(|key| slot_of(key.as_bytes())).collect();
            assert!(slots.iter().all(|&slot| slot == keys.slot()), "{slots:?}");
            keys.slot()
        };
        let thirds: std::collections::BTreeSet<_> = (1..=20).map(|event| slot(event) / 5_462).collect();
        assert_eq!(thirds.len(), 3, "twenty events meet each of three masters");
    }
}
