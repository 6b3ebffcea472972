//! Tables for people: a row a fact, a column a network.

use std::fmt::Write as _;

use serde_json::Value;

/// Width of a column.
const WIDTH: usize = 32;

type Format = fn(&Value) -> String;

/// Label, JSON pointer, how it prints.
const FACTS: [(&str, &str, Format); 37] = [
    ("network", "/model", text),
    ("threads", "/threads", text),
    ("ring dimension", "/ring_dimension", text),
    ("levels, of the chain", "/chain", text),
    ("levels, highest in use", "/levels", text),
    ("levels between bootstraps", "/usable_levels", text),
    ("log2(QP)", "/log_qp", text),
    ("security in bits", "/security_bits", text),
    ("scale in bits", "/scale_bits", text),
    ("key-switching digits", "/digits", text),
    ("bootstraps", "/bootstraps", text),
    ("rotations", "/rotations", text),
    ("rotation keys", "/rotation_keys", text),
    ("  those of bootstraps too", "/rotation_keys_with_bootstraps", text),
    ("evaluation keys, size", "/key_bytes", bytes),
    ("  of them in memory, 0: all", "/key_memory", bytes),
    ("ciphertext products", "/ciphertext_products", text),
    ("plaintext products", "/plaintext_products", text),
    ("circuit, size", "/circuit_bytes", bytes),
    ("compile", "/seconds/compile", seconds),
    ("keygen", "/seconds/keygen", seconds),
    ("prepare", "/seconds/prepare", seconds),
    ("encrypt", "/seconds/encrypt", seconds),
    ("eval", "/seconds/eval", seconds),
    ("eval, predicted", "/predicted_seconds", seconds),
    ("  measured / predicted", "/seconds_in_predicted", multiple),
    ("bootstraps, together", "/seconds/bootstraps", seconds),
    ("  eval / bootstraps", "/eval_in_bootstraps", multiple),
    ("decrypt", "/seconds/decrypt", seconds),
    ("peak memory", "/peak_bytes", bytes),
    ("peak memory, predicted", "/predicted_peak_bytes", bytes),
    ("  measured / predicted", "/peak_in_predicted", multiple),
    ("agreement, least", "/agreement_bits", bits),
    ("agreement, predicted", "/predicted_precision_bits", bits),
    ("images", "/images", text),
    ("top-1 as on clear engine", "/equal_top1", text),
    ("top-1 as the label", "/right_top1", text),
];

/// How an evaluation compares with its primitives.
const COMPARISON: [(&str, &str, Format); 6] = [
    ("eval", "/seconds/eval", seconds),
    ("sum at top level", "/primitives/sum_at_top_seconds", seconds),
    ("sum at own levels", "/primitives/sum_at_own_level_seconds", seconds),
    ("eval / sum at top level", "/primitives/eval_in_sums_at_top", multiple),
    ("eval / sum at own levels", "/primitives/eval_in_sums_at_own_level", multiple),
    ("eval / rotation", "/primitives/eval_in_rotations", multiple),
];

/// The facts of every network.
pub(crate) fn facts(networks: &[Value]) -> String {
    rows(&FACTS, networks)
}

/// The primitives of every network without bootstraps: milliseconds at the top level × count, then the sums against the evaluation.
pub(crate) fn primitives(networks: &[Value]) -> String {
    let networks: Vec<Value> = networks.iter().filter(|network| network.get("primitives").is_some()).cloned().collect();
    if networks.is_empty() {
        return String::new();
    }
    let mut table =
        String::from("\nOpenFHE's primitives: milliseconds at the top level, how many, seconds at their levels\n");
    let names = networks.first().and_then(|network| network["primitives"]["each"].as_array());
    for index in 0..names.map_or(0, Vec::len) {
        let each = |network: &Value| network["primitives"]["each"][index].clone();
        let label = networks.first().map(|network| text(&each(network)["name"])).unwrap_or_default();
        row(&mut table, &label, networks.iter().map(|network| primitive(&each(network))));
    }
    table + &rows(&COMPARISON, &networks)
}

fn rows(facts: &[(&str, &str, Format)], networks: &[Value]) -> String {
    let mut table = String::new();
    for (label, pointer, format) in facts {
        let cells = networks.iter().map(|network| {
            network.pointer(pointer).filter(|value| !value.is_null()).map_or_else(|| "-".into(), format)
        });
        row(&mut table, label, cells);
    }
    table
}

fn row(table: &mut String, label: &str, cells: impl Iterator<Item = String>) {
    let cells: String = cells.map(|cell| format!("{cell:>WIDTH$}")).collect();
    let _ = writeln!(table, "{label:<WIDTH$}{cells}");
}

fn primitive(each: &Value) -> String {
    let (milliseconds, total) = (number(&each["milliseconds_at_top"]), number(&each["seconds_at_own_level"]));
    format!("{milliseconds:.2} ms x {} = {total:.2} s", text(&each["count"]))
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or(f64::NAN)
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn seconds(value: &Value) -> String {
    format!("{:.3} s", number(value))
}

fn bits(value: &Value) -> String {
    format!("{:.1} bits", number(value))
}

fn multiple(value: &Value) -> String {
    format!("{:.2}", number(value))
}

fn bytes(value: &Value) -> String {
    let mebibytes = number(value) / f64::from(1u32 << 20);
    if mebibytes < 1.0 { format!("{:.1} KiB", mebibytes * 1024.0) } else { format!("{mebibytes:.0} MiB") }
}
