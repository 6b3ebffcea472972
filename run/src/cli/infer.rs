//! `infer`: client and server in one process, compared with the clear run.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use paf_circuit::{Circuit, read_circuit};
use paf_files::Bytes;
use paf_files::memory::peak_bytes;
use paf_ir::program::{OutputPort, ValueId};
use paf_runtime::{
    Client, ClientOutput, InsecureTestParameters, LocalKeys, Noise, Samples, Server, result_bits, simulate,
};
use serde_json::json;

use super::commands::read_samples;
use super::error::Result;
use super::progress::{Phase, Progress};
use super::report::{Format, Report, refuse_or_warn, seconds};
use super::results::Results;
use super::{Input, Memory, OpenFheEngine, facts};

/// Seconds of the phases; encryption, evaluation and decryption are sums over the samples.
#[derive(Debug, Default)]
pub(super) struct Times {
    keygen: f64,
    prepare: f64,
    encrypt: f64,
    eval: f64,
    decrypt: f64,
}

/// Client and server of one process.
pub(super) struct Parties {
    pub(super) client: Client<OpenFheEngine>,
    pub(super) server: Server<OpenFheEngine>,
    pub(super) keys: LocalKeys<OpenFheEngine>,
}

pub(crate) struct Options<'a> {
    pub(crate) circuit: &'a Path,
    pub(crate) input: &'a Input,
    pub(crate) output: Option<&'a Path>,
    pub(crate) memory: Memory,
    pub(crate) insecure: InsecureTestParameters,
}

pub(crate) fn infer(options: &Options<'_>, format: Format) -> Result<()> {
    let &Options { circuit, input, output, memory, insecure } = options;
    let circuit = Arc::new(read_circuit(circuit)?);
    let mut report = Report::default();
    refuse_or_warn(&circuit.parameters, insecure, &mut report)?;
    let samples = read_samples(&circuit.program.inputs, input)?;
    memory.check(&circuit)?;
    let clear = simulate(&circuit, &samples, Noise::Off)?;
    let (progress, mut times) = (Progress::new(format), Times::default());
    let parties = set_up(&circuit, memory, insecure, progress, &mut times)?;
    let results = run(&parties, &samples, progress.phase("eval"), &mut times)?;
    let shown = Results::of_circuit(&circuit);
    compare(&mut report, (&shown, &circuit.program.outputs), &results, &clear);
    shown.summarize(&mut report, &results);
    describe(&mut report, &circuit, &times, samples.count());
    describe_operations(&mut report, &parties.server, samples.count());
    if let Some(output) = output {
        shown.write(&mut report, output, &results)?;
    }
    report.print(format)
}

/// Makes keys, and a server that is ready.
pub(super) fn set_up(
    circuit: &Arc<Circuit>,
    memory: Memory,
    insecure: InsecureTestParameters,
    progress: Progress,
    times: &mut Times,
) -> Result<Parties> {
    let client = Client::new(circuit.client(), insecure)?;
    let mut server = Server::with_engine(Arc::clone(circuit), Arc::clone(client.engine()))?;
    let mut phase = progress.phase("keygen");
    let keys = LocalKeys::make(&client, &server, memory.key_memory(circuit), &mut phase.counter("evaluation keys"))?;
    times.keygen = phase.end();
    let mut phase = progress.phase("prepare");
    server.prepare(memory.prepare_budget(&server), &mut phase.counter("linear maps"))?;
    times.prepare = phase.end();
    Ok(Parties { client, server, keys })
}

fn run(parties: &Parties, samples: &Samples, mut phase: Phase, times: &mut Times) -> Result<Vec<ClientOutput>> {
    let count = samples.count();
    let mut results = Vec::with_capacity(count);
    for sample in 0..count {
        let Parties { client, server, keys } = parties;
        let encrypted = timed(&mut times.encrypt, || client.encrypt(&keys.public, samples, sample))?;
        let observer = &mut |step: paf_runtime::executor::Step<'_>| phase.layer(sample, count, step);
        let evaluated = timed(&mut times.eval, || server.evaluate(&keys.evaluation, encrypted, observer))?;
        results.push(timed(&mut times.decrypt, || client.decrypt(&keys.secret, sample, &evaluated)));
    }
    phase.end();
    Results::of_client(parties.client.part()).kept(results)
}

fn timed<T>(seconds: &mut f64, action: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = action();
    *seconds += start.elapsed().as_secs_f64();
    result
}

/// Adds a line a sample, and the agreement over all of them.
fn compare(
    report: &mut Report,
    (shown, ports): (&Results<'_, ValueId>, &[OutputPort<ValueId>]),
    results: &[ClientOutput],
    clear: &[ClientOutput],
) {
    let mut bits = Vec::with_capacity(results.len());
    for (sample, (result, clear)) in results.iter().zip(clear).enumerate() {
        let agreement = result_bits(ports, &result.ports.concat(), &clear.ports.concat());
        let (prediction, expected) = (shown.prediction(result), shown.prediction(clear));
        let is_refused = result.ports.iter().flatten().any(|value| value.is_nan());
        report.line(
            format!("sample {sample}"),
            if is_refused {
                "refused".to_owned()
            } else {
                format!("prediction {prediction}, clear prediction {expected}, agreement {agreement:.1} bits")
            },
        );
        bits.push((!is_refused).then_some(agreement));
    }
    let usable = results.iter().zip(clear).zip(&bits).filter(|(_, bits)| bits.is_some());
    let (got, expected): (Vec<_>, Vec<_>) =
        usable.map(|((result, clear), _)| (result.ports.concat(), clear.ports.concat())).unzip();
    let all = result_bits(ports, &got.concat(), &expected.concat());
    report.fact("agreement_bits", all);
    report.fact("agreement_bits_per_sample", bits);
    report.fact("clear_top1", clear.iter().map(|output| shown.prediction(output)).collect::<Vec<_>>());
    report.line("agreement", format!("{all:.1} bits with the clear run"));
}

/// Where the time of evaluations went.
fn describe_operations(report: &mut Report, server: &Server<OpenFheEngine>, samples: usize) {
    let all = server.operation_seconds();
    report.fact(
        "eval_seconds",
        json!({ "bootstraps": all.bootstraps, "linear_maps": all.linear_maps, "encoding": all.encoding,
                "polynomials": all.polynomials }),
    );
    let each = |all: f64| seconds(all / samples as f64);
    let (bootstraps, linear, encoding) = (each(all.bootstraps), each(all.linear_maps), each(all.encoding));
    let polynomials = each(all.polynomials);
    report.line(
        "of that",
        format!("bootstraps {bootstraps}, linear maps {linear} (encoding {encoding}), polynomials {polynomials}"),
    );
}

fn describe(report: &mut Report, circuit: &Circuit, times: &Times, samples: usize) {
    let levels = circuit.program.top_level().0;
    report.fact("levels", levels);
    report.line("levels", format!("{levels} of {}", circuit.parameters.levels));
    facts::parameters(report, &circuit.parameters);
    let each = samples as f64;
    report.fact(
        "seconds",
        json!({ "keygen": times.keygen, "prepare": times.prepare, "encrypt": times.encrypt, "eval": times.eval,
                "decrypt": times.decrypt }),
    );
    report.line("set-up", format!("keygen {}, prepare {}", seconds(times.keygen), seconds(times.prepare)));
    report.line(
        "each sample",
        format!(
            "encrypt {}, eval {}, decrypt {}",
            seconds(times.encrypt / each),
            seconds(times.eval / each),
            seconds(times.decrypt / each)
        ),
    );
    if let Some(peak) = peak_bytes() {
        report.fact("peak_bytes", peak);
        report.line("memory", Bytes(peak).to_string());
    }
}
