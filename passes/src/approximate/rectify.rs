//! Polynomials of ReLU: fitted to what a node sees, and as tensor operations.
//!
//! An even polynomial is a series in T_2(u), which halves its products: `q(u) = Σ c_{2k}·T_k(T_2(u))`, of the depth that the
//! general schedule has, 1 + ⌈log2(d/2 + 1)⌉ = ⌈log2(d + 1)⌉ for the degrees there are.

use std::cell::RefCell;

use paf_ir::linear::Window;
use paf_ir::tensor::{Graph, NodeId, Op};

use super::pool::Reduction;
use super::scaling::Scaling;
use super::series::{Coefficient, build_series, times};
use super::values::Values;
use crate::error::PassError;
use crate::paf::{Arguments, Form, Paf, Rectifier, Symmetry};

/// The arguments that the polynomial of a ReLU sees; `None` where only bounds are known.
pub fn arguments_of_relu(operand: &Values, scaling: &Scaling) -> Option<Arguments> {
    let blocks = operand.summaries(|samples| {
        let mut arguments = Arguments::none(scaling.parts(1).0);
        for sample in samples {
            let (scales, repeat) = scaling.parts(sample.len());
            let channels = sample.chunks(repeat).zip(0..scales.len());
            channels.for_each(|(values, channel)| arguments.add(channel, values));
        }
        arguments
    });
    merged(blocks)
}

/// The differences that a pool compares, with exact maxima.
pub fn arguments_of_pool(
    operand: &Values,
    window: &Window,
    scaling: &Scaling,
    reduction: Reduction,
) -> Option<Arguments> {
    let all = RefCell::new(vec![]);
    operand.pool(window, reduction, &|a, b| {
        all.borrow_mut().extend(arguments_of_relu(&a.zip(b, |a, b| a - b), scaling));
        a.zip(b, f64::max)
    });
    merged(all.into_inner())
}

fn merged(parts: Vec<Arguments>) -> Option<Arguments> {
    parts.into_iter().reduce(|mut all, part| {
        all.merge(&part);
        all
    })
}

/// A PAF by name as it serves a ReLU or MaxPool that sees these values: a polynomial of ReLU is fitted to them, unless it
/// is settled or only bounds are known. Anything else stays as it is.
pub fn fitted(paf: &Paf, op: &Op, operand: &Values, scaling: &Scaling, reduction: Reduction) -> Paf {
    let Some(rectifier) = paf.rectifier().filter(|rectifier| !rectifier.settled) else { return paf.clone() };
    let form = match op {
        Op::MaxPool(window) => arguments_of_pool(operand, window, scaling, reduction)
            .map(|arguments| rectifier.fitted_to_comparisons(&arguments)),
        _ => arguments_of_relu(operand, scaling).map(|arguments| rectifier.fitted_to(&arguments)),
    };
    Paf { form: Form::Rectifier(form.unwrap_or_else(|| rectifier.clone())), ..paf.clone() }
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
