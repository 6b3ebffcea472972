//! One function a command, but for `simulate`, `infer`, `encrypt`, `eval` and `check`.

use std::path::Path;

use paf_circuit::container::{self, FileKind};
use paf_circuit::{read_circuit, read_client, write_client};
use paf_files::Bytes;
use paf_files::memory::peak_bytes;
use paf_ir::program::InputPort;
use paf_runtime::npy;
use paf_runtime::{Client, InsecureTestParameters, Samples, read_server_key_header};
use paf_scheme::MachineCosts;

use super::error::Result;
use super::report::{Format, Report, warn_if_insecure, wrote};
use super::results::named;
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
        FileKind::SecretKey | FileKind::ProtectedKey | FileKind::Ciphertexts => facts::keyed(&mut report, &header),
    }
    report.print(format)
}

pub(crate) fn info_machine(machine: &Machine, format: Format) -> Result<()> {
    let mut report = Report::default();
    facts::machine(&mut report, machine);
    report.print(format)
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
    let samples = Samples::new(ports, arrays, input.limit)?;
    let outside = samples.outside(ports);
    if !outside.is_empty() {
        let (count, all, named) = (outside.len(), samples.count(), named(&outside));
        paf_files::say!(
            "warning: {count} of {all} samples lie a little outside of what was calibrated, where results are less certain: {named}"
        );
    }
    Ok(samples)
}
