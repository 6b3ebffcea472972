//! One function a command, but for `simulate`, `infer`, `encrypt`, `eval` and `check`.

use std::path::{Path, PathBuf};

use paf_circuit::container::{self, FileKind};
use paf_circuit::{read_circuit, read_client, write_client};
use paf_files::Bytes;
use paf_files::memory::peak_bytes;
use paf_ir::program::{InputPort, OutputPort};
use paf_ir::tensor::{PostProcess, Shape};
use paf_runtime::npy::{self, Array};
use paf_runtime::samples::{check_output, output_shape};
use paf_runtime::{Client, ClientOutput, InsecureTestParameters, RuntimeError, Samples, read_server_key_header};
use paf_scheme::MachineCosts;

use super::error::Result;
use super::progress::Progress;
use super::report::{Format, Report, seconds, warn_if_insecure, wrote};
use super::{Input, Machine, OpenFheEngine, facts};

pub(crate) fn client(circuit: &Path, output: &Path, format: Format) -> Result<()> {
    let circuit = read_circuit(circuit)?;
    let mut report = Report::default();
    warn_if_insecure(&circuit.parameters, &mut report);
    let client = circuit.client();
    write_client(output, &client)?;
    facts::client(&mut report, &client);
    wrote(&mut report, output);
    report.print(format)
}

pub(crate) fn info(file: &Path, costs: Option<&MachineCosts>, format: Format) -> Result<()> {
    let mut report = Report::default();
    let header = container::read_header(file)?;
    match header.kind {
        FileKind::Client => {
            let client = read_client(file)?;
            warn_if_insecure(&client.parameters, &mut report);
            facts::client(&mut report, &client);
        }
        FileKind::Circuit => {
            let circuit = read_circuit(file)?;
            warn_if_insecure(&circuit.parameters, &mut report);
            facts::circuit(&mut report, &circuit, costs);
        }
        FileKind::ServerKey => facts::keyed(&mut report, &read_server_key_header(file)?),
        FileKind::SecretKey | FileKind::Ciphertexts => facts::keyed(&mut report, &header),
    }
    report.print(format)
}

pub(crate) fn info_machine(machine: &Machine, format: Format) -> Result<()> {
    let mut report = Report::default();
    facts::machine(&mut report, machine);
    report.print(format)
}

pub(crate) fn keygen(
    client: &Path,
    secret: &Path,
    public: &Path,
    insecure: InsecureTestParameters,
    format: Format,
) -> Result<()> {
    let (client, mut report) = open_client(client, insecure)?;
    let mut phase = Progress::new(format).phase("keygen");
    let key = client.generate_key_files(secret, public, &mut phase.counter("evaluation keys"))?;
    let time = phase.end();
    let keys = client.key_list()?.len();
    report.fact("evaluation_keys", keys);
    report.fact("seconds", time);
    report.line("keygen", format!("{keys} evaluation keys in {}", seconds(time)));
    facts::key_id(&mut report, &key);
    facts::parameters(&mut report, &client.part().parameters);
    wrote(&mut report, secret);
    wrote(&mut report, public);
    finish(report, format)
}

pub(crate) fn decrypt(
    client: &Path,
    secret: &Path,
    input: &Path,
    output: &Path,
    insecure: InsecureTestParameters,
    format: Format,
) -> Result<()> {
    let (client, mut report) = open_client(client, insecure)?;
    let key = client.load_secret_key(secret)?;
    let mut phase = Progress::new(format).phase("decrypt");
    let results = client.decrypt_file(&key, input, &mut phase.counter("samples"))?;
    let results = kept(&client.part().outputs, results)?;
    let time = phase.end();
    report.fact("seconds", time);
    report.line("decrypted", format!("{} samples in {}", results.len(), seconds(time)));
    summarize(&mut report, &client.part().outputs, &results);
    write_results(&mut report, output, &client.part().outputs, &results)?;
    finish(report, format)
}

/// Reads a client from its own file or a circuit's, and begins the report of what it does.
pub(crate) fn open_client(path: &Path, insecure: InsecureTestParameters) -> Result<(Client<OpenFheEngine>, Report)> {
    let client: Client<OpenFheEngine> = Client::load(path, insecure)?;
    let mut report = Report::default();
    warn_if_insecure(&client.part().parameters, &mut report);
    Ok((client, report))
}

/// Adds the peak memory and prints.
pub(crate) fn finish(mut report: Report, format: Format) -> Result<()> {
    if let Some(peak) = peak_bytes() {
        report.fact("peak_bytes", peak);
        report.line("memory", Bytes(peak).to_string());
    }
    report.print(format)
}

/// Reads and checks the input arrays.
pub(crate) fn read_samples(ports: &[InputPort], input: &Input) -> Result<Samples> {
    let arrays = input.files.iter().map(|file| npy::read(file)).collect::<Result<Vec<_>, _>>()?;
    Ok(Samples::new(ports, arrays, input.limit)?)
}

/// The results of samples, NaN for those that are refused since a value left the range of its polynomial.
///
/// # Errors
/// Any other error, and the first refusal where no sample is left.
pub(crate) fn kept<V>(
    ports: &[OutputPort<V>],
    results: Vec<Result<Vec<ClientOutput>, RuntimeError>>,
) -> Result<Vec<Vec<ClientOutput>>> {
    let none_is_left = results.iter().all(std::result::Result::is_err);
    let keep = |result| match result {
        Err(RuntimeError::Undecryptable { .. } | RuntimeError::Diverged { .. }) if !none_is_left => {
            Ok(ports.iter().map(ClientOutput::none).collect())
        }
        other => Ok(other?),
    };
    results.into_iter().map(keep).collect()
}

/// Samples named at most.
const NAMED: usize = 20;

/// Adds the predictions, and which samples have results that no trained network gives, with a warning; gives for each sample
/// whether its results are usable.
pub(crate) fn summarize<V>(report: &mut Report, ports: &[OutputPort<V>], results: &[Vec<ClientOutput>]) -> Vec<bool> {
    let problem = |(sample, outputs): (usize, &Vec<ClientOutput>)| {
        ports.iter().zip(outputs).find_map(|(port, output)| check_output(port, sample, output).err())
    };
    let problems: Vec<Option<RuntimeError>> = results.iter().enumerate().map(problem).collect();
    let outside: Vec<usize> = (0..problems.len()).filter(|&sample| problems[sample].is_some()).collect();
    if let Some(first) = problems.iter().flatten().next() {
        let named: Vec<String> = outside.iter().take(NAMED).map(usize::to_string).collect();
        let more = if outside.len() > NAMED { ", …" } else { "" };
        let samples = format!("{} of {} samples: {}{more}", outside.len(), results.len(), named.join(", "));
        eprintln!("warning: no usable results for {samples}; {first}");
        report.line("outside", format!("a scale is left by {samples}"));
    }
    let top1 = results.iter().zip(&problems).map(|(outputs, problem)| problem.is_none().then(|| outputs[0].top1()));
    report.fact("samples", results.len());
    report.fact("outside_samples", outside);
    report.fact("top1", top1.collect::<Vec<_>>());
    problems.iter().map(Option::is_none).collect()
}

/// Writes the results of each output, in a file of its own if there are several.
pub(crate) fn write_results<V>(
    report: &mut Report,
    path: &Path,
    ports: &[OutputPort<V>],
    results: &[Vec<ClientOutput>],
) -> Result<()> {
    for (index, port) in ports.iter().enumerate() {
        let path = if ports.len() == 1 { path.to_owned() } else { numbered(path, index) };
        let mut shape = vec![results.len()];
        shape.extend(output_shape(port).0);
        let values = results.iter().flat_map(|outputs| outputs[index].values.iter().copied());
        write_array(&path, Shape(shape), values, port.post)?;
        wrote(report, &path);
    }
    Ok(())
}

fn write_array(path: &Path, shape: Shape, values: impl Iterator<Item = f64>, post: PostProcess) -> Result<()> {
    match post {
        PostProcess::ArgMax { .. } => npy::write(path, &Array { shape, data: values.map(class_number).collect() })?,
        _ => npy::write(path, &Array { shape, data: values.collect() })?,
    }
    Ok(())
}

/// A class; -1 for none.
fn class_number(value: f64) -> i64 {
    if value.is_nan() { -1 } else { value as i64 }
}

/// `y.npy` becomes `y.1.npy`.
fn numbered(path: &Path, index: usize) -> PathBuf {
    let extension = path.extension().unwrap_or_default().to_string_lossy().into_owned();
    path.with_extension(format!("{index}.{extension}"))
}
