//! Changes of texts with a structure: JSON, and the headers of NumPy's arrays.

use crate::{Bytes, Choices};

const WORDS: [&str; 14] = [
    "null",
    "true",
    "-1",
    "0",
    "1e999",
    "NaN",
    "18446744073709551615",
    "-9223372036854775808",
    "\"\"",
    "[]",
    "{}",
    "\"\\u001b[2J\"",
    "[[[[[[[[",
    "0.1",
];

/// Replaces a word, repeats or removes a piece, or changes bytes.
pub fn mutate(bytes: Bytes, choices: &mut Choices) -> Bytes {
    let Ok(text) = String::from_utf8(bytes.clone()) else { return crate::binary::mutate(bytes, choices) };
    let is_word = |letter: char| letter.is_alphanumeric() || matches!(letter, '.' | '-' | '+' | '"' | '_');
    let starts: Vec<usize> = text
        .char_indices()
        .zip(std::iter::once(' ').chain(text.chars()))
        .filter(|&((_, letter), before)| is_word(letter) && !is_word(before))
        .map(|((place, _), _)| place)
        .collect();
    if starts.is_empty() {
        return crate::binary::mutate(bytes, choices);
    }
    let start = choices.one_of(&starts);
    let end = text[start..].find(|letter| !is_word(letter)).map_or(text.len(), |length| start + length);
    let (before, word, after) = (&text[..start], &text[start..end], &text[end..]);
    let changed = match choices.below(6) {
        0 => format!("{before}{after}"),
        1 => format!("{before}{word},{word}{after}"),
        2 => format!("{before}{}{after}", word.repeat(choices.one_of(&[2, 50, 2000]))),
        3 => return crate::binary::mutate(bytes, choices),
        _ => format!("{before}{}{after}", choices.one_of(&WORDS)),
    };
    changed.into_bytes()
}

/// Changes an array in NumPy's format: its header as a text with a right length, or bytes.
pub fn mutate_npy(bytes: Bytes, choices: &mut Choices) -> Bytes {
    const PREFIX: usize = 10;
    let header = bytes.get(8..PREFIX).map(|length| usize::from(u16::from_le_bytes([length[0], length[1]])));
    let Some(header) = header.filter(|&header| bytes.len() >= PREFIX + header && choices.below(4) != 0) else {
        return crate::binary::mutate(bytes, choices);
    };
    let text = mutate(bytes[PREFIX..PREFIX + header].to_vec(), choices);
    let length = u16::try_from(text.len()).unwrap_or(u16::MAX).to_le_bytes();
    [&bytes[..8], &length, &text, &bytes[PREFIX + header..]].concat()
}
