//! Weights, and linear maps with their plans.

use std::sync::Arc;

use paf_ir::diagonals::{Giant, PackedMap, Plan};
use paf_ir::linear::{Conv, Primitive, Window};
use paf_ir::tensor::{Constant, Tensor};
use paf_ir::{Bias, Layout, LinearMap};

use super::ports::shape;
use super::{Result, malformed, product, required, row, size};
use crate::limits::{self, Budget};
use crate::schema;

/// The table of weights.
pub(super) fn constants(messages: Vec<schema::Constant>) -> Result<Vec<Constant>> {
    messages.into_iter().map(constant).collect()
}

pub(super) fn constant(message: schema::Constant) -> Result<Constant> {
    if !message.floats.is_empty() && !message.doubles.is_empty() {
        return Err(malformed("a constant with both kinds of numbers"));
    }
    let length = message.floats.len() + message.doubles.len();
    let shape = shape(&message.shape, length as u64)?;
    let data: Vec<f64> = message.floats.into_iter().map(f64::from).chain(message.doubles).collect();
    if shape.size() != length {
        return Err(malformed(format!("a constant of shape {shape} with {length} values")));
    }
    if !data.iter().all(|value| value.is_finite()) {
        return Err(malformed("a weight is not finite"));
    }
    Ok(Arc::new(Tensor::new(shape, data)))
}

/// Tables that maps refer to.
pub(super) struct Tables<'t> {
    pub(super) constants: &'t [Constant],
    pub(super) layouts: &'t [Layout],
    pub(super) names: &'t [Arc<str>],
}

/// A map that the IR's own checks can look at without overflow, and whose matrix the budget has room for.
pub(super) fn map(message: &schema::Map, tables: &Tables<'_>, slots: usize, budget: &mut Budget) -> Result<PackedMap> {
    let name = row(tables.names, message.name, "name")?.to_string();
    let input = row(tables.layouts, message.input_layout, "layout")?.clone();
    let output = row(tables.layouts, message.output_layout, "layout")?.clone();
    let map = LinearMap {
        factors: message.factors.iter().map(|message| factor(message, tables.constants)).collect::<Result<_>>()?,
        scale: message.scale,
        bias: message.bias.as_ref().map(|message| bias(message, tables.constants)).transpose()?,
        inputs: input.size(),
        outputs: output.size(),
    };
    let left = budget.entries.checked_sub(map.most_entries());
    budget.entries =
        left.ok_or_else(|| malformed(format!("map `{name}`: the file is too short for so large a map")))?;
    let plan = plan(required(message.plan.as_ref(), "a plan")?, input.period)?;
    let packed = PackedMap { name, map: Arc::new(map), input, output, plan };
    packed.check(slots).map_err(|error| malformed(format!("map `{}`: {error}", packed.name)))?;
    Ok(packed)
}

fn bias(message: &schema::Bias, constants: &[Constant]) -> Result<Bias> {
    let values = row(constants, message.constant, "constant")?.clone();
    Ok(Bias { values, repeat: size(message.repeat, limits::ELEMENTS, "the repeat count of a bias")? })
}

fn factor(message: &schema::Factor, constants: &[Constant]) -> Result<Primitive> {
    use schema::FactorKind;
    let weight = |index: u32| row(constants, index, "constant").cloned();
    let primitive = match required(message.kind.as_ref(), "kind of factor")? {
        FactorKind::Conv(conv) => Primitive::Conv(Conv {
            weight: weight(conv.weight)?,
            window: window(required(conv.window.as_ref(), "window")?)?,
            groups: size(conv.groups, limits::SIDE, "the number of groups")?,
        }),
        FactorKind::Dense(dense) => Primitive::Dense {
            weight: weight(dense.weight)?,
            left: size(dense.left, limits::SIDE, "the left size")?,
            right: size(dense.right, limits::SIDE, "the right size")?,
        },
        FactorKind::AveragePool(pool) => Primitive::AveragePool(window(pool)?),
        FactorKind::Select(message) => select(message)?,
        FactorKind::Permute(permute) => Primitive::Permute {
            input: shape(&permute.input, limits::ELEMENTS)?,
            permutation: permute.permutation.iter().map(|&axis| axis as usize).collect(),
        },
        FactorKind::Diagonal(diagonal) => Primitive::Diagonal {
            values: weight(diagonal.values)?,
            repeat: size(diagonal.repeat, limits::ELEMENTS, "the repeat count of a diagonal")?,
            size: size(diagonal.size, limits::ELEMENTS, "the size of a diagonal")?,
        },
    };
    primitive.check().map_err(|error| malformed(error.to_string()))?;
    check_sizes(&primitive)?;
    Ok(primitive)
}

/// Checks that a factor has no more elements than a tensor may have. After [`Primitive::check`] its geometry is
/// bounded so that the sizes themselves cannot overflow: a dimension of a constant has fewer than 2^29 values.
fn check_sizes(primitive: &Primitive) -> Result<()> {
    let dimensions_fit = |tensor: &Tensor| tensor.shape.0.iter().all(|&axis| axis < 1 << 29);
    if !primitive.constant().is_none_or(|constant| dimensions_fit(constant)) {
        return Err(malformed("a factor's weights are too large"));
    }
    for elements in [primitive.input_size(), primitive.output_size()] {
        size(elements as u64, limits::ELEMENTS, "the size of a factor")?;
    }
    Ok(())
}

fn select(message: &schema::Select) -> Result<Primitive> {
    product(message.indices.iter().map(|list| list.plus_one.len() as u64), limits::ELEMENTS, "the size of a select")?;
    let list = |list: &schema::Indices| list.plus_one.iter().map(|index| index.wrapping_sub(1)).collect();
    Ok(Primitive::Select {
        input: shape(&message.input, limits::ELEMENTS)?,
        indices: message.indices.iter().map(list).collect(),
    })
}

fn window(message: &schema::Window) -> Result<Window> {
    let window = Window {
        input: sides(&message.input)?,
        kernel: sides(&message.kernel)?,
        strides: sides(&message.strides)?,
        pads: sides(&message.pads)?,
        dilations: sides(&message.dilations)?,
        output: sides(&message.output)?,
        count_include_pad: message.count_include_pad,
    };
    let fits = |axis: usize| window.kernel[axis] <= window.input[axis + 1] + window.pads[axis] + window.pads[axis + 2];
    if fits(0) && fits(1) { Ok(window) } else { Err(malformed("a kernel is larger than its padded input")) }
}

fn sides<const N: usize>(list: &[u64]) -> Result<[usize; N]> {
    let list: [u64; N] = list.try_into().map_err(|_| malformed(format!("{} sizes, not {N}", list.len())))?;
    if list.iter().any(|&side| side > limits::SIDE) {
        return Err(malformed(format!("a size of a window is above {}", limits::SIDE)));
    }
    Ok(list.map(|side| side as usize))
}

/// A plan that [`PackedMap::check`] has yet to look at.
fn plan(message: &schema::Plan, input_period: usize) -> Result<Plan> {
    Ok(Plan {
        modulus: size(message.modulus, input_period as u64, "a plan's modulus")?,
        giants: message
            .giants
            .iter()
            .map(|giant| Giant { rotation: giant.rotation, babies: giant.babies.clone() })
            .collect(),
        outer_stride: message.outer_stride,
        folds: message.folds.clone(),
    })
}
