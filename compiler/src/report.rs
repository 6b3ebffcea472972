//! Facts about a compilation, for people and as JSON.

use std::fmt::Write as _;
use std::path::Path;

use paf_circuit::{Circuit, ReplacedNode};
use paf_files::Bytes;
use paf_ir::client::ClientProgram;
use paf_passes::choose::Chosen;
use paf_passes::lower::{Optimized, Polynomial};
use paf_passes::optimize::RuleEffect;
use paf_passes::schedule::Alternative;
use serde_json::{Value, json};

use crate::pipeline::Compiled;

/// Facts as one JSON object.
pub fn json(compiled: &Compiled) -> String {
    let circuit = &compiled.circuit;
    let (counts, parameters) = (circuit.counts(), &circuit.parameters);
    let timings: serde_json::Map<String, Value> = compiled
        .timings
        .iter()
        .map(|(step, time)| (format!("{step:?}").to_lowercase(), json!(time.as_secs_f64())))
        .collect();
    let pafs: Vec<Value> = circuit
        .model
        .pafs
        .iter()
        .map(|p| json!({"node": p.node, "operator": p.operator, "paf": p.paf, "scale": p.scale, "max_error": p.max_error}))
        .collect();
    json!({
        "model": circuit.model.name,
        "levels": counts.levels,
        "bootstraps": counts.bootstraps,
        "usable_levels": parameters.usable_levels().0,
        "bootstrap_iterations": parameters.bootstrap.map(|bootstrap| bootstrap.iterations()),
        "bootstraps_optimal": compiled.bootstraps_optimal,
        "alternatives": compiled.alternatives.iter().map(alternative_json).collect::<Vec<Value>>(),
        "ring_dimension": parameters.ring_dimension,
        "slots": parameters.slots,
        "scale_bits": parameters.scale_bits,
        "first_modulus_bits": parameters.first_modulus_bits,
        "digits": parameters.digits,
        "log_qp": parameters.log_qp,
        "security_bits": parameters.security_bits,
        "insecure": parameters.is_insecure(),
        "rotations": counts.rotations,
        "rotation_keys": counts.rotation_keys.len(),
        "ciphertext_products": counts.ciphertext_products,
        "relinearizations": counts.relinearizations,
        "plaintext_products": counts.plaintext_products,
        "predicted_peak_bytes": circuit.prediction.peak_bytes,
        "key_memory_bytes": circuit.prediction.key_memory,
        "predicted_seconds": circuit.prediction.seconds,
        "predicted_for": machine(&circuit.prediction.machine),
        "predicted_precision_bits": circuit.prediction.precision_bits,
        "fingerprint": circuit.fingerprint().to_string(),
        "pafs": pafs,
        "client_functions": client_functions(circuit),
        "choice": compiled.chosen.as_ref().map(choice),
        "levels_before_optimize": compiled.optimized.levels_before,
        "levels_after_optimize": compiled.optimized.levels_after,
        "compile_memory_bytes": compiled.memory,
        "seconds": timings,
        "notes": circuit.model.notes,
        "fidelity": circuit.model.fidelity.map(|fidelity| fidelity.same),
        "fidelity_expected": circuit.model.fidelity.map(|fidelity| fidelity.expected),
        "fidelity_samples": circuit.model.fidelity.map(|fidelity| fidelity.samples),
        "samples_outside": circuit.model.fidelity.map(|fidelity| fidelity.outside),
    })
    .to_string()
}

/// What `--paf auto` chose; errors as in `--max-error`.
fn choice(chosen: &Chosen) -> Value {
    let nodes = chosen
        .nodes
        .iter()
        .map(|n| json!({"node": n.node, "paf": n.paf, "levels": n.levels, "predicted_error": n.error}));
    json!({
        "levels": chosen.levels,
        "predicted_error": chosen.predicted_error,
        "measured_error": chosen.measured.rms,
        "largest_measured_error": chosen.measured.largest,
        "nodes": nodes.collect::<Vec<Value>>(),
    })
}

/// Facts as a few lines.
pub fn text(compiled: &Compiled, output: Option<&Path>) -> String {
    let circuit = &compiled.circuit;
    let (counts, parameters) = (circuit.counts(), &circuit.parameters);
    let total: f64 = compiled.timings.iter().map(|(_, time)| time.as_secs_f64()).sum();
    let security = if parameters.is_insecure() {
        "NONE: test parameters".to_owned()
    } else {
        format!("{} bits, log2(QP) {}", parameters.security_bits, parameters.log_qp)
    };
    let mut text = String::new();
    let mut line = |label: &str, value: String| {
        let _ = writeln!(text, "{label:<12}{value}");
    };
    if let Some(output) = output {
        line("circuit", output.display().to_string());
    }
    line("levels", format!("{} (before optimization {})", counts.levels, compiled.optimized.levels_before));
    if let Some(bootstrap) = parameters.bootstrap {
        let (usable, depth) = (parameters.usable_levels(), bootstrap.depth);
        let least = if compiled.bootstraps_optimal { "" } else { ", perhaps not the fastest set" };
        line(
            "bootstraps",
            format!("{}, each gives back up to {usable} levels of {}{least}", counts.bootstraps, usable.0 + depth),
        );
    }
    if let Some(fidelity) = circuit.model.fidelity {
        line("PAFs", used_pafs(&circuit.model.pafs));
        line("fidelity", fidelity.to_string());
    }
    if let Some(chosen) = &compiled.chosen {
        line("PAFs", chosen_pafs(chosen));
        line("error", errors(chosen));
    }
    if !circuit.program.client.is_empty() {
        line("client", format!("computes {}", client_functions(circuit).join(", ")));
    }
    line("ring", format!("N = {}, {} slots", parameters.ring_dimension, parameters.slots));
    line("security", security);
    line("rotations", format!("{} with {} keys", counts.rotations, counts.rotation_keys.len()));
    line(
        "products",
        format!("{} of ciphertexts, {} with plaintexts", counts.ciphertext_products, counts.plaintext_products),
    );
    line("memory", format!("about {} at the peak", Bytes(circuit.prediction.peak_bytes)));
    if circuit.prediction.key_memory > 0 {
        let memory = Bytes(circuit.prediction.key_memory);
        line("keys", format!("{memory} of them in memory at a time, read when needed"));
    }
    line("precision", format!("about {:.1} bits of the result", circuit.prediction.precision_bits));
    line(
        "time",
        format!("about {:.1} s an input on {}", circuit.prediction.seconds, machine(&circuit.prediction.machine)),
    );
    line("compiled in", format!("{total:.2} s, with about {} of memory", Bytes(compiled.memory)));
    text.trim_end().to_owned()
}

/// What the client computes from what it decrypts, in order.
fn client_functions(circuit: &Circuit) -> Vec<&'static str> {
    ClientProgram::functions(&circuit.program.client.steps)
}

/// The machine that seconds are predicted for.
fn machine(name: &str) -> &str {
    if name.is_empty() { "two cores" } else { name }
}

fn chosen_pafs(chosen: &Chosen) -> String {
    counted(chosen.nodes.iter().map(|node| node.paf.as_str()))
}

fn used_pafs(nodes: &[ReplacedNode]) -> String {
    counted(nodes.iter().map(|node| node.paf.as_str()))
}

/// How many nodes have each PAF, in order of their first node.
fn counted<'p>(pafs: impl Iterator<Item = &'p str>) -> String {
    let mut counts: Vec<(&str, usize)> = vec![];
    for used in pafs {
        match counts.iter_mut().find(|(paf, _)| *paf == used) {
            Some((_, count)) => *count += 1,
            None => counts.push((used, 1)),
        }
    }
    counts.iter().map(|(paf, count)| format!("{paf} x {count}")).collect::<Vec<_>>().join(", ")
}

fn errors(chosen: &Chosen) -> String {
    format!(
        "{:.2e} on the calibration samples, {:.2e} predicted; the largest {:.2e}",
        chosen.measured.rms, chosen.predicted_error, chosen.measured.largest
    )
}

/// What was chosen node by node, and what the optimizer did rule by rule.
pub fn explain(polynomial: &Polynomial, optimized: &Optimized, rules: &[RuleEffect]) -> String {
    let (report, mut text) = (&optimized.report, String::new());
    if let Some(chosen) = &polynomial.chosen {
        let _ = writeln!(text, "{:<32}{:>12}{:>8}{:>12}", "node", "PAF", "levels", "error");
        for node in &chosen.nodes {
            let _ = writeln!(text, "{:<32}{:>12}{:>8}{:>12.1e}", node.node, node.paf, node.levels, node.error);
        }
        let _ = writeln!(text, "error {}\nerror of a node: if it alone has its PAF\n", errors(chosen));
    }
    let _ = writeln!(
        text,
        "levels {} before, {} after; {} terms, stopped: {}\n{:<22}{:>8}{:>8}",
        report.levels_before, report.levels_after, report.terms, report.stopped, "rule", "applied", "levels"
    );
    for RuleEffect { rule, applied, levels_saved } in rules {
        let _ = writeln!(text, "{rule:<22}{applied:>8}{levels_saved:>8}");
    }
    text + "levels: how many more the circuit would take without the rule; rules work together"
}

fn alternative_json(alternative: &Alternative) -> Value {
    let Alternative { parameters, bootstraps, seconds, peak_bytes } = alternative;
    json!({
        "usable_levels": parameters.usable_levels().0,
        "levels": parameters.levels.0,
        "level_budget": parameters.bootstrap.map(|bootstrap| bootstrap.level_budget),
        "scale_bits": parameters.scale_bits,
        "digits": parameters.digits,
        "log_qp": parameters.log_qp,
        "bootstraps": bootstraps,
        "predicted_seconds": seconds,
        "predicted_peak_bytes": peak_bytes,
    })
}

/// What fewer or more levels between bootstraps would cost.
pub fn alternatives(alternatives: &[Alternative]) -> String {
    let head = ["usable", "levels", "budgets", "scale", "digits", "log2(QP)", "bootstraps", "seconds", "GiB"];
    let mut text = head.map(|word| format!("{word:>11}")).concat() + "\n";
    for Alternative { parameters, bootstraps, seconds, peak_bytes } in alternatives {
        let budget = parameters.bootstrap.map_or([0, 0], |bootstrap| bootstrap.level_budget);
        let cells = [
            parameters.usable_levels().to_string(),
            parameters.levels.to_string(),
            format!("{}, {}", budget[0], budget[1]),
            parameters.scale_bits.to_string(),
            parameters.digits.to_string(),
            parameters.log_qp.to_string(),
            bootstraps.to_string(),
            format!("{seconds:.0}"),
            format!("{:.1}", *peak_bytes as f64 / (1u64 << 30) as f64),
        ];
        text += &(cells.map(|cell| format!("{cell:>11}")).concat() + "\n");
    }
    text + "usable: levels between bootstraps; each row is the fastest plan that has them and fits the memory"
}
