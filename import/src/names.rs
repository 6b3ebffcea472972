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
/// What is wrong with a name that is too long, or that another one might become.
pub(super) fn make_printable(model: &mut ModelProto) -> Result<(), String> {
    let mut names = Names::default();
    names.model(model).map_err(|length| format!("a name in it has {length} bytes"))?;
    // Without a backslash in any name no two names become one.
    if names.escaped && names.backslash {
        return Err("names in it have control characters, and others look like their escapes".into());
    }
    Ok(())
}

/// What was seen in names.
#[derive(Default)]
struct Names {
    escaped: bool,
    backslash: bool,
}

impl Names {
    fn model(&mut self, model: &mut ModelProto) -> Result<(), usize> {
        let domains = model.opset_import.iter_mut().map(|opset| &mut opset.domain);
        domains.into_iter().try_for_each(|each| self.name(each))?;
        model.functions.iter_mut().try_for_each(|each| self.function(each))?;
        model.graph.as_mut().map_or(Ok(()), |graph| self.graph(graph))
    }

    fn function(&mut self, function: &mut FunctionProto) -> Result<(), usize> {
        function.name.iter_mut().chain(&mut function.domain).try_for_each(|each| self.name(each))?;
        function
            .input
            .iter_mut()
            .chain(&mut function.output)
            .chain(&mut function.attribute)
            .try_for_each(|each| self.name(each))?;
        function.attribute_proto.iter_mut().try_for_each(|each| self.attribute(each))?;
        function.node.iter_mut().try_for_each(|each| self.node(each))
    }

    fn graph(&mut self, graph: &mut GraphProto) -> Result<(), usize> {
        self.name(&mut graph.name)?;
        let values = graph.input.iter_mut().chain(&mut graph.output).chain(&mut graph.value_info);
        values.into_iter().try_for_each(|each| self.value(each))?;
        graph.initializer.iter_mut().try_for_each(|each| self.tensor(each))?;
        for sparse in &mut graph.sparse_initializer {
            sparse.values.as_mut().map_or(Ok(()), |tensor| self.tensor(tensor))?;
        }
        graph.node.iter_mut().try_for_each(|each| self.node(each))
    }

    fn node(&mut self, node: &mut NodeProto) -> Result<(), usize> {
        let names = [&mut node.name, &mut node.op_type, &mut node.domain, &mut node.overload];
        names.into_iter().chain(&mut node.input).chain(&mut node.output).try_for_each(|each| self.name(each))?;
        node.attribute.iter_mut().try_for_each(|each| self.attribute(each))
    }

    fn attribute(&mut self, attribute: &mut AttributeProto) -> Result<(), usize> {
        self.name(&mut attribute.name)?;
        self.name(&mut attribute.ref_attr_name)?;
        attribute.g.iter_mut().chain(&mut attribute.graphs).try_for_each(|each| self.graph(each))
    }

    fn tensor(&mut self, tensor: &mut TensorProto) -> Result<(), usize> {
        self.name(&mut tensor.name)
    }

    /// A value, and the names of its sizes.
    fn value(&mut self, value: &mut ValueInfoProto) -> Result<(), usize> {
        self.name(&mut value.name)?;
        let Some(TypeValue::TensorType(tensor)) = value.r#type.as_mut().and_then(|of| of.value.as_mut()) else {
            return Ok(());
        };
        let dimensions = tensor.shape.iter_mut().flat_map(|shape| &mut shape.dim);
        dimensions.into_iter().try_for_each(|dimension: &mut Dimension| match &mut dimension.value {
            Some(Size::DimParam(text)) => self.name(text),
            _ => Ok(()),
        })
    }

    fn name(&mut self, name: &mut String) -> Result<(), usize> {
        if name.len() > LONGEST {
            return Err(name.len());
        }
        self.backslash |= name.contains('\\');
        if let Cow::Owned(escaped) = printable(name) {
            *name = escaped;
            self.escaped = true;
        }
        Ok(())
    }
}
