//! What a compilation with samples does where nobody names PAFs: it chooses and fits the cheapest ones with which the network
//! predicts as the original does (`paf_adapt::fidelity`), and takes the first of them whose circuit has parameters.

use std::sync::Arc;

use paf_adapt::config::{NamedMargin, ScaleMargin};
use paf_adapt::fidelity::{
    COARSEST_FOR_NUMBERS, Choice, Fidelity, LEAST_SAMPLES, Request, Wanted, faithful, kept, offered,
    tells_probabilities,
};
use paf_adapt::{Data, Listener, Network, RecoveryError, Target};
use paf_ir::tensor::{Graph, Op};
use paf_passes::approximate::{DEFAULT_FUNCTION_ERROR, Margin, least_depth};
use paf_passes::decisions::{CalibrationSamples, Decisions};
use paf_passes::idle::without_idle_relus;
use paf_passes::lower::{LowerOptions, Lowering};
use paf_passes::paf::Paf;
use paf_passes::schedule::expects_bootstraps;
use paf_scheme::bootstrap_count;

use crate::calibration;
use crate::error::CompileError;
use crate::options::{CompileOptions, DEFAULT_PAF};
use crate::recovery::{Recovered, lowering, with_decisions};

/// The choice of PAFs where nobody names any.
#[derive(Debug, Clone, PartialEq)]
pub enum FidelityChoice {
    /// It was made, and is so good.
    Made(Fidelity),
    /// It was not made, and why; every node has the default PAF.
    NotMade(String),
}

impl FidelityChoice {
    /// How good the choice is, as a circuit says it.
    pub(crate) fn measured(&self) -> Option<paf_circuit::Fidelity> {
        let FidelityChoice::Made(Fidelity { same, expected, samples, outside, .. }) = *self else { return None };
        Some(paf_circuit::Fidelity { same, samples: samples as u64, outside: outside as u64, expected })
    }

    /// What users of the circuit should know.
    pub(crate) fn note(&self, options: &CompileOptions) -> Option<String> {
        match self {
            FidelityChoice::NotMade(reason) => {
                Some(format!("{reason}: every ReLU and MaxPool has the PAF {DEFAULT_PAF}"))
            }
            FidelityChoice::Made(fidelity) if fidelity.kept => None,
            FidelityChoice::Made(Fidelity { accuracy: Some((before, after)), .. }) => Some(format!(
                "the accuracy on samples that nothing was fitted to is {after:.1} %, the original network's {before:.1} %: no \
                 choice of PAFs keeps it"
            )),
            FidelityChoice::Made(fidelity) => Some(format!(
                "{:.1} % of predictions are expected to be the original network's, {:.1} % were asked for: no choice of PAFs \
                 keeps that",
                100.0 * fidelity.expected,
                100.0 * options.fidelity
            )),
        }
    }
}

/// The network as it is, or with PAFs chosen for it: those of the cheapest choice whose circuit has parameters, or of the next
/// ones where a circuit takes more bootstraps than were expected.
///
/// # Errors
/// [`CompileError::Calibration`] for samples that do not fit, [`CompileError::Recovery`] for labels that do not, and
/// whatever the passes find.
pub(crate) fn chosen(
    options: &CompileOptions,
    lower: &LowerOptions,
    graph: &Graph,
    listener: &mut Listener<'_>,
) -> Result<Recovered, CompileError> {
    let asked_for = !options.pafs.is_empty();
    let has_nodes = |graph: &Graph| graph.nodes().any(|(_, node)| matches!(node.op, Op::Relu | Op::MaxPool(_)));
    if asked_for || !has_nodes(graph) {
        let lowering = lowering(options, lower, graph.clone(), Decisions::default())?;
        return Ok(Recovered { lowering, choice: None });
    }
    let samples = Arc::new(calibration::samples(&options.calibration, graph)?);
    // What is fitted and judged is what is compiled.
    let busy = without_idle_relus(graph, &samples, &lower.approximation)?;
    if !has_nodes(&busy) {
        let lower = with_decisions(options, lower.clone(), Decisions::default());
        return Ok(Recovered { lowering: Lowering::new(graph.clone(), samples, lower), choice: None });
    }
    let (original, data) = match prepared(options, lower, &busy, &samples)? {
        Ok(prepared) => prepared,
        Err(reason) => {
            let lowering =
                Lowering::new(graph.clone(), samples, with_decisions(options, lower.clone(), Decisions::default()));
            let choice = Some(FidelityChoice::NotMade(reason)).filter(|_| !options.calibration.is_empty());
            return Ok(Recovered { lowering, choice });
        }
    };
    let margin = match options.margin {
        Margin::Fixed(margin) => ScaleMargin::Fixed(margin),
        Margin::Automatic => ScaleMargin::Named(NamedMargin::Automatic),
    };
    let wanted = if data.y.is_some() { Wanted::Accuracy } else { Wanted::Same(options.fidelity) };
    let target = Target { options: lower.clone(), samples: Arc::new(vec![]) };
    let exactly = || Lowering::new(busy.clone(), Arc::clone(&samples), lower.clone());
    let probabilities = tells_probabilities(&busy) && !is_deep(exactly())?;
    let mut most = offered(&original, probabilities).len();
    loop {
        let request =
            Request { original: &original, data: &data, wanted, margin, most, probabilities, target: &target };
        let choices = faithful(&request, listener)?;
        let fitted = Arc::new(samples_of(&choices.fitted));
        let lowered = |choice: &Choice, listener: &mut Listener<'_>| -> Result<Lowering, CompileError> {
            let network = choices.fitted(&original, choice, listener)?;
            let lower = with_decisions(options, lower.clone(), network.decisions());
            Ok(Lowering::new(network.graph, Arc::clone(&fitted), lower))
        };
        let mut fastest: Option<(f64, Recovered)> = None;
        for choice in &choices.best_first {
            if fastest.is_some() && !choice.fidelity.kept {
                break;
            }
            let mut lowering = lowered(choice, listener)?;
            let (seconds, bootstraps) = match lowering.schedule() {
                Ok(scheduled) => (scheduled.seconds, bootstrap_count(&scheduled.program)),
                Err(error) if error.is_of_parameters() => continue,
                Err(error) => return Err(error.into()),
            };
            if fastest.as_ref().is_none_or(|(least, _)| seconds < *least) {
                let choice = Some(FidelityChoice::Made(choice.fidelity));
                fastest = Some((seconds, Recovered { lowering, choice }));
            }
            if bootstraps <= choice.bootstraps() || !choice.fidelity.kept {
                break;
            }
        }
        match (fastest, choices.best_first.last()) {
            (Some((_, recovered)), _) => return Ok(recovered),
            (None, Some(last)) if most <= 1 => {
                let choice = Some(FidelityChoice::Made(last.fidelity));
                return Ok(Recovered { lowering: lowered(last, listener)?, choice });
            }
            _ => most = most.saturating_sub(1),
        }
    }
}

/// Whether PAFs that keep numbers would take bootstraps, which leave too few bits for them.
fn is_deep(mut lowering: Lowering) -> Result<bool, CompileError> {
    let paf = Paf::by_name(COARSEST_FOR_NUMBERS).map_err(RecoveryError::from)?;
    let reduction = lowering.options().approximation.reduction;
    let levels = least_depth(lowering.fold()?, &paf, reduction);
    Ok(expects_bootstraps(levels, &lowering.options().schedule))
}

/// How often the error of smooth functions is taken a tenth as large, at most.
const MOST_TENTHS: u32 = 4;

/// The network with smooth functions so precise that it predicts on the samples as with the most precise ones there are for it,
/// where nobody says how precise they shall be; but no more precise than what takes no further bootstraps.
///
/// # Errors
/// As [`Lowering::fold`].
pub(crate) fn with_functions(options: &CompileOptions, lowering: Lowering) -> Result<Lowering, CompileError> {
    let has_functions = lowering.graph().nodes().any(|(_, node)| matches!(node.op, Op::Function(_)));
    let is_chosen = options.function_error.is_some() || lowering.options().goal.is_some();
    if is_chosen || !has_functions || lowering.samples().len() < LEAST_SAMPLES {
        return Ok(lowering);
    }
    let probabilities = tells_probabilities(lowering.graph()) && !is_deep(lowering.clone())?;
    let tenths = (1..=MOST_TENTHS).map(|tenth| DEFAULT_FUNCTION_ERROR / 10f64.powi(tenth as i32));
    let outputs = |lowering: &mut Lowering| -> Option<Vec<Vec<Vec<f64>>>> {
        Some(lowering.approximate().ok()?.approximated.outputs.clone())
    };
    // A function that is steep on its range has no polynomial of a small error.
    let exact = tenths.clone().rev().find_map(|error| outputs(&mut lowering.with_function_error(error)));
    let Some(exact) = exact else { return Ok(lowering) };
    let is_enough = |lowering: &mut Lowering| {
        outputs(lowering)
            .is_some_and(|outputs| kept(lowering.graph(), probabilities, &exact, &outputs) >= options.fidelity)
    };
    let bootstraps =
        |lowering: &mut Lowering| lowering.schedule().ok().map(|scheduled| bootstrap_count(&scheduled.program));
    let mut best = lowering;
    if is_enough(&mut best) {
        return Ok(best);
    }
    let Some(most) = bootstraps(&mut best) else { return Ok(best) };
    for error in tenths {
        let mut next = best.with_function_error(error);
        if bootstraps(&mut next).is_none_or(|bootstraps| bootstraps > most) {
            break;
        }
        best = next;
        if is_enough(&mut best) {
            break;
        }
    }
    Ok(best)
}

/// The exact network and its samples, or why no choice can be made for them.
type Prepared = Result<(Network, Data), String>;

fn prepared(
    options: &CompileOptions,
    lower: &LowerOptions,
    graph: &Graph,
    samples: &CalibrationSamples,
) -> Result<Prepared, CompileError> {
    let reason = if samples.len() < LEAST_SAMPLES {
        Some(format!("{} samples are too few to choose PAFs by, {LEAST_SAMPLES} are needed", samples.len()))
    } else if graph.inputs.len() > 1 {
        Some("PAFs are chosen for networks of one input".to_owned())
    } else {
        None
    };
    if let Some(reason) = reason {
        return Ok(Err(reason));
    }
    let mut data = Data::of_samples(samples, graph)?;
    if let Some(labels) = &options.labels {
        data = data.with_labels(labels)?;
    }
    let reduction = lower.approximation.reduction;
    match Network::exact(graph.clone()) {
        Ok(network) => Ok(Ok((Network { reduction, ranges: data.ranges(graph), ..network }, data))),
        Err(RecoveryError::Node { node, problem }) => Ok(Err(format!("node `{node}`: {problem}"))),
        Err(error) => Err(error.into()),
    }
}

fn samples_of(data: &Data) -> CalibrationSamples {
    let sample = |index: usize| vec![data.sample(index).iter().map(|&x| f64::from(x)).collect()];
    (0..data.len()).map(sample).collect()
}
