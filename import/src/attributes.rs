//! Typed access to a node's attributes.

use super::onnx::{AttributeProto, AttributeType, TensorProto};
use super::site::Refusal;

/// The attributes of one node.
#[derive(Clone, Copy)]
pub(super) struct Attributes<'a>(pub(super) &'a [AttributeProto]);

impl<'a> Attributes<'a> {
    /// The attribute of that name; files older than IR version 2 leave the type out.
    fn get(&self, name: &str, expected: AttributeType) -> Result<Option<&'a AttributeProto>, Refusal> {
        let Some(attribute) = self.0.iter().find(|attribute| attribute.name == name) else { return Ok(None) };
        let untyped = AttributeType::Undefined as i32;
        if attribute.r#type != expected as i32 && attribute.r#type != untyped {
            return Err(Refusal::invalid(format!("attribute `{name}` is not of type {}", expected.name())));
        }
        if !attribute.ref_attr_name.is_empty() {
            return Err(Refusal::invalid(format!("attribute `{name}` refers to a function's attribute")));
        }
        Ok(Some(attribute))
    }

    /// Whether there is an attribute of that name, whatever its type.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|attribute| attribute.name == name)
    }

    /// An integer.
    pub(super) fn integer(&self, name: &str) -> Result<Option<i64>, Refusal> {
        Ok(self.get(name, AttributeType::Int)?.map(|attribute| attribute.i))
    }

    /// An integer, 0 if absent, that stands for a truth value.
    pub(super) fn flag(&self, name: &str) -> Result<bool, Refusal> {
        Ok(self.integer(name)?.unwrap_or(0) != 0)
    }

    /// A finite number.
    pub(super) fn number(&self, name: &str) -> Result<Option<f64>, Refusal> {
        match self.float(name)? {
            Some(value) if !value.is_finite() => Err(Refusal::invalid(format!("attribute `{name}` is {value}"))),
            value => Ok(value),
        }
    }

    /// A number, which may be infinite or none.
    pub(super) fn float(&self, name: &str) -> Result<Option<f64>, Refusal> {
        Ok(self.get(name, AttributeType::Float)?.map(|attribute| f64::from(attribute.f)))
    }

    /// A list of integers.
    pub(super) fn integers(&self, name: &str) -> Result<Option<Vec<i64>>, Refusal> {
        Ok(self.get(name, AttributeType::Ints)?.map(|attribute| attribute.ints.clone()))
    }

    /// A list of numbers.
    pub(super) fn numbers(&self, name: &str) -> Result<Option<Vec<f64>>, Refusal> {
        let floats = self.get(name, AttributeType::Floats)?.map(|attribute| &attribute.floats);
        Ok(floats.map(|floats| floats.iter().copied().map(f64::from).collect()))
    }

    /// A string.
    pub(super) fn text(&self, name: &str) -> Result<Option<String>, Refusal> {
        let bytes = self.get(name, AttributeType::String)?.map(|attribute| &attribute.s);
        Ok(bytes.map(|bytes| String::from_utf8_lossy(bytes).into_owned()))
    }

    /// A list of strings.
    pub(super) fn texts(&self, name: &str) -> Result<Option<Vec<String>>, Refusal> {
        let strings = self.get(name, AttributeType::Strings)?.map(|attribute| &attribute.strings);
        Ok(strings.map(|texts| texts.iter().map(|bytes| String::from_utf8_lossy(bytes).into_owned()).collect()))
    }

    /// A tensor.
    pub(super) fn tensor(&self, name: &str) -> Result<Option<&'a TensorProto>, Refusal> {
        Ok(self.get(name, AttributeType::Tensor)?.and_then(|attribute| attribute.t.as_ref()))
    }
}
