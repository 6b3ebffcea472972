//! What `info` says about circuits and client files.

use paf_circuit::container::{FileKind, Header, KeyId};
use paf_circuit::{Circuit, ClientPart};
use paf_files::{Bytes, hex};
use paf_ir::client::{ClientProgram, ClientResult, ResultKind};
use paf_ir::program::{InputPort, OutputPort, OwnColumn};
use paf_runtime::samples;
use paf_scheme::{Counts, LOG_QP_LIMITS_SOURCE, MachineCosts, Parameters, log_qp_limit_128};
use serde_json::{Value, json};

use super::Machine;
use super::costs::predicted;
use super::report::{Report, seconds};

/// Operations of the client that are named at most for a result.
const NAMED: usize = 16;

/// Everything a circuit file says.
pub(crate) fn circuit(report: &mut Report, circuit: &Circuit, costs: Option<&MachineCosts>) {
    let counts = circuit.counts();
    model(report, circuit);
    levels(report, &circuit.parameters, &counts);
    parameters(report, &circuit.parameters);
    operations(report, &counts);
    keys(report, &circuit.client());
    ports(report, &circuit.program.inputs, &circuit.program.outputs, &circuit.program.client);
    pafs(report, circuit);
    prediction(report, circuit, costs);
}

/// Everything a client file says.
pub(crate) fn client(report: &mut Report, client: &ClientPart) {
    report.fact("kind", "client");
    report.fact("model", client.model_name.as_str());
    report.fact("fingerprint", client.fingerprint.to_string());
    report.fact("levels", client.parameters.levels.0);
    report.line("client of", client.model_name.as_str());
    report.line("fingerprint", client.fingerprint.to_string());
    parameters(report, &client.parameters);
    keys(report, client);
    ports(report, &client.inputs, &client.outputs, &client.program);
}

/// What the header of a key or ciphertext file says.
pub(crate) fn keyed(report: &mut Report, header: &Header) {
    let (kind, content) = match header.kind {
        FileKind::SecretKey => ("secret key", "the secret key".to_owned()),
        FileKind::ProtectedKey => ("secret key", "the secret key, under a passphrase".to_owned()),
        FileKind::ServerKey => {
            let keys = header.sections.saturating_sub(1);
            report.fact("evaluation_keys", keys);
            ("server key", format!("the public key and {keys} evaluation keys"))
        }
        _ => {
            report.fact("sections", header.sections);
            ("ciphertexts", format!("{} sections of ciphertexts", header.sections))
        }
    };
    report.fact("kind", kind);
    report.fact("passphrase", header.kind == FileKind::ProtectedKey);
    report.fact("fingerprint", header.binding.fingerprint.to_string());
    report.line("holds", content);
    report.line("fingerprint", format!("{}, of the circuit", header.binding.fingerprint));
    key_id(report, &header.binding.key);
}

/// The id of a key pair.
pub(crate) fn key_id(report: &mut Report, id: &KeyId) {
    report.fact("key_id", id.to_string());
    report.line("key id", id.to_string());
}

fn model(report: &mut Report, circuit: &Circuit) {
    let model = &circuit.model;
    let source = hex(&model.source_sha256);
    let fingerprint = circuit.fingerprint().to_string();
    report.line("circuit of", format!("{}, made by {}", model.name, model.compiler));
    report.line("model sha256", source.as_str());
    report.line("fingerprint", fingerprint.as_str());
    for note in &model.notes {
        report.line("note", note.as_str());
    }
    if let Some(fidelity) = model.fidelity {
        report.line("fidelity", fidelity.to_string());
        report.fact("fidelity", fidelity.same);
        report.fact("fidelity_expected", fidelity.expected);
        report.fact("fidelity_samples", fidelity.samples);
        report.fact("samples_outside", fidelity.outside);
    }
    report.fact("kind", "circuit");
    report.fact("model", model.name.as_str());
    report.fact("compiler", model.compiler.as_str());
    report.fact("source_sha256", source);
    report.fact("fingerprint", fingerprint);
    report.fact("notes", model.notes.clone());
}

fn levels(report: &mut Report, parameters: &Parameters, counts: &Counts) {
    report.fact("levels", counts.levels);
    report.fact("bootstraps", counts.bootstraps);
    let bootstraps = if counts.bootstraps == 0 { "no".to_owned() } else { counts.bootstraps.to_string() };
    report.line("levels", format!("{} of {}, {bootstraps} bootstraps", counts.levels, parameters.levels));
}

/// Parameters with their security.
pub(crate) fn parameters(report: &mut Report, parameters: &Parameters) {
    let secret = parameters.secret.name();
    report.fact("ring_dimension", parameters.ring_dimension);
    report.fact("slots", parameters.slots);
    report.fact("log_qp", parameters.log_qp);
    report.fact("security_bits", parameters.security_bits);
    report.fact("log_qp_limit", log_qp_limit_128(parameters.ring_dimension));
    report.fact("log_qp_limit_source", LOG_QP_LIMITS_SOURCE);
    report.fact("secret_distribution", secret);
    report.fact("scale_bits", parameters.scale_bits);
    report.fact("first_modulus_bits", parameters.first_modulus_bits);
    report.fact("digits", parameters.digits);
    report.fact("special_primes", parameters.special_primes);
    report.line("security", security(parameters, secret));
    if !parameters.is_insecure() {
        report.line("limit from", LOG_QP_LIMITS_SOURCE);
    }
    bootstrap(report, parameters);
    let (slots, scale, first) = (parameters.slots, parameters.scale_bits, parameters.first_modulus_bits);
    let digits = parameters.digits;
    report.line("parameters", format!("{slots} slots, scale 2^{scale}, first prime 2^{first}, {digits} digits"));
}

fn security(parameters: &Parameters, secret: &str) -> String {
    let (log_qp, n) = (parameters.log_qp, parameters.ring_dimension);
    if parameters.is_insecure() {
        return format!("NONE, test parameters: N = {n}, log2(QP) = {log_qp}");
    }
    let (bits, limit) = (parameters.security_bits, log_qp_limit_128(n));
    format!("{bits} bits: N = {n}, log2(QP) = {log_qp} of at most {limit}, {secret} secret")
}

fn bootstrap(report: &mut Report, parameters: &Parameters) {
    let Some(bootstrap) = parameters.bootstrap else { return };
    let (usable, [encoding, decoding]) = (parameters.usable_levels(), bootstrap.level_budget);
    report.fact("usable_levels", usable.0);
    report.fact("bootstrap_depth", bootstrap.depth);
    report.fact("bootstrap_iterations", bootstrap.iterations());
    report.fact("bootstrap_level_budget", bootstrap.level_budget.to_vec());
    report.line(
        "bootstraps",
        format!(
            "take {} levels, {encoding} and {decoding} of them to encode and decode; {usable} stay{}",
            bootstrap.depth,
            if bootstrap.iterations() > 1 { "; two iterations" } else { "" }
        ),
    );
}

fn operations(report: &mut Report, counts: &Counts) {
    report.fact("rotations", counts.rotations);
    report.fact("ciphertext_products", counts.ciphertext_products);
    report.fact("plaintext_products", counts.plaintext_products);
    report.fact("constant_products", counts.constant_products);
    report.fact("relinearizations", counts.relinearizations);
    report.fact("rescales", counts.rescales);
    let (products, plaintexts) = (counts.ciphertext_products, counts.plaintext_products);
    let (rotations, constants) = (counts.rotations, counts.constant_products);
    report.line(
        "operations",
        format!("{rotations} rotations, {products} ciphertext, {plaintexts} plaintext, {constants} constant products"),
    );
}

fn keys(report: &mut Report, client: &ClientPart) {
    let (rotations, all) = (client.rotations.len(), client.rotation_keys().len());
    let size = client.evaluation_key_bytes();
    report.fact("rotation_keys", rotations);
    report.fact("rotation_keys_with_bootstraps", all);
    report.fact("relinearization_key", client.relinearization.is_some());
    report.fact("bootstrap_slots", client.bootstrap_slots.clone());
    report.fact("evaluation_key_bytes", size);
    let relinearization = if client.relinearization.is_some() { ", 1 multiplication key" } else { "" };
    let bootstraps = if all > rotations { format!(", {} more for bootstraps", all - rotations) } else { String::new() };
    report.line("keys", format!("{rotations} rotation keys{relinearization}{bootstraps}, {}", Bytes(size)));
}

fn ports<V>(report: &mut Report, inputs: &[InputPort], outputs: &[OutputPort<V>], client: &ClientProgram) {
    for port in inputs {
        let (low, high) = port.scaling.range;
        let own = match port.scaling.own.columns.len() {
            0 => String::new(),
            count => format!(", {count} of {} columns in ranges of their own", port.scaling.own.count),
        };
        report.line("input", format!("{} {}, values in [{low}, {high}]{own}", port.name, port.shape));
    }
    let results = samples::results(outputs, client);
    for result in &results {
        let (steps, kind) = (steps_of(client, result), kind_of(result));
        let after = if steps.is_empty() { String::new() } else { format!(", {} at the client", in_short(&steps)) };
        report.line("output", format!("{} {}{kind}{after}", result.name, result.shape));
    }
    let own = |own: &OwnColumn| json!({ "column": own.column, "range": [own.range.0, own.range.1] });
    let input = |port: &InputPort| {
        let (low, high) = port.scaling.range;
        json!({ "name": port.name, "shape": port.shape.0, "range": [low, high],
                "own_ranges": port.scaling.own.columns.iter().map(own).collect::<Vec<Value>>(),
                "ciphertexts": port.layout.ciphertexts })
    };
    let output = |result: &ClientResult| {
        let ports = client.ports_of(result.value);
        json!({ "name": result.name, "shape": result.shape.0, "kind": result.kind.name(),
                "post": steps_of(client, result),
                "ciphertexts": ports.iter().map(|&port| outputs[port].layout.ciphertexts).sum::<usize>() })
    };
    report.fact("inputs", inputs.iter().map(input).collect::<Vec<Value>>());
    report.fact("outputs", results.iter().map(output).collect::<Vec<Value>>());
}

/// The first names of a list, and how many there are more.
fn in_short(names: &[&str]) -> String {
    match names.get(..NAMED) {
        Some(first) if names.len() > NAMED => format!("{} and {} more", first.join(", "), names.len() - NAMED),
        _ => names.join(", "),
    }
}

/// What the client computes for a result, in order.
fn steps_of(client: &ClientProgram, result: &ClientResult) -> Vec<&'static str> {
    ClientProgram::functions(client.steps_of(result.value))
}

fn kind_of(result: &ClientResult) -> &'static str {
    match result.kind {
        ResultKind::Real => "",
        ResultKind::Integer => ", integers",
        ResultKind::Boolean => ", true or false",
        ResultKind::Text(_) => ", texts",
    }
}

fn pafs(report: &mut Report, circuit: &Circuit) {
    for paf in &circuit.model.pafs {
        let error = paf.max_error;
        report.line(
            "paf",
            format!("{} ({}): {}, scale {}, error {error:.1e}", paf.node, paf.operator, paf.paf, paf.scale),
        );
    }
    let paf = |paf: &paf_circuit::ReplacedNode| {
        json!({ "node": paf.node, "operator": paf.operator, "paf": paf.paf, "scale": paf.scale,
                "max_error": paf.max_error })
    };
    report.fact("pafs", circuit.model.pafs.iter().map(paf).collect::<Vec<Value>>());
}

fn prediction(report: &mut Report, circuit: &Circuit, costs: Option<&MachineCosts>) {
    let prediction = &circuit.prediction;
    let (time, machine) = predicted(prediction, costs);
    report.fact("predicted_peak_bytes", prediction.peak_bytes);
    report.fact("predicted_seconds", time);
    report.fact("predicted_with", machine.as_str());
    report.fact("predicted_precision_bits", prediction.precision_bits);
    report.line(
        "predicted",
        format!(
            "{} a sample, {} of memory, {:.1} bits",
            seconds(time),
            Bytes(prediction.peak_bytes),
            prediction.precision_bits
        ),
    );
    report.line("predicted with", machine);
    report.fact("key_memory_bytes", prediction.key_memory);
    if prediction.key_memory > 0 {
        report.line("keys in memory", format!("{} at a time, read when needed", Bytes(prediction.key_memory)));
    }
}

/// What is used of this machine.
pub(crate) fn machine(report: &mut Report, machine: &Machine) {
    let available: Vec<String> = machine.available.iter().map(ToString::to_string).collect();
    report.fact("openfhe", machine.openfhe.as_str());
    report.fact("kernels", machine.kernels.code.to_string());
    report.fact("kernels_reason", machine.kernels.reason.as_str());
    report.fact("kernels_available", available.clone());
    report.fact("threads", machine.threads);
    report.fact("allocator_keeps_pages", machine.allocator_keeps_pages);
    report.line("OpenFHE", machine.openfhe.as_str());
    report.line("kernels", format!("{}: {}", machine.kernels.code, machine.kernels.reason));
    report.line("available", format!("{} (PAF_KERNELS forces one)", available.join(", ")));
    report.line("threads", machine.threads.to_string());
    let pages = if machine.allocator_keeps_pages { "kept" } else { "given back to the system" };
    report.line("freed memory", pages);
}
