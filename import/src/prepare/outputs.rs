//! The outputs that are wanted.

use crate::error::ImportError;
use crate::onnx::{GraphProto, ValueInfoProto};

/// Leaves a graph the outputs that are named, in this order; all of them if none is.
pub(super) fn choose(graph: &mut GraphProto, names: &[String]) -> Result<(), ImportError> {
    if names.is_empty() {
        return Ok(());
    }
    let mut chosen: Vec<ValueInfoProto> = vec![];
    for name in names.iter() {
        let output = graph.output.iter().find(|output| output.name == *name).ok_or_else(|| no_such(graph, name))?;
        if chosen.iter().all(|other| other.name != output.name) {
            chosen.push(output.clone());
        }
    }
    graph.output = chosen;
    Ok(())
}

fn no_such(graph: &GraphProto, name: &str) -> ImportError {
    let known = graph.output.iter().map(|output| output.name.clone()).collect();
    ImportError::NoSuchOutput { name: name.to_owned(), known }
}
