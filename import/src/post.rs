//! A final Softmax, LogSoftmax, ArgMax or ArgMin, which the client computes after decryption.

use paf_ir::Shape;
use paf_ir::tensor::{Graph, NodeId, Op, PostProcess};

use super::constants::ElementKind;
use super::site::{Final, Outcome, Refusal, Site, Value, axis};

impl Final {
    /// The shape of what the client computes.
    pub(super) fn shape(&self, graph: &Graph) -> Shape {
        let mut shape = graph.node(self.logits).shape.clone();
        match self.post {
            PostProcess::ArgMax { axis, keep_axis: true } => shape.0[axis] = 1,
            PostProcess::ArgMax { axis, keep_axis: false } => {
                shape.0.remove(axis);
            }
            PostProcess::None | PostProcess::Softmax { .. } | PostProcess::LogSoftmax { .. } => {}
        }
        shape
    }
}

/// Softmax.
pub(super) fn softmax(site: &mut Site<'_>) -> Outcome {
    let (logits, axis) = softmax_axis(site)?;
    Ok(final_value(site, logits, PostProcess::Softmax { axis }))
}

/// LogSoftmax.
pub(super) fn log_softmax(site: &mut Site<'_>) -> Outcome {
    let (logits, axis) = softmax_axis(site)?;
    Ok(final_value(site, logits, PostProcess::LogSoftmax { axis }))
}

/// ArgMax. The largest logit has the largest (log-)softmax too, so that one in between drops out.
pub(super) fn arg_max(site: &mut Site<'_>) -> Outcome {
    let value = site.operand(0)?;
    arg_largest(site, value)
}

/// ArgMin: where the negated tensor is largest.
pub(super) fn arg_min(site: &mut Site<'_>) -> Outcome {
    let (x, _) = site.tensor(0)?;
    let negated = site.add(Op::Scale(-1.0), &[x])?;
    arg_largest(site, Value::Tensor(negated))
}

fn arg_largest(site: &mut Site<'_>, value: Value) -> Outcome {
    let rank = site.shape(&value)?.0.len();
    let axis = axis(site.attributes.integer("axis")?.unwrap_or(0), rank)?;
    if site.attributes.flag("select_last_index")? {
        return Err(Refusal::unsupported("select_last_index is 1", "the first of equal elements is selected"));
    }
    let keep_axis = site.attributes.integer("keepdims")?.unwrap_or(1) != 0;
    let logits = match value {
        Value::Tensor(id) => id,
        Value::Final(Final { logits, post: PostProcess::Softmax { axis: of }, .. }) if of == axis => logits,
        Value::Final(Final { logits, post: PostProcess::LogSoftmax { axis: of }, .. }) if of == axis => logits,
        _ => return Err(Refusal::unsupported("its operand is not the network's last tensor", "use it on the logits")),
    };
    Ok(final_value(site, logits, PostProcess::ArgMax { axis, keep_axis }))
}

fn final_value(site: &Site<'_>, logits: NodeId, post: PostProcess) -> Value {
    Value::Final(Final { logits, post, origin: site.position })
}

/// The axis of a softmax. Before operator set 13 all axes from the named one on are one, which must mean the same.
fn softmax_axis(site: &Site<'_>) -> Result<(NodeId, usize), Refusal> {
    let (logits, shape) = site.tensor(0)?;
    let given = site.attributes.integer("axis")?;
    if site.opset >= 13 {
        return Ok((logits, axis(given.unwrap_or(-1), shape.0.len())?));
    }
    let first = axis(given.unwrap_or(1), shape.0.len())?;
    let mut wide = (first..shape.0.len()).filter(|&axis| shape.0[axis] != 1);
    match (wide.next(), wide.next()) {
        (Some(_), Some(_)) => Err(Refusal::unsupported(
            format!("axis {first} of {shape} covers several axes (operator sets before 13 flatten them)"),
            "flatten the tensor before it",
        )),
        (only, _) => Ok((logits, only.unwrap_or(first))),
    }
}

/// A final result under another shape: the logits are reshaped so that the client's axis stays one axis.
pub(super) fn reshaped(site: &mut Site<'_>, result: Final, shape: Shape) -> Outcome {
    let logits_shape = site.graph.node(result.logits).shape.clone();
    let inner = |axis: usize| logits_shape.0[axis + 1..].iter().product::<usize>();
    let suffix = |shape: &Shape, start: usize| shape.0[start..].iter().product::<usize>();
    let (target, post) = match result.post {
        PostProcess::None => (Some(shape), PostProcess::None),
        PostProcess::Softmax { axis } => {
            let moved = moved_axis(&shape, logits_shape.0[axis], inner(axis));
            (moved.map(|_| shape), PostProcess::Softmax { axis: moved.unwrap_or(axis) })
        }
        PostProcess::LogSoftmax { axis } => {
            let moved = moved_axis(&shape, logits_shape.0[axis], inner(axis));
            (moved.map(|_| shape), PostProcess::LogSoftmax { axis: moved.unwrap_or(axis) })
        }
        PostProcess::ArgMax { axis, .. } => {
            let place = (0..=shape.0.len()).find(|&place| suffix(&shape, place) == inner(axis));
            let mut target = shape;
            if let Some(place) = place {
                target.0.insert(place, logits_shape.0[axis]);
            }
            (place.map(|_| target), PostProcess::ArgMax { axis: place.unwrap_or(axis), keep_axis: false })
        }
    };
    let unsupported = || {
        let reason = "it reshapes across the axis of the final softmax or argmax";
        Refusal::unsupported(reason, "move the reshape before it")
    };
    let logits = site.add_reshape(result.logits, target.ok_or_else(unsupported)?)?;
    Ok(Value::Final(Final { logits, post, origin: result.origin }))
}

/// The axis of a shape that has the given size and number of elements behind it.
fn moved_axis(shape: &Shape, size: usize, inner: usize) -> Option<usize> {
    (0..shape.0.len()).find(|&axis| shape.0[axis] == size && shape.0[axis + 1..].iter().product::<usize>() == inner)
}

/// Whether the client's result stays the same numbers when it is cast.
pub(super) fn survives_cast(result: &Final, kind: ElementKind) -> bool {
    match result.post {
        PostProcess::ArgMax { .. } => kind != ElementKind::Boolean,
        _ => kind == ElementKind::Real,
    }
}
