//! What the client sees of a network: one sample at a time, with its scales.

use paf_ir::tensor::{BatchAxis, Graph};

use super::{PackOptions, Port};
use crate::approximate::Approximated;
use crate::schedule::{ScheduleRequest, expects_bootstraps};

/// Options for an approximated network; `graph` is the network as it was imported, `levels` what the optimized one takes.
pub fn options(graph: &Graph, polynomial: &Approximated, levels: u32, request: &ScheduleRequest) -> PackOptions {
    let inputs = graph.inputs.iter().zip(&polynomial.inputs).map(|((id, batch), scaling)| {
        let port = Port { name: graph.node(*id).name.clone(), shape: batch.sample_shape(&graph.node(*id).shape) };
        (port, scaling.clone())
    });
    let batched = graph.is_batched();
    let outputs = graph.outputs.iter().zip(&polynomial.output_scales).map(|(output, scale)| {
        let shape = BatchAxis::of_result(batched, &graph.node(output.node).shape);
        (Port { name: output.name.clone(), shape }, *scale)
    });
    PackOptions {
        max_slots: request.profile.chain.most_slots(),
        inputs: inputs.collect(),
        outputs: outputs.collect(),
        client: graph.client.clone(),
        refreshed: expects_bootstraps(levels, request),
        prices: request.profile.packing.on(&request.slowness),
        sanitize: false,
    }
}
