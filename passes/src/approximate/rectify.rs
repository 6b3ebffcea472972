//! Polynomials of ReLU: fitted to what a node sees, and as tensor operations.
//!
//! An even polynomial is a series in T_2(u), which halves its products: `q(u) = Σ c_{2k}·T_k(T_2(u))`, of the depth that the
//! general schedule has, 1 + ⌈log2(d/2 + 1)⌉ = ⌈log2(d + 1)⌉ for the degrees there are. One whose degree is a power of two is
//! squares of values that the layer before gives in units of its own, and takes a level less.

use std::cell::RefCell;

use paf_ir::tensor::{Graph, NodeId, Op};

use super::pool::Reduction;
use super::scaling::Scaling;
use super::series::{Coefficient, build_series, times};
use super::values::Values;
use crate::error::PassError;
use crate::paf::{Arguments, Form, Paf, Rectifier, Symmetry};

/// The arguments that the polynomials of a ReLU see, or the differences that a pool compares, with exact maxima; `None` where
/// only bounds are known.
pub fn arguments(op: &Op, operand: &Values, scaling: &Scaling, reduction: Reduction) -> Option<Arguments> {
    let Op::MaxPool(window) = op else { return of_values(operand, scaling) };
    let all = RefCell::new(vec![]);
    operand.pool(window, reduction, &|a, b| {
        all.borrow_mut().extend(of_values(&a.zip(b, |a, b| a - b), scaling));
        a.zip(b, f64::max)
    });
    merged(all.into_inner())
}

fn of_values(values: &Values, scaling: &Scaling) -> Option<Arguments> {
    merged(values.summaries(|samples| {
        let mut arguments = Arguments::none(scaling.parts(1).0);
        for sample in samples {
            let (scales, repeat) = scaling.parts(sample.len());
            let channels = sample.chunks(repeat).zip(0..scales.len());
            channels.for_each(|(values, channel)| arguments.add(channel, values));
        }
        arguments
    }))
}

fn merged(parts: Vec<Arguments>) -> Option<Arguments> {
    parts.into_iter().reduce(|mut all, part| {
        all.merge(&part);
        all
    })
}

/// A polynomial of ReLU fitted to what a ReLU or MaxPool shows it; one that is settled stays as it is, and any composite.
pub fn fitted_to(paf: &Paf, op: &Op, seen: &Arguments) -> Paf {
    let Some(rectifier) = paf.rectifier().filter(|rectifier| !rectifier.settled) else { return paf.clone() };
    let fitted = match op {
        Op::MaxPool(_) => rectifier.fitted_to_comparisons(seen),
        _ => rectifier.fitted_to(seen),
    };
    Paf { form: Form::Rectifier(fitted), ..paf.clone() }
}

/// As [`fitted_to`] these values, if samples are known.
pub(super) fn fitted(paf: &Paf, op: &Op, operand: &Values, scaling: &Scaling, reduction: Reduction) -> Paf {
    let Some(rectifier) = paf.rectifier().filter(|rectifier| !rectifier.settled) else { return paf.clone() };
    match (arguments(op, operand, scaling, reduction), op) {
        (Some(seen), _) => fitted_to(paf, op, &seen),
        (None, Op::MaxPool(_)) => comparing(paf, rectifier),
        (None, _) => paf.clone(),
    }
}

/// As [`fitted`] to the values of a ReLU that is one of a pool's comparisons.
pub(super) fn fitted_in_pool(paf: &Paf, x: &Values, scaling: &Scaling, reduction: Reduction) -> Paf {
    let paf = paf.rectifier().map_or_else(|| paf.clone(), |rectifier| comparing(paf, rectifier));
    fitted(&paf, &Op::Relu, x, scaling, reduction)
}

fn comparing(paf: &Paf, rectifier: &Rectifier) -> Paf {
    Paf { form: Form::Rectifier(rectifier.for_comparisons()), ..paf.clone() }
}

/// Builds `factor·r(u)` for `u` in [−1, 1], with a factor for each channel or one for all.
pub(super) fn build(
    graph: &mut Graph,
    name: &str,
    rectifier: &Rectifier,
    u: NodeId,
    factors: &[f64],
) -> Result<NodeId, PassError> {
    let channels = factors.len().max(rectifier.series.len());
    let coefficient = |k: usize| {
        let of_channel = |channel: usize| factors[channel % factors.len()] * rectifier.of_channel(channel)[k];
        Coefficient::of_channels((0..channels).map(of_channel).collect())
    };
    let all = 0..=rectifier.degree();
    if rectifier.symmetry == Symmetry::General {
        return build_series(graph, name, u, &all.map(coefficient).collect::<Vec<_>>());
    }
    let square = graph.add(name, Op::Mul, &[u, u])?;
    let doubled = graph.add(name, Op::Add, &[square, square])?;
    let t2 = graph.add(name, Op::AddConstant(-1.0), &[doubled])?;
    let even = build_series(graph, name, t2, &all.step_by(2).map(coefficient).collect::<Vec<_>>())?;
    let odd = times(graph, name, u, &coefficient(1))?;
    Ok(graph.add(name, Op::Add, &[even, odd])?)
}
