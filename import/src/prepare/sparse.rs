//! Sparse weights, made dense.

use paf_ir::Shape;

use super::nodes;
use crate::constants::{self, ConstantValue, MAX_COMPUTED, size_within};
use crate::error::ImportError;
use crate::onnx::{DataType, GraphProto, SparseTensorProto, TensorProto};
use crate::source::WeightFolder;
use crate::walk::name;

/// Elements of a large sparse weight for each of its values, at most.
const SPARSEST: usize = 16;

/// Puts dense weights and constants in the place of sparse ones.
pub(super) fn make_dense(graph: &mut GraphProto, folder: Option<&WeightFolder>) -> Result<(), ImportError> {
    for weight in std::mem::take(&mut graph.sparse_initializer) {
        let name = weight.values.as_ref().map_or("", |values| &values.name).to_owned();
        graph.initializer.push(dense(&weight, &name, folder)?);
    }
    for node in graph.node.iter_mut().filter(|node| node.op_type == "Constant") {
        let own = name(node).to_owned();
        for attribute in &mut node.attribute {
            if let Some(sparse) = &attribute.sparse_tensor {
                *attribute = nodes::tensor("value", dense(sparse, &own, folder)?);
            }
        }
    }
    Ok(())
}

fn dense(sparse: &SparseTensorProto, name: &str, folder: Option<&WeightFolder>) -> Result<TensorProto, ImportError> {
    let failed = |problem: String| ImportError::Weight { name: name.to_owned(), problem };
    let part = |part: &Option<TensorProto>, what: &str| {
        let tensor = part.as_ref().ok_or_else(|| failed(format!("it has no {what}")))?;
        constants::read_weight(tensor, name, folder)
    };
    let (values, indices) = (part(&sparse.values, "values")?, part(&sparse.indices, "indices")?);
    let element_type = sparse.values.as_ref().map_or(0, |values| values.data_type);
    let dims: Option<Vec<usize>> = sparse.dims.iter().map(|&size| usize::try_from(size).ok()).collect();
    let given = values.tensor.data.len();
    let dims = dims.filter(|dims| size_within(dims, MAX_COMPUTED.max(given.saturating_mul(SPARSEST))).is_some());
    let shape = Shape(dims.ok_or_else(|| failed(format!("the sizes {:?} are not valid", sparse.dims)))?);
    let mut data = vec![0.0; shape.size()];
    let places = places(&indices, &shape).map_err(failed)?;
    if places.len() != values.tensor.data.len() {
        return Err(failed(format!("it has {} indices for {} values", places.len(), values.tensor.data.len())));
    }
    places.into_iter().zip(&values.tensor.data).for_each(|(place, &value)| data[place] = value);
    let message = nodes::message(name, &ConstantValue::new(shape, data, values.kind));
    Ok(if element_type == DataType::Float as i32 { nodes::single(message) } else { message })
}

/// Row-major places: indices are such, or have a number for each axis.
fn places(indices: &ConstantValue, shape: &Shape) -> Result<Vec<usize>, String> {
    let list = indices.as_integers().ok_or("its indices are no integers")?;
    let list: Option<Vec<usize>> = list.iter().map(|&index| usize::try_from(index).ok()).collect();
    let list = list.ok_or("an index is negative")?;
    let (rank, strides) = (shape.0.len(), shape.strides());
    let outside = || format!("an index lies outside the shape {shape}");
    match indices.shape().0[..] {
        [_] if list.iter().all(|&place| place < shape.size()) => Ok(list),
        [_, columns] if columns == rank && rank > 0 => {
            let place = |row: &[usize]| {
                let inside = row.iter().zip(&shape.0).all(|(index, size)| index < size);
                inside.then(|| row.iter().zip(&strides).map(|(index, stride)| index * stride).sum())
            };
            list.chunks(rank).map(place).collect::<Option<Vec<_>>>().ok_or_else(outside)
        }
        [_] => Err(outside()),
        _ => Err(format!("its indices have the shape {}", indices.shape())),
    }
}
