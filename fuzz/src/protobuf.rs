//! Changes of protobuf messages that leave all lengths right: what is valid on the wire and means something else.

use crate::{Bytes, Choices};

/// A message within so many others is taken as bytes.
const DEPTH: usize = 14;

/// Fields of higher numbers are not those of our schemas: the bytes are something else.
const HIGHEST_TAG: u64 = 64;

#[derive(Debug, Clone)]
struct Field {
    tag: u64,
    value: Value,
}

#[derive(Debug, Clone)]
enum Value {
    Varint(u64),
    Eight([u8; 8]),
    Four([u8; 4]),
    Bytes(Bytes),
    Message(Vec<Field>),
}

/// Texts that should not reach a terminal or a file system.
const TEXTS: [&[u8]; 6] = [b"", b"../../etc/passwd", b"\x1b[2J\x07\n\r", "\u{202e}".as_bytes(), b"\xff\xfe", b"x"];

/// Changes one field somewhere in a message; bytes that are no message are changed as bytes.
pub fn mutate(bytes: Bytes, choices: &mut Choices) -> Bytes {
    let Some(mut message) = parse(&bytes, 0).filter(|fields| !fields.is_empty()) else {
        return crate::binary::mutate(bytes, choices);
    };
    let place = choices.below(count(&message));
    change(&mut message, place, choices);
    let mut changed = Vec::with_capacity(bytes.len());
    message.iter().for_each(|field| write(field, &mut changed));
    changed
}

fn count(fields: &[Field]) -> usize {
    let inside = |field: &Field| match &field.value {
        Value::Message(fields) => count(fields),
        _ => 0,
    };
    fields.iter().map(|field| 1 + inside(field)).sum()
}

fn change(fields: &mut Vec<Field>, mut place: usize, choices: &mut Choices) {
    for index in 0..fields.len() {
        if place == 0 {
            return change_at(fields, index, choices);
        }
        place -= 1;
        if let Value::Message(inside) = &mut fields[index].value {
            let inside_count = count(inside);
            if place < inside_count {
                return change(inside, place, choices);
            }
            place -= inside_count;
        }
    }
}

fn change_at(fields: &mut Vec<Field>, index: usize, choices: &mut Choices) {
    match choices.below(10) {
        0 => drop(fields.remove(index)),
        1 => fields.insert(index, fields[index].clone()),
        2 => {
            let copies = choices.one_of(&[10, 300]);
            fields.splice(index..index, vec![fields[index].clone(); copies]);
        }
        3 => {
            let other = choices.below(fields.len());
            fields.swap(index, other);
        }
        4 => fields[index].tag = 1 + choices.below(24) as u64,
        _ => change_value(&mut fields[index].value, choices),
    }
}

fn change_value(value: &mut Value, choices: &mut Choices) {
    match value {
        Value::Varint(number) => *number = choices.integer(*number),
        Value::Eight(bytes) => {
            *bytes = match choices.below(2) {
                0 => choices.number(f64::from_le_bytes(*bytes)).to_le_bytes(),
                _ => choices.integer(u64::from_le_bytes(*bytes)).to_le_bytes(),
            };
        }
        Value::Four(bytes) => *bytes = (choices.number(f64::from(f32::from_le_bytes(*bytes))) as f32).to_le_bytes(),
        Value::Message(fields) => fields.clear(),
        Value::Bytes(bytes) => change_bytes(bytes, choices),
    }
}

/// Texts, and lists of packed numbers.
fn change_bytes(bytes: &mut Bytes, choices: &mut Choices) {
    let whole = |width: usize, bytes: &Bytes| bytes.len() / width;
    match choices.below(6) {
        0 => *bytes = choices.one_of(&TEXTS).to_vec(),
        1 => {
            let length = choices.one_of(&[1, 100, 70_000]);
            bytes.resize(bytes.len() + length, b'A');
        }
        2 if whole(8, bytes) > 0 => {
            let place = 8 * choices.below(whole(8, bytes));
            let old = f64::from_le_bytes(bytes[place..place + 8].try_into().expect("eight bytes"));
            bytes[place..place + 8].copy_from_slice(&choices.number(old).to_le_bytes());
        }
        3 => {
            let Some(mut numbers) = varints(bytes).filter(|numbers| !numbers.is_empty()) else { return };
            let place = choices.below(numbers.len());
            match choices.below(3) {
                0 => drop(numbers.remove(place)),
                1 => numbers.insert(place, numbers[place]),
                _ => numbers[place] = choices.integer(numbers[place]),
            }
            bytes.clear();
            numbers.into_iter().for_each(|number| put(number, bytes));
        }
        _ => *bytes = crate::binary::mutate(std::mem::take(bytes), choices),
    }
}

fn varints(mut bytes: &[u8]) -> Option<Vec<u64>> {
    let mut numbers = vec![];
    while !bytes.is_empty() {
        numbers.push(take(&mut bytes)?);
    }
    Some(numbers)
}

fn parse(mut bytes: &[u8], depth: usize) -> Option<Vec<Field>> {
    let mut fields = vec![];
    while !bytes.is_empty() {
        let key = take(&mut bytes)?;
        let tag = key >> 3;
        if tag == 0 || tag > HIGHEST_TAG {
            return None;
        }
        let value = match key & 7 {
            0 => Value::Varint(take(&mut bytes)?),
            1 => Value::Eight(*take_array(&mut bytes)?),
            5 => Value::Four(*take_array(&mut bytes)?),
            2 => {
                let length = usize::try_from(take(&mut bytes)?).ok()?;
                let (content, rest) = bytes.split_at_checked(length)?;
                bytes = rest;
                let message = if depth < DEPTH { parse(content, depth + 1) } else { None };
                match message.filter(|fields| !fields.is_empty()) {
                    Some(fields) => Value::Message(fields),
                    None => Value::Bytes(content.to_vec()),
                }
            }
            _ => return None,
        };
        fields.push(Field { tag, value });
    }
    Some(fields)
}

fn take_array<'b, const N: usize>(bytes: &mut &'b [u8]) -> Option<&'b [u8; N]> {
    let (array, rest) = bytes.split_first_chunk::<N>()?;
    *bytes = rest;
    Some(array)
}

fn take(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

fn put(mut value: u64, bytes: &mut Bytes) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

fn write(field: &Field, bytes: &mut Bytes) {
    let key = |wire: u64, bytes: &mut Bytes| put(field.tag << 3 | wire, bytes);
    match &field.value {
        Value::Varint(number) => {
            key(0, bytes);
            put(*number, bytes);
        }
        Value::Eight(content) => {
            key(1, bytes);
            bytes.extend(content);
        }
        Value::Four(content) => {
            key(5, bytes);
            bytes.extend(content);
        }
        Value::Bytes(content) => {
            key(2, bytes);
            put(content.len() as u64, bytes);
            bytes.extend(content);
        }
        Value::Message(fields) => {
            let mut content = vec![];
            fields.iter().for_each(|field| write(field, &mut content));
            key(2, bytes);
            put(content.len() as u64, bytes);
            bytes.extend(content);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_parsed_is_written_back() {
        for file in [testkit::circuits::rich_file(), std::fs::read(testkit::testdata("digits_cnn.onnx")).unwrap()] {
            let body = if file.starts_with(b"\x89PAF") { crate::container::body(&file) } else { file };
            let mut again = vec![];
            parse(&body, 0).expect("a message").iter().for_each(|field| write(field, &mut again));
            assert!(again == body);
        }
    }
}
