//! The sizes of inputs that the file leaves open, from the options and from the samples that are given.

use std::collections::{BTreeMap, BTreeSet};

use super::flow::Flow;
use crate::ImportOptions;
use crate::error::ImportError;
use crate::inputs::{self, fixed_size};
use crate::onnx::{Dimension, GraphProto, Size, TypeValue, ValueInfoProto};
use crate::walk::needed_names;

/// A model of a fixed batch that is imported for one sample at a time, as its samples are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unbatched {
    /// The input.
    input: String,
    /// Its declared shape.
    declared: Vec<usize>,
    /// The shape of its samples.
    given: Vec<usize>,
}

impl Unbatched {
    /// The error that the model does not allow it.
    pub(crate) fn refused(&self, problem: String) -> ImportError {
        let Unbatched { input, declared, given } = self.clone();
        ImportError::FixedBatch { input, declared, given, problem }
    }
}

/// Writes sizes into the graph's inputs.
pub(super) fn fix(graph: &mut GraphProto, options: &ImportOptions) -> Result<Option<Unbatched>, ImportError> {
    check_names(graph, options)?;
    let mut sizes = options.sizes.clone();
    for axis in graph.input.iter_mut().flat_map(axes_mut) {
        set(axis, named_size(axis, &sizes));
    }
    let mut unbatched = None;
    for (position, given) in used_inputs(graph, options).into_iter().zip(&options.input_shapes) {
        let input = &mut graph.input[position];
        unbatched = match_samples(input, given, &mut sizes)?.or(unbatched);
    }
    // Axes of the same name have the same size, but for a first one, which may count samples.
    for axis in graph.input.iter_mut().flat_map(|input| axes_mut(input).skip(1)) {
        set(axis, named_size(axis, &sizes));
    }
    Ok(unbatched)
}

/// Refuses a batch that a Reshape holds fast.
pub(super) fn check_unbatched(
    graph: &GraphProto,
    flow: &Flow<'_>,
    unbatched: Option<&Unbatched>,
) -> Result<(), ImportError> {
    let Some(unbatched) = unbatched else { return Ok(()) };
    let batch = unbatched.declared.first().map_or(0.0, |&size| size as f64);
    let holds = |target: &String| flow.values(target).is_some_and(|target| target.first() == Some(&batch));
    let mut reshapes = graph.node.iter().filter(|node| node.op_type == "Reshape");
    match reshapes.find(|node| node.input.get(1).is_some_and(holds)) {
        Some(node) => Err(unbatched.refused(format!("`{}` reshapes to a batch of {batch}", crate::walk::name(node)))),
        None => Ok(()),
    }
}

fn check_names(graph: &GraphProto, options: &ImportOptions) -> Result<(), ImportError> {
    let known: BTreeSet<&str> = graph.input.iter().filter_map(inputs::axes).flatten().filter_map(symbol).collect();
    match options.sizes.keys().find(|name| !known.contains(name.as_str())) {
        Some(name) => {
            let known = known.into_iter().map(str::to_owned).collect();
            Err(ImportError::NoSuchSize { name: name.clone(), known })
        }
        None => Ok(()),
    }
}

/// Positions of the inputs that hold data and are needed, in order.
fn used_inputs(graph: &GraphProto, options: &ImportOptions) -> Vec<usize> {
    let needed = needed_names(graph);
    let data: BTreeSet<&str> = inputs::data_inputs(graph).map(|input| input.name.as_str()).collect();
    let is_used = |input: &ValueInfoProto| {
        let name = input.name.as_str();
        needed.contains(name) && data.contains(name) && !options.constants.contains_key(name)
    };
    (0..graph.input.len()).filter(|&position| is_used(&graph.input[position])).collect()
}

/// Sets the open axes of an input as an array of its samples has them. The array counts samples along a first axis of its
/// own, or in the place of the input's first axis.
fn match_samples(
    input: &mut ValueInfoProto,
    given: &[usize],
    sizes: &mut BTreeMap<String, usize>,
) -> Result<Option<Unbatched>, ImportError> {
    let Some(declared) = inputs::axes(input) else { return Ok(None) };
    let first = declared.first().map(fixed_size);
    let in_place = first.is_some() && fits(declared.get(1..).unwrap_or(&[]), given, declared.len());
    let skipped = match first {
        Some(None) if in_place => 1,
        Some(Some(_)) if in_place && declared.len() > 1 => 1,
        _ if fits(declared, given, declared.len() + 1) => 0,
        _ if declared.iter().skip(1).any(|axis| fixed_size(axis).is_none()) => return Err(mismatch(input, given)),
        _ => return Ok(None),
    };
    let unbatched = match first.flatten() {
        Some(batch) if skipped == 1 && batch > 1 => Some(Unbatched {
            input: input.name.clone(),
            declared: declared.iter().filter_map(fixed_size).collect(),
            given: given.to_vec(),
        }),
        _ => None,
    };
    let sample = &given[1..];
    for (axis, &size) in declared[skipped..].iter().zip(sample) {
        if let Some(name) = symbol(axis)
            && *sizes.entry(name.to_owned()).or_insert(size) != size
        {
            return Err(mismatch(input, given));
        }
    }
    axes_mut(input).skip(skipped).zip(sample).for_each(|(axis, &size)| set(axis, Some(size)));
    if unbatched.is_some() {
        axes_mut(input).take(1).for_each(|axis| axis.value = Some(Size::DimValue(1)));
    }
    Ok(unbatched)
}

/// Whether samples have so many axes, and the sizes of the last declared ones.
fn fits(declared: &[Dimension], given: &[usize], axes: usize) -> bool {
    let same = |(axis, &size): (&Dimension, &usize)| size > 0 && fixed_size(axis).is_none_or(|fixed| fixed == size);
    given.len() == axes && !given.is_empty() && declared.iter().zip(&given[1..]).all(same)
}

fn mismatch(input: &ValueInfoProto, given: &[usize]) -> ImportError {
    let declared = inputs::axes(input).unwrap_or(&[]).iter().map(inputs::in_words).collect::<Vec<_>>().join(", ");
    ImportError::SampleShape { input: input.name.clone(), declared: format!("[{declared}]"), given: given.to_vec() }
}

/// The name of an axis without a size.
fn symbol(axis: &Dimension) -> Option<&str> {
    match &axis.value {
        Some(Size::DimParam(name)) if !name.is_empty() => Some(name),
        _ => None,
    }
}

fn named_size(axis: &Dimension, sizes: &BTreeMap<String, usize>) -> Option<usize> {
    symbol(axis).and_then(|name| sizes.get(name)).copied()
}

/// Gives an axis a size if it has none.
fn set(axis: &mut Dimension, size: Option<usize>) {
    if let (None, Some(size)) = (fixed_size(axis), size) {
        axis.value = Some(Size::DimValue(size as i64));
    }
}

fn axes_mut(input: &mut ValueInfoProto) -> impl Iterator<Item = &mut Dimension> {
    let shape =
        input.r#type.as_mut().and_then(|it| it.value.as_mut()).and_then(|TypeValue::TensorType(it)| it.shape.as_mut());
    shape.into_iter().flat_map(|shape| &mut shape.dim)
}
