//! Texts of strangers on terminals: control characters move cursors, change colours and forge lines.

use std::borrow::Cow;

/// Whether a terminal shows a character as itself and in its place: it is no control character, and does not turn the direction
/// of writing (Unicode's bidirectional controls).
pub fn is_printable(character: char) -> bool {
    let turns =
        matches!(character, '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    !character.is_control() && !turns && !matches!(character, '\u{2028}' | '\u{2029}')
}

/// The text with escapes (`\n`, `\u{1b}`) in the place of what [`is_printable`] excludes.
pub fn printable(text: &str) -> Cow<'_, str> {
    escaped(text, is_printable)
}

/// The same for a text of several lines: line breaks stay.
pub fn printable_lines(text: &str) -> Cow<'_, str> {
    escaped(text, |character| character == '\n' || is_printable(character))
}

/// A JSON text with its own escapes in the place of what [`is_printable`] excludes; line breaks stay.
pub fn printable_json(text: &str) -> String {
    let mut units = [0; 2];
    let mut result = String::with_capacity(text.len());
    for character in text.chars() {
        if character == '\n' || is_printable(character) {
            result.push(character);
        } else {
            result.extend(character.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}")));
        }
    }
    result
}

fn escaped(text: &str, stays: impl Fn(char) -> bool) -> Cow<'_, str> {
    if text.chars().all(&stays) {
        return Cow::Borrowed(text);
    }
    let mut result = String::with_capacity(text.len() + 8);
    for character in text.chars() {
        if stays(character) { result.push(character) } else { result.extend(character.escape_default()) }
    }
    Cow::Owned(result)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_moves_a_cursor_is_shown_as_text() {
        assert_eq!(printable("conv1/Größe µ"), "conv1/Größe µ");
        assert_eq!(printable("\u{1b}[2Ja\nb\u{9b}1m\u{202e}"), r"\u{1b}[2Ja\nb\u{9b}1m\u{202e}");
        assert_eq!(printable_lines("a\nb\r\x07"), "a\nb\\r\\u{7}");
    }
}
