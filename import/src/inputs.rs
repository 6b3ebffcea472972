//! The model's inputs: which graph inputs hold data, and their shapes.

use paf_ir::Shape;
use paf_ir::tensor::BatchAxis;

use super::constants::{self, MAX_COMPUTED, size_within};
use super::error::ImportError;
use super::onnx::{DataType, Dimension, GraphProto, Size, TensorType, TypeProto, TypeValue, ValueInfoProto};

/// An input as the model declares it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Declared {
    pub(super) shape: Shape,
    pub(super) batch: BatchAxis,
}

/// The graph inputs without a value of their own; files of IR version 3 list their weights as inputs too.
pub(super) fn data_inputs(graph: &GraphProto) -> impl Iterator<Item = &ValueInfoProto> {
    let has_value = |name: &str| graph.initializer.iter().any(|weight| weight.name == name);
    graph.input.iter().filter(move |input| !has_value(&input.name))
}

/// The shape of an input for one sample: a first axis that is 1 or has no fixed size is a batch axis.
pub(super) fn declared(input: &ValueInfoProto) -> Result<Declared, ImportError> {
    let name = || input.name.clone();
    let element_type = element_type(input);
    if !element_type.is_some_and(constants::are_numbers) {
        let element_type = element_type.map_or_else(|| "an unknown type".to_owned(), DataType::name);
        return Err(ImportError::InputType { name: name(), element_type });
    }
    let axes = axes(input).ok_or_else(|| ImportError::InputShape { name: name() })?;
    let has_batch_axis = match axes.first().map(fixed_size) {
        Some(None) => true,
        Some(Some(1)) => axes.len() >= 2,
        _ => false,
    };
    let mut shape = Vec::with_capacity(axes.len());
    for (axis, dimension) in axes.iter().enumerate() {
        shape.push(match fixed_size(dimension) {
            Some(size) => size,
            None if axis == 0 && has_batch_axis => 1,
            None => return Err(ImportError::DynamicAxis { input: name(), axis, size: in_words(dimension) }),
        });
    }
    match size_within(&shape, MAX_COMPUTED) {
        Some(_) => Ok(Declared {
            shape: Shape(shape),
            batch: if has_batch_axis { BatchAxis::First } else { BatchAxis::Absent },
        }),
        None => Err(ImportError::InputSize { name: name(), shape }),
    }
}

/// The element type that a graph input declares, if it is a tensor of a known one.
pub(super) fn element_type(input: &ValueInfoProto) -> Option<DataType> {
    let declared = tensor_type(input)?.elem_type;
    DataType::try_from(declared).ok().filter(|&known| known != DataType::Undefined)
}

/// The axes that a value declares.
pub(super) fn axes(input: &ValueInfoProto) -> Option<&[Dimension]> {
    tensor_type(input)?.shape.as_ref().map(|shape| &shape.dim[..])
}

fn tensor_type(input: &ValueInfoProto) -> Option<&TensorType> {
    let TypeProto { value: Some(TypeValue::TensorType(tensor)), .. } = input.r#type.as_ref()? else {
        return None;
    };
    Some(tensor)
}

/// The size of an axis that has one.
pub(super) fn fixed_size(dimension: &Dimension) -> Option<usize> {
    match dimension.value {
        Some(Size::DimValue(size)) => usize::try_from(size).ok().filter(|&size| size > 0),
        _ => None,
    }
}

/// What a file says of an axis.
pub(super) fn in_words(dimension: &Dimension) -> String {
    match &dimension.value {
        Some(Size::DimValue(size)) => size.to_string(),
        Some(Size::DimParam(symbol)) => format!("`{symbol}`"),
        None => "none given".into(),
    }
}
