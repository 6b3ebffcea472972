//! `decrypt`: results for the client, or what others may see of them.

use std::num::NonZeroU32;
use std::path::Path;

use paf_circuit::ClientPart;
use paf_ir::ckks::Level;
use paf_ir::client::{ClientOp, ClientProgram, ClientResult, ClientStep, ResultKind, Unary};
use paf_ir::tensor::Shape;
use paf_runtime::samples::largest;
use paf_runtime::{
    ClientOutput, InsecureTestParameters, RuntimeError, flooded, flooding_bits, inputs_content, most_shared_bits,
    rounded,
};

use super::commands::{finish, open_client};
use super::error::{CommandError, Result};
use super::progress::Progress;
use super::report::{Format, seconds};
use super::results::Results;
use super::{Protection, facts, secrets};

/// What is written of results.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Share {
    /// The place of the largest score.
    Class,
    /// Scores rounded to so many bits.
    Bits(u32),
}

pub(crate) struct Options<'a> {
    pub(crate) client: &'a Path,
    pub(crate) secret: &'a Path,
    pub(crate) protection: &'a Protection,
    pub(crate) input: &'a Path,
    /// The inputs that these must be the results of.
    pub(crate) inputs: Option<&'a Path>,
    pub(crate) output: &'a Path,
    pub(crate) share: Option<Share>,
    /// How many results others may see, where fresh noise hides that of the ciphertexts.
    pub(crate) flood: Option<NonZeroU32>,
    pub(crate) insecure: InsecureTestParameters,
}

pub(crate) fn decrypt(options: &Options<'_>, format: Format) -> Result<()> {
    let (client, mut report) = open_client(options.client, options.insecure)?;
    let mut shown = Results::of_client(client.part());
    check_share(client.part(), &shown, options.share, options.flood)?;
    let expected = options.inputs.map(inputs_content).transpose()?;
    let key = secrets::load(&client, options.secret, options.protection)?;
    let mut phase = Progress::new(format).phase("decrypt");
    let results = client.decrypt_file(&key, options.input, &mut phase.counter("samples"))?;
    if let (Some(inputs), Some(expected)) = (options.inputs, expected)
        && results.source != expected
    {
        let (results, inputs) = (options.input.to_owned(), inputs.to_owned());
        return Err(RuntimeError::OtherInputs { results, inputs }.into());
    }
    let mut outputs = shown.kept(results.samples)?;
    let time = phase.end();
    report.fact("seconds", time);
    report.line("decrypted", format!("{} samples in {}", outputs.len(), seconds(time)));
    facts::key_id(&mut report, &key.binding().key);
    if let Some(seen) = options.flood {
        outputs.iter_mut().for_each(|output| *output = flooded(client.part(), output, seen));
        report.fact("flooding_bits", flooding_bits(seen));
        report.line("flooded", format!("{:.1} bits, for {seen} results that others see", flooding_bits(seen)));
    }
    match options.share {
        None => {}
        Some(Share::Bits(bits)) => {
            outputs.iter_mut().for_each(|output| *output = rounded(client.part(), output, bits));
            report.line("shared", format!("scores of {bits} bits"));
        }
        Some(Share::Class) => {
            to_classes(&mut shown, &mut outputs);
            report.line("shared", "classes alone");
        }
    }
    shown.summarize(&mut report, &outputs);
    shown.write(&mut report, options.output, &outputs)?;
    finish(report, format)
}

/// Refuses to share what says more of the noise than of the result.
fn check_share(
    part: &ClientPart,
    results: &Results<'_, Level>,
    share: Option<Share>,
    flood: Option<NonZeroU32>,
) -> Result<()> {
    let (most, precision) = (most_shared_bits(part, flood), part.precision_bits);
    if let (Some(seen), 0) = (flood, most) {
        return Err(CommandError::Flooded { seen, bits: flooding_bits(seen), precision });
    }
    let number = |result: &&ClientResult| !tells_a_class(&part.program, result);
    match share {
        Some(Share::Bits(bits)) if bits > most => Err(CommandError::TooManyBits { bits, most, precision }),
        Some(Share::Class) => match results.all.iter().find(number) {
            Some(result) => Err(CommandError::NoClass(result.name.clone())),
            None => Ok(()),
        },
        _ => Ok(()),
    }
}

/// Whether a result tells a class and no more, or scores of which the largest one does.
fn tells_a_class(program: &ClientProgram, result: &ClientResult) -> bool {
    if result.kind == ResultKind::Real {
        return result.shape.size() > 1;
    }
    // Numbers that are only cut to integers, and the order of several classes, tell more.
    let is_number = |step: &&ClientStep| matches!(step.op, ClientOp::Unary(Unary::Truncate));
    result.shape.size() == 1 && !program.steps_of(result.value).iter().any(is_number)
}

/// Replaces scores by the place of the largest one.
fn to_classes(results: &mut Results<'_, Level>, outputs: &mut [ClientOutput]) {
    for (index, result) in results.all.iter_mut().enumerate() {
        if result.kind != ResultKind::Real {
            continue;
        }
        (result.kind, result.shape) = (ResultKind::Integer, Shape(vec![]));
        for output in &mut *outputs {
            let scores = &mut output.results[index];
            let usable = scores.iter().all(|score| !score.is_nan());
            let class = if usable { largest(scores.iter().copied()) as f64 } else { f64::NAN };
            *scores = vec![class];
        }
    }
}
