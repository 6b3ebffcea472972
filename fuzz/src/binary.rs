//! Changes of plain bytes: headers of sizes and counts, numbers, cuts.

use crate::{Bytes, Choices};

/// Changes some bytes, mostly near the beginning, where headers are.
pub fn mutate(mut bytes: Bytes, choices: &mut Choices) -> Bytes {
    if bytes.is_empty() {
        return vec![choices.bits() as u8];
    }
    let length = bytes.len();
    let near = if choices.below(2) == 0 { length.min(96) } else { length };
    let place = choices.below(near);
    match choices.below(8) {
        0 => bytes[place] ^= 1 << choices.below(8),
        1 => bytes[place] = choices.one_of(&[0, 1, 0x7f, 0x80, 0xff]),
        2 => bytes.truncate(place),
        3 => {
            let count = choices.one_of(&[1, 4, 100]);
            let more: Vec<u8> = (0..count).map(|_| choices.bits() as u8).collect();
            bytes.splice(place..place, more);
        }
        4 => {
            let end = (place + 1 + choices.below(16)).min(length);
            bytes.drain(place..end);
        }
        5 if length >= 8 => set::<8>(&mut bytes, place, choices),
        _ if length >= 4 => set::<4>(&mut bytes, place, choices),
        _ => bytes[place] = choices.bits() as u8,
    }
    bytes
}

/// Replaces an integer of some width, aligned as headers are.
fn set<const WIDTH: usize>(bytes: &mut [u8], place: usize, choices: &mut Choices) {
    let place = (place / 4 * 4).min(bytes.len() - WIDTH);
    let old = bytes[place..place + WIDTH].iter().rev().fold(0u64, |value, &byte| value << 8 | u64::from(byte));
    bytes[place..place + WIDTH].copy_from_slice(&choices.integer(old).to_le_bytes()[..WIDTH]);
}
