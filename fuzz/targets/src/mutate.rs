//! A small mutator: bits, bytes, ranges, words of a dictionary, numbers at the edges of their types, and splices.

use fastrand::Rng;

use crate::INPUT_MAX;

/// Numbers at which readers go wrong.
const NUMBERS: [&str; 16] = [
    "0",
    "-0",
    "-1",
    "1",
    "9",
    "00",
    "255",
    "256",
    "65536",
    "2147483648",
    "4294967295",
    "4294967296",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551616",
    "1e999",
];
/// Bytes at which readers go wrong.
const BYTES: [u8; 14] = [0, b'\t', b'\n', b'\r', b' ', b'"', b'\\', b'-', b'.', b'0', b'{', b'}', 0x7f, 0xff];

/// A changed copy of `input`, at most [`INPUT_MAX`] bytes; `other` lends its parts.
pub fn mutate(random: &mut Rng, input: &[u8], other: &[u8], words: &[&str]) -> Vec<u8> {
    let mut bytes = input.to_vec();
    for _ in 0..random.usize(1..=6) {
        step(random, &mut bytes, other, words);
    }
    bytes.truncate(INPUT_MAX);
    bytes
}

fn step(random: &mut Rng, bytes: &mut Vec<u8>, other: &[u8], words: &[&str]) {
    let at = random.usize(0..=bytes.len());
    match random.u8(0..10) {
        0 if at < bytes.len() => bytes[at] ^= 1 << random.u8(0..8),
        1 if at < bytes.len() => bytes[at] = BYTES[random.usize(0..BYTES.len())],
        2 if at < bytes.len() => bytes[at] = random.u8(..),
        3 => drop(bytes.drain(some(random, at, bytes.len()))),
        4 => {
            let copy = bytes[some(random, at, bytes.len())].to_vec();
            insert(bytes, random.usize(0..=bytes.len()), &copy);
        }
        5 => {
            let from = random.usize(0..=other.len());
            insert(bytes, at, &other[some(random, from, other.len())]);
        }
        6 => number(random, bytes),
        7 => bytes.truncate(at),
        8 => insert(bytes, at, &[BYTES[random.usize(0..BYTES.len())]]),
        _ => insert(bytes, at, words[random.usize(0..words.len())].as_bytes()),
    }
}

/// From `at` on, mostly a few bytes.
fn some(random: &mut Rng, at: usize, length: usize) -> std::ops::Range<usize> {
    let most = if random.u8(0..4) == 0 { length - at } else { (length - at).min(16) };
    at..at + random.usize(0..=most)
}

fn insert(bytes: &mut Vec<u8>, at: usize, piece: &[u8]) {
    bytes.splice(at..at, piece.iter().copied());
}

/// Puts one of [`NUMBERS`] in the place of a run of digits.
fn number(random: &mut Rng, bytes: &mut Vec<u8>) {
    let digits: Vec<usize> = (0..bytes.len()).filter(|&at| bytes[at].is_ascii_digit()).collect();
    if digits.is_empty() {
        return;
    }
    let at = digits[random.usize(0..digits.len())];
    let begin = bytes[..at].iter().rposition(|byte| !byte.is_ascii_digit()).map_or(0, |before| before + 1);
    let end =
        bytes[at..].iter().position(|byte| !byte.is_ascii_digit()).map_or(bytes.len(), |after| at + after);
    let number = NUMBERS[random.usize(0..NUMBERS.len())];
    bytes.splice(begin..end, number.bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_inputs_and_none_is_too_long() {
        let inputs = |seed| {
            let mut random = Rng::with_seed(seed);
            let mut input = vec![b'7'; INPUT_MAX];
            std::iter::from_fn(move || {
                input = mutate(&mut random, &input, b"other", &["word"]);
                assert!(input.len() <= INPUT_MAX);
                Some(input.clone())
            })
            .take(500)
            .collect::<Vec<_>>()
        };
        assert_eq!(inputs(1), inputs(1));
        assert_ne!(inputs(1), inputs(2));
    }

    #[test]
    fn a_number_is_replaced_whole() {
        let mut bytes = b"a12345b".to_vec();
        number(&mut Rng::with_seed(3), &mut bytes);
        let text = String::from_utf8(bytes).unwrap();
        assert!(NUMBERS.iter().any(|number| text == format!("a{number}b")), "{text}");
    }
}
