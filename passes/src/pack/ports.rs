//! What the client sees of a network: one sample at a time, with its scales.

use paf_ir::tensor::{BatchAxis, Graph, Output, PostProcess};

use super::{PackOptions, Port};
use crate::approximate::Approximated;
use crate::schedule::{ScheduleRequest, expects_bootstraps};

/// Options for an approximated network; `graph` is the network as it was imported, `levels` what the optimized one takes.
pub fn options(graph: &Graph, polynomial: &Approximated, levels: u32, request: &ScheduleRequest) -> PackOptions {
    let inputs = graph.inputs.iter().zip(&polynomial.inputs).map(|((id, batch), (scale, range))| Port {
        name: graph.node(*id).name.clone(),
        shape: batch.sample_shape(&graph.node(*id).shape),
        scale: *scale,
        range: *range,
        post: PostProcess::None,
    });
    let batched = graph.inputs.iter().any(|input| input.1 == BatchAxis::First);
    let outputs = graph.outputs.iter().zip(&polynomial.output_scales).map(|(output, scale)| {
        let shape = &graph.node(output.node).shape;
        let keeps_axis = batched && shape.0.first() == Some(&1) && shape.0.len() > 1;
        let batch = if keeps_axis { BatchAxis::First } else { BatchAxis::Absent };
        Port {
            name: output.name.clone(),
            shape: batch.sample_shape(shape),
            scale: *scale,
            range: (0.0, 0.0),
            post: post_of_sample(output, batch),
        }
    });
    PackOptions {
        max_slots: request.profile.chain.most_slots(),
        inputs: inputs.collect(),
        outputs: outputs.collect(),
        refreshed: expects_bootstraps(levels, request),
        prices: request.profile.packing.on(&request.slowness),
    }
}

/// Post-processing with its axis counted without the batch axis.
fn post_of_sample(output: &Output, batch: BatchAxis) -> PostProcess {
    let without = |axis: usize| axis.saturating_sub(usize::from(batch == BatchAxis::First));
    match output.post {
        PostProcess::None => PostProcess::None,
        PostProcess::Softmax { axis } => PostProcess::Softmax { axis: without(axis) },
        PostProcess::LogSoftmax { axis } => PostProcess::LogSoftmax { axis: without(axis) },
        PostProcess::ArgMax { axis, keep_axis } => PostProcess::ArgMax { axis: without(axis), keep_axis },
    }
}
