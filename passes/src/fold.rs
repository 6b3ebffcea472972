//! `fold`: linear operations melt into their linear neighbours.
//!
//! Needs: an imported graph. Then holds: no [`Op::BatchNorm`] is left; no linear map feeds only linear maps whose
//! product is cheap; every node reaches an output.
//!
//! ```text
//! conv -> batch_norm -> relu       becomes       conv' -> relu
//! global_average_pool -> gemm      becomes       one linear map
//! relu -> batch_norm -> conv       becomes       relu -> conv', bias with the borders of the padding
//! ```

use std::sync::Arc;

use paf_ir::linear::{Bias, Conv, LinearMap, Primitive};
use paf_ir::sparse::{Matrix as _, product_fits};
use paf_ir::tensor::{BatchNorm, Constant, Graph, Node, NodeId, Op, Shape, Tensor};

use crate::error::PassError;

/// A product of two maps is taken if it has at most this many times their entries together.
const PRODUCT_GROWTH: usize = 2;

/// Folds linear operations into each other.
///
/// # Errors
/// [`PassError::Ir`] only for a graph that was not verified.
pub fn fold(graph: &Graph) -> Result<Graph, PassError> {
    let mut folded = normalize_batch_norms(graph)?;
    loop {
        let before = folded.len();
        folded = without_dead_nodes(&merge_linear_maps(&folded)?)?;
        if folded.len() == before {
            return Ok(folded);
        }
    }
}

/// Folds a polynomial graph: every tensor becomes flat, so that reshapes no longer stand between linear maps.
///
/// # Errors
/// [`PassError::Ir`] only for a graph that was not verified.
pub fn fold_polynomial(graph: &Graph) -> Result<Graph, PassError> {
    let mut flat = graph.rebuilt(|result, id, node, inputs| match &node.op {
        Op::Reshape => Ok(inputs[0]),
        Op::Input => {
            let shape = Shape(vec![node.shape.size()]);
            Ok(result.input(node.name.clone(), shape, graph.batch_axis(id)))
        }
        Op::Linear(map) => {
            let shape = Shape(vec![map.outputs]);
            Ok(result.linear(node.name.clone(), (**map).clone(), inputs[0], shape)?)
        }
        _ => Ok::<_, PassError>(result.copy(graph, id, inputs)?),
    })?;
    for (index, original) in graph.outputs.iter().enumerate() {
        let shape = graph.node(original.node).shape.clone();
        flat.outputs[index].node = flat.reshape(original.name.clone(), flat.outputs[index].node, shape)?;
    }
    fold(&flat)
}

fn normalize_batch_norms(graph: &Graph) -> Result<Graph, PassError> {
    graph.rebuilt(|result, id, node, inputs| match &node.op {
        Op::BatchNorm(norm) => {
            let map = batch_norm_map(norm, &node.shape);
            Ok(result.linear(node.name.clone(), map, inputs[0], node.shape.clone())?)
        }
        _ => Ok(result.copy(graph, id, inputs)?),
    })
}

fn batch_norm_map(norm: &BatchNorm, shape: &Shape) -> LinearMap {
    let channels = norm.scale.data.len();
    let (factors, offsets): (Vec<f64>, Vec<f64>) = (0..channels).map(|channel| norm.affine(channel)).unzip();
    let repeat = shape.0[2..].iter().product();
    let values = Arc::new(Tensor::new(Shape(vec![channels]), factors));
    let bias = Bias { values: Arc::new(Tensor::new(Shape(vec![channels]), offsets)), repeat };
    LinearMap::of(Primitive::Diagonal { values, repeat, size: shape.size() }, Some(bias))
}

/// Merges each linear map into its consumers where all of them are linear and every product is cheap.
fn merge_linear_maps(graph: &Graph) -> Result<Graph, PassError> {
    let consumers = graph.consumers();
    let mut merged = vec![false; graph.len()];
    graph.rebuilt(|result, id, node, inputs| {
        let Op::Linear(map) = &node.op else {
            return Ok(result.copy(graph, id, inputs)?);
        };
        let producer = graph.node(node.inputs[0]);
        if let Op::Linear(earlier) = &producer.op {
            let already_merged = merged[node.inputs[0].index()];
            if !already_merged && all_merge(graph, node.inputs[0], &consumers) {
                merged[id.index()] = true;
                let product = simplify(earlier.then(map));
                let source = result.node(inputs[0]).inputs[0];
                let name = merged_name(producer, node);
                return Ok(result.linear(name, product, source, node.shape.clone())?);
            }
        }
        Ok(result.copy(graph, id, inputs)?)
    })
}

/// The name of a product: that of the node with weights, the later one if both have some.
fn merged_name(earlier: &Node, later: &Node) -> String {
    let has_matrix = |node: &Node| {
        let Op::Linear(map) = &node.op else { return false };
        map.factors.iter().any(|factor| matches!(factor, Primitive::Conv(_) | Primitive::Dense { .. }))
    };
    if has_matrix(earlier) && !has_matrix(later) { earlier.name.clone() } else { later.name.clone() }
}

fn all_merge(graph: &Graph, id: NodeId, consumers: &[Vec<NodeId>]) -> bool {
    let is_output = graph.outputs.iter().any(|output| output.node == id);
    let Op::Linear(earlier) = &graph.node(id).op else { return false };
    let readers = &consumers[id.index()];
    // Slices of one tensor are rotations of it; merged, each would be a map of its own.
    let computes = earlier.as_view().is_none();
    !is_output
        && readers.iter().all(|&reader| match &graph.node(reader).op {
            Op::Linear(later) if computes && readers.len() > 1 && later.as_view().is_some() => false,
            Op::Linear(later) => product_is_cheap(earlier, later),
            _ => false,
        })
}

fn product_is_cheap(earlier: &LinearMap, later: &LinearMap) -> bool {
    let is_elementwise =
        |map: &LinearMap| map.factors.iter().all(|factor| matches!(factor, Primitive::Diagonal { .. }));
    if is_elementwise(earlier) || is_elementwise(later) {
        return true;
    }
    let (first, second) = (earlier.rows(), later.rows());
    product_fits(&second, &first, PRODUCT_GROWTH * (first.entry_count() + second.entry_count()))
}

/// Melts diagonals into the weights beside them.
pub(crate) fn simplify(map: LinearMap) -> LinearMap {
    let mut factors: Vec<Primitive> = Vec::with_capacity(map.factors.len());
    for factor in &map.factors {
        let melted = factors.last().and_then(|last| melt(last, factor));
        match melted {
            Some(product) => *factors.last_mut().expect("there was a last factor") = product,
            None => factors.push(factor.clone()),
        }
    }
    factors.retain(|factor| !is_identity(factor));
    LinearMap { factors, ..map }
}

/// A diagonal of ones, up to rounding: a scale and its inverse.
fn is_identity(factor: &Primitive) -> bool {
    matches!(factor, Primitive::Diagonal { values, .. } if values.data.iter().all(|value| (value - 1.0).abs() < 1e-12))
}

/// The product of two factors where it is again one factor with the same geometry.
fn melt(earlier: &Primitive, later: &Primitive) -> Option<Primitive> {
    match (earlier, later) {
        (Primitive::Conv(conv), Primitive::Diagonal { values, repeat, .. }) => {
            let plane = conv.window.output.iter().product();
            let factors = by_part(values, *repeat, conv.weight.shape.0[0], plane)?;
            let of_row = |row: usize, _| factors[row];
            Some(Primitive::Conv(Conv { weight: weighted(&conv.weight, of_row), ..conv.clone() }))
        }
        (Primitive::Diagonal { values, repeat, .. }, Primitive::Conv(conv)) => {
            let plane = conv.window.input[1..].iter().product();
            let factors = by_part(values, *repeat, conv.window.input[0], plane)?;
            let [outputs, inputs, taps @ ..] = &conv.weight.shape.0[..] else { return None };
            let (rows, taps) = (outputs / conv.groups, taps.iter().product::<usize>());
            let of_channel = |row: usize, column: usize| factors[row / rows * inputs + column / taps];
            Some(Primitive::Conv(Conv { weight: weighted(&conv.weight, of_channel), ..conv.clone() }))
        }
        (Primitive::Dense { weight, left, right }, Primitive::Diagonal { values, repeat, .. }) => {
            let factors = by_part(values, *repeat, weight.shape.0[0], *right)?;
            let weight = weighted(weight, |row, _| factors[row]);
            Some(Primitive::Dense { weight, left: *left, right: *right })
        }
        (Primitive::Diagonal { values, repeat, .. }, Primitive::Dense { weight, left, right }) => {
            let factors = by_part(values, *repeat, weight.shape.0[1], *right)?;
            let weight = weighted(weight, |_, column| factors[column]);
            Some(Primitive::Dense { weight, left: *left, right: *right })
        }
        (Primitive::Diagonal { values: a, repeat: ra, size }, Primitive::Diagonal { values: b, repeat: rb, .. })
            if ra == rb && a.data.len() == b.data.len() =>
        {
            let data = a.data.iter().zip(&b.data).map(|(a, b)| a * b).collect();
            let values = Arc::new(Tensor::new(a.shape.clone(), data));
            Some(Primitive::Diagonal { values, repeat: *ra, size: *size })
        }
        _ => None,
    }
}

/// The factors of a diagonal for so many parts of so many elements, if each part has one and all tensors of so many parts the
/// same.
fn by_part(values: &Constant, repeat: usize, parts: usize, elements: usize) -> Option<Vec<f64>> {
    let count = values.data.len();
    let is_by_part =
        count == 1 || (repeat.is_multiple_of(elements) && (parts * elements).is_multiple_of(count * repeat));
    is_by_part.then(|| (0..parts).map(|part| values.data[(part * elements / repeat) % count]).collect())
}

/// Weights times a factor for each row and each place in it.
fn weighted(weight: &Constant, factor: impl Fn(usize, usize) -> f64) -> Constant {
    let row = weight.data.len() / weight.shape.0[0];
    let data = weight.data.iter().enumerate().map(|(index, value)| value * factor(index / row, index % row)).collect();
    Arc::new(Tensor::new(weight.shape.clone(), data))
}

/// Drops nodes that reach no output; inputs stay.
pub(crate) fn without_dead_nodes(graph: &Graph) -> Result<Graph, PassError> {
    let mut live = vec![false; graph.len()];
    graph.outputs.iter().for_each(|output| live[output.node.index()] = true);
    graph.inputs.iter().for_each(|input| live[input.0.index()] = true);
    let nodes: Vec<_> = graph.nodes().collect();
    for (id, node) in nodes.iter().rev() {
        if live[id.index()] {
            node.inputs.iter().for_each(|input| live[input.index()] = true);
        }
    }
    graph.rebuilt(
        |result, id, _, inputs| {
            if live[id.index()] { Ok(result.copy(graph, id, inputs)?) } else { Ok(NodeId(0)) }
        },
    )
}
