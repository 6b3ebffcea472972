//! Scale and zero point of a quantized tensor.

use crate::onnx::{DataType, NodeProto};
use crate::prepare::flow::Flow;
use crate::quantized::integer_range;

/// What integers stand for: `(integer − zero) · scale`, each for the whole tensor or along an axis.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Parameters {
    scale: Vec<f64>,
    zero: Vec<f64>,
    /// The axis along which they differ, where they do.
    axis: Option<i64>,
    /// The integers.
    pub(super) element_type: DataType,
    /// The least and the largest of them.
    pub(super) range: (f64, f64),
}

/// The axis of per-axis parameters where no attribute says it.
const DEFAULT_AXIS: i64 = 1;

impl Parameters {
    /// Those of a QuantizeLinear or DequantizeLinear; `None` where they are not known, or by blocks.
    pub(super) fn of(flow: &Flow<'_>, node: &NodeProto) -> Option<Self> {
        let attributes = crate::attributes::Attributes(&node.attribute);
        if attributes.integer("block_size").ok()?.unwrap_or(0) != 0 {
            return None;
        }
        let axis = attributes.integer("axis").ok()?.unwrap_or(DEFAULT_AXIS);
        let operand = |index: usize| node.input.get(index).map_or("", String::as_str);
        let declared = attributes.integer("output_dtype").ok()?.and_then(|code| i32::try_from(code).ok());
        Self::named(flow, [operand(1), operand(2)], axis, declared.filter(|&code| code != 0))
    }

    /// Those of the constants with these names, the second of which may be left out.
    pub(super) fn named(flow: &Flow<'_>, [scale, zero]: [&str; 2], axis: i64, declared: Option<i32>) -> Option<Self> {
        let scale = flow.values(scale)?;
        let element_type = match (flow.constant(zero), declared) {
            (Some(tensor), _) => tensor.data_type,
            (None, Some(code)) => code,
            (None, None) => DataType::Uint8 as i32,
        };
        let zero = if zero.is_empty() { vec![0.0] } else { flow.values(zero)? };
        let axis = (scale.len() > 1).then_some(axis);
        let element_type = DataType::try_from(element_type).ok()?;
        Some(Parameters { scale, zero, axis, element_type, range: integer_range(element_type)? })
    }

    /// Scale and zero point where all elements share them.
    pub(super) fn uniform(&self) -> Option<(f64, f64)> {
        match (&self.scale[..], &self.zero[..]) {
            (&[scale], &[zero]) => Some((scale, zero)),
            _ => None,
        }
    }

    /// Whether they mean the same, whatever the type of the integers.
    pub(super) fn agree(&self, other: &Parameters) -> bool {
        let zeros = self.zero.iter().zip(&other.zero).all(|(a, b)| a == b);
        zeros && (&self.scale, self.axis) == (&other.scale, other.axis)
    }

    /// Whether no number below zero can be told from zero.
    pub(super) fn start_at_zero(&self) -> bool {
        self.zero.iter().all(|&zero| zero == self.range.0)
    }

    /// The largest number, where all elements share it.
    pub(super) fn largest(&self) -> Option<f64> {
        self.uniform().map(|(scale, zero)| scale * (self.range.1 - zero))
    }
}
