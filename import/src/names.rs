//! Names in a model of a stranger: they end up in messages, in files and on terminals.

use std::borrow::Cow;

use paf_ir::printable::printable;

use super::onnx::{
    AttributeProto, Dimension, FunctionProto, GraphProto, ModelProto, NodeProto, Size, TensorProto, TypeValue,
    ValueInfoProto,
};

/// No name may be longer: exporters write paths of modules, of some hundred bytes.
const LONGEST: usize = 4096;

/// Puts escapes in the place of control characters in all names of a model, each name in the same way.
///
/// # Errors
/// The length of a name that is too long.
pub(super) fn make_printable(model: &mut ModelProto) -> Result<(), usize> {
    let domains = model.opset_import.iter_mut().map(|opset| &mut opset.domain);
    domains.into_iter().try_for_each(name)?;
    model.functions.iter_mut().try_for_each(function)?;
    model.graph.as_mut().map_or(Ok(()), graph)
}

fn function(function: &mut FunctionProto) -> Result<(), usize> {
    function.name.iter_mut().chain(&mut function.domain).try_for_each(name)?;
    function.input.iter_mut().chain(&mut function.output).chain(&mut function.attribute).try_for_each(name)?;
    function.attribute_proto.iter_mut().try_for_each(attribute)?;
    function.node.iter_mut().try_for_each(node)
}

fn graph(graph: &mut GraphProto) -> Result<(), usize> {
    name(&mut graph.name)?;
    let values = graph.input.iter_mut().chain(&mut graph.output).chain(&mut graph.value_info);
    values.into_iter().try_for_each(value)?;
    graph.initializer.iter_mut().try_for_each(tensor)?;
    for sparse in &mut graph.sparse_initializer {
        sparse.values.as_mut().map_or(Ok(()), tensor)?;
    }
    graph.node.iter_mut().try_for_each(node)
}

fn node(node: &mut NodeProto) -> Result<(), usize> {
    let names = [&mut node.name, &mut node.op_type, &mut node.domain, &mut node.overload];
    names.into_iter().chain(&mut node.input).chain(&mut node.output).try_for_each(name)?;
    node.attribute.iter_mut().try_for_each(attribute)
}

fn attribute(attribute: &mut AttributeProto) -> Result<(), usize> {
    name(&mut attribute.name)?;
    name(&mut attribute.ref_attr_name)?;
    attribute.g.iter_mut().chain(&mut attribute.graphs).try_for_each(graph)
}

fn tensor(tensor: &mut TensorProto) -> Result<(), usize> {
    name(&mut tensor.name)
}

/// A value, and the names of its sizes.
fn value(value: &mut ValueInfoProto) -> Result<(), usize> {
    name(&mut value.name)?;
    let Some(TypeValue::TensorType(tensor)) = value.r#type.as_mut().and_then(|of| of.value.as_mut()) else {
        return Ok(());
    };
    let dimensions = tensor.shape.iter_mut().flat_map(|shape| &mut shape.dim);
    dimensions.into_iter().try_for_each(|dimension: &mut Dimension| match &mut dimension.value {
        Some(Size::DimParam(text)) => name(text),
        _ => Ok(()),
    })
}

fn name(name: &mut String) -> Result<(), usize> {
    if name.len() > LONGEST {
        return Err(name.len());
    }
    if let Cow::Owned(escaped) = printable(name) {
        *name = escaped;
    }
    Ok(())
}
