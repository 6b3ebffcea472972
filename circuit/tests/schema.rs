//! `proto/circuit.proto` and `src/schema.rs` say the same.

use std::collections::BTreeMap;

/// Name of a message or enum to its fields, each as `tag name type`.
type Schema = BTreeMap<String, Vec<String>>;

const PROTO: &str = include_str!("../proto/circuit.proto");
const RUST: &str = include_str!("../src/schema.rs");

/// The first word after `keyword`, if the line begins with it.
fn after<'l>(line: &'l str, keyword: &str) -> Option<&'l str> {
    line.strip_prefix(keyword)?.split_whitespace().next()
}

fn camel(name: &str) -> String {
    let word = |word: &str| word[..1].to_uppercase() + &word[1..].to_lowercase();
    name.split('_').map(word).collect()
}

/// Reads the .proto file: `[repeated] type name = tag;` lines inside messages, `NAME = tag;` inside enums.
fn proto_schema() -> Schema {
    let mut schema = Schema::new();
    let (mut current, mut choice) = (String::new(), None);
    for line in PROTO.lines().map(str::trim) {
        if let Some(name) = after(line, "message ").or(after(line, "enum ")) {
            current = name.to_owned();
            schema.entry(current.clone()).or_default();
        } else if let Some(name) = after(line, "oneof ") {
            choice = Some(format!("{current}{}", camel(name)));
        } else if line == "}" {
            choice = None;
        } else if let Some((field, tag)) = line.strip_suffix(';').and_then(|line| line.split_once(" = ")) {
            let words: Vec<&str> = field.split_whitespace().collect();
            let field = match (&words[..], &choice) {
                (["syntax"], _) => continue,
                ([name], _) => {
                    format!("{tag} {}", camel(name.strip_prefix(&format!("{}_", screaming(&current))).unwrap()))
                }
                ([kind, name], Some(_)) => format!("{tag} {} {kind}", camel(name)),
                ([kind, name], None) => format!("{tag} {name} {kind}"),
                (["repeated", kind, name], _) => format!("{tag} {name} repeated {kind}"),
                _ => panic!("cannot read `{line}`"),
            };
            schema.entry(choice.clone().unwrap_or(current.clone())).or_default().push(field);
        }
    }
    schema
}

/// `TwoWords` as `TWO_WORDS`.
fn screaming(name: &str) -> String {
    let word = |(place, c): (usize, char)| {
        let gap = if place > 0 && c.is_uppercase() { "_" } else { "" };
        format!("{gap}{}", c.to_ascii_uppercase())
    };
    name.chars().enumerate().map(word).collect()
}

/// The value of `key = "value"` in an attribute.
fn quoted<'l>(attribute: &'l str, key: &str) -> Option<&'l str> {
    attribute.split_once(&format!("{key} = \""))?.1.split('"').next()
}

/// The protobuf type that an attribute and a field's Rust type stand for.
fn proto_type(attribute: &str, rust: &str) -> String {
    let first = attribute.split([',', ' ']).next().unwrap();
    let inner = rust.rsplit('<').next().unwrap().trim_end_matches(['>', ',', ')']);
    let kind = match first {
        "message" => inner,
        "enumeration" => quoted(attribute, "enumeration").unwrap(),
        scalar => scalar,
    };
    if attribute.contains("repeated") { format!("repeated {kind}") } else { kind.to_owned() }
}

/// Reads the Rust file: an attribute line `#[prost(...)]`, then the field or variant it belongs to.
fn rust_schema() -> Schema {
    let mut schema = Schema::new();
    let (mut current, mut attribute) = (String::new(), None);
    for line in RUST.lines().map(str::trim) {
        if let Some(name) = after(line, "pub(crate) struct ").or(after(line, "pub(crate) enum ")) {
            current = name.to_owned();
            schema.entry(current.clone()).or_default();
        } else if let Some(text) = line.strip_prefix("#[prost(") {
            attribute = (!text.starts_with("oneof")).then_some(text);
        } else if let Some((name, tag)) = line.strip_suffix(',').and_then(|line| line.split_once(" = ")) {
            schema.get_mut(&current).unwrap().push(format!("{tag} {name}"));
        } else if let Some(attribute) = attribute.take() {
            let line = line.trim_start_matches("pub(crate) ");
            let (name, rust) = line.split_once([':', '(']).unwrap();
            let tag = quoted(attribute, "tag").unwrap();
            schema.get_mut(&current).unwrap().push(format!("{tag} {name} {}", proto_type(attribute, rust.trim())));
        }
    }
    schema
}

#[test]
fn proto_file_and_rust_messages_agree() {
    let (proto, rust) = (proto_schema(), rust_schema());
    assert!(proto.len() > 30 && proto["Parameters"].len() == 11 && proto["ValueOperation"].len() == 12);
    assert_eq!(rust, proto);
}
