//! The child's part: one circuit from keys to results, and the primitives with its parameters.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use paf_circuit::{Circuit, read_circuit};
use paf_engine_openfhe::OpenFheEngine;
use paf_ir::ckks::Op;
use paf_runtime::executor::Step;
use paf_runtime::{
    Client, ClientOutput, InsecureTestParameters, LocalKeys, Noise, Samples, Server, agreement_bits, npy, simulate,
};
use serde_json::{Value, json};
use testkit::parties::set_up_openfhe;

use crate::Result;
use crate::primitives::{Primitives, Work};

/// Client and server with all keys.
struct Parties {
    client: Client<OpenFheEngine>,
    server: Server<OpenFheEngine>,
    keys: LocalKeys<OpenFheEngine>,
    keygen: f64,
    prepare: f64,
}

/// Seconds of one image and its result.
struct Run {
    encrypt: f64,
    eval: f64,
    /// Of those of `eval`.
    bootstraps: f64,
    decrypt: f64,
    output: ClientOutput,
}

/// Runs a circuit on all inputs of a file.
pub(crate) fn circuit(circuit: &Path, inputs: &Path) -> Result<Value> {
    set_up_openfhe();
    let circuit = Arc::new(read_circuit(circuit)?);
    let samples = Samples::new(&circuit.program.inputs, vec![npy::read(inputs)?], None)?;
    let clear = simulate(&circuit, &samples, Noise::Off)?;
    let name = &circuit.model.name;
    eprintln!("{name}: keys");
    let parties = set_up(&circuit)?;
    let mut runs = Vec::with_capacity(samples.count());
    for sample in 0..samples.count() {
        eprintln!("{name}: image {} of {}", sample + 1, samples.count());
        runs.push(run(&parties, &samples, sample)?);
    }
    // Before the primitives add anything to it.
    let peak_bytes = peak_bytes();
    let Parties { client, server, keys, keygen, prepare } = parties;
    drop((server, keys));
    let mut facts = facts(&circuit);
    let bits: Vec<f64> =
        runs.iter().zip(&clear).map(|(run, clear)| agreement_bits(&run.output.ports[0], &clear.ports[0])).collect();
    let equal = runs.iter().zip(&clear).filter(|(run, clear)| run.output.top1() == clear.top1()).count();
    facts["images"] = json!(runs.len());
    facts["top1"] = json!(runs.iter().map(|run| run.output.top1()).collect::<Vec<_>>());
    facts["equal_top1"] = json!(equal);
    facts["agreement_bits"] = json!(bits.into_iter().fold(f64::INFINITY, f64::min));
    facts["peak_bytes"] = json!(peak_bytes);
    let eval = median(runs.iter().map(|run| run.eval));
    facts["seconds"] = json!({
        "keygen": keygen,
        "prepare": prepare,
        "encrypt": median(runs.iter().map(|run| run.encrypt)),
        "eval": eval,
        "decrypt": median(runs.iter().map(|run| run.decrypt)),
    });
    facts["seconds_in_predicted"] = json!(eval / circuit.prediction.seconds);
    if let (Some(peak), predicted) = (peak_bytes, circuit.prediction.peak_bytes) {
        facts["peak_in_predicted"] = json!(peak as f64 / predicted as f64);
    }
    if circuit.parameters.bootstrap.is_some() {
        let bootstraps = median(runs.iter().map(|run| run.bootstraps));
        facts["seconds"]["bootstraps"] = json!(bootstraps);
        facts["eval_in_bootstraps"] = json!(eval / bootstraps);
    } else {
        eprintln!("{name}: primitives");
        facts["primitives"] = Primitives::measure(client.engine())?.compare(&Work::of(&circuit.program), eval);
    }
    Ok(facts)
}

fn set_up(circuit: &Arc<Circuit>) -> Result<Parties> {
    let start = Instant::now();
    let client = Client::new(circuit.client(), InsecureTestParameters::Refuse)?;
    let mut server = Server::with_engine(Arc::clone(circuit), Arc::clone(client.engine()))?;
    let loading = start.elapsed().as_secs_f64();
    let start = Instant::now();
    let keys = LocalKeys::make(&client, &server, circuit.prediction.key_memory, &mut |_, _| {})?;
    let keygen = start.elapsed().as_secs_f64();
    let start = Instant::now();
    server.prepare(server.prepare_budget(), &mut |_, _| {})?;
    let prepare = loading + start.elapsed().as_secs_f64();
    Ok(Parties { client, server, keys, keygen, prepare })
}

fn run(parties: &Parties, samples: &Samples, sample: usize) -> Result<Run> {
    let start = Instant::now();
    let inputs = parties.client.encrypt(&parties.keys.public, samples, sample)?;
    let encrypt = start.elapsed().as_secs_f64();
    let (start, mut clock) = (Instant::now(), BootstrapClock::default());
    let program = &parties.server.circuit().program;
    let refreshes = |id| matches!(program.value(id).op, Op::Bootstrap { .. });
    let observer = &mut |step: Step<'_>| clock.next(refreshes(step.id));
    let results = parties.server.evaluate(&parties.keys.evaluation, inputs, observer)?;
    clock.next(false);
    let eval = start.elapsed().as_secs_f64();
    let start = Instant::now();
    let output = parties.client.decrypt(&parties.keys.secret, sample, &results)?;
    Ok(Run { encrypt, eval, bootstraps: clock.seconds, decrypt: start.elapsed().as_secs_f64(), output })
}

/// Seconds of the bootstraps among operations that begin one after another.
#[derive(Default)]
struct BootstrapClock {
    since: Option<Instant>,
    seconds: f64,
}

impl BootstrapClock {
    /// The next operation begins.
    fn next(&mut self, is_bootstrap: bool) {
        self.seconds += self.since.take().map_or(0.0, |since| since.elapsed().as_secs_f64());
        self.since = is_bootstrap.then(Instant::now);
    }
}

fn facts(circuit: &Circuit) -> Value {
    let (counts, parameters, client) = (circuit.counts(), &circuit.parameters, circuit.client());
    json!({
        "model": circuit.model.name,
        "threads": openfhe_reference::threads(),
        "levels": counts.levels,
        "chain": parameters.levels.0,
        "usable_levels": parameters.bootstrap.map(|_| parameters.usable_levels().0),
        "bootstraps": counts.bootstraps,
        "bootstrap_slots": client.bootstrap_slots,
        "ring_dimension": parameters.ring_dimension,
        "log_qp": parameters.log_qp,
        "security_bits": parameters.security_bits,
        "scale_bits": parameters.scale_bits,
        "digits": parameters.digits,
        "rotations": counts.rotations,
        "rotation_keys": client.rotations.len(),
        "rotation_keys_with_bootstraps": client.rotation_keys().len(),
        "key_bytes": client.evaluation_key_bytes(),
        "ciphertext_products": counts.ciphertext_products,
        "relinearizations": counts.relinearizations,
        "plaintext_products": counts.plaintext_products,
        "key_memory": circuit.prediction.key_memory,
        "predicted_seconds": circuit.prediction.seconds,
        "predicted_peak_bytes": circuit.prediction.peak_bytes,
        "predicted_precision_bits": circuit.prediction.precision_bits,
    })
}

/// The middle value; the lower one of two.
pub(crate) fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[(values.len() - 1) / 2]
}

/// The most memory that this process has had, where the system says.
fn peak_bytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
}
