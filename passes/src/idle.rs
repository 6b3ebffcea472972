//! `idle`: ReLUs that do nothing, and channels of ReLUs that are always 0.
//!
//! Needs: an imported graph. Then holds: it computes the same where every ReLU has the signs that are certain of it
//! (`approximate/signs.rs`); no ReLU is left that is the identity or 0 in every channel; and of a channel that is always 0, layers
//! beside the ReLU have neither weights into it nor out of it, so that a polynomial's error there is multiplied by nothing.
//!
//! ```text
//! relu(x), x >= 0            becomes    x
//! relu(x), x <= 0            becomes    0, and what computes with it constants
//! conv -> relu -> norm       becomes    conv' -> relu -> norm', no rows and no factor where a channel is 0
//! ```
//!
//! A channel that is 0 beside others that are not keeps its polynomial where the ReLU's result is added, multiplied or an output. So
//! does a channel that is the identity: a map around the ReLU would take a level.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use paf_ir::linear::{Bias, LinearMap, Primitive, Window};
use paf_ir::tensor::{BatchNorm, Constant, Graph, Node, NodeId, Op, Shape, Tensor};

use crate::approximate::{ApproximationOptions, Sign, Values, channels, exact, signs};
use crate::coefficients::{Coefficients, affine, is_near};
use crate::decisions::CalibrationSamples;
use crate::error::PassError;
use crate::fold::simplify;

/// Signs of the channels of each ReLU.
type Signs = BTreeMap<NodeId, Vec<Sign>>;

/// A network without ReLUs that do nothing, and without weights beside channels that are always 0. ReLUs with a scale of their own
/// stay as they are: whoever decided on it has corrected layers for what their polynomials give.
///
/// # Errors
/// [`PassError::Ir`] only for a graph that was not verified.
pub fn without_idle_relus(
    graph: &Graph,
    samples: &CalibrationSamples,
    options: &ApproximationOptions,
) -> Result<Graph, PassError> {
    let signs = open_signs(graph, samples, options);
    let mut silent = Silent::new(graph.clone());
    silent.relus(&signs)?;
    without_relus(&silent.graph, &signs)
}

/// The signs of the ReLUs for which no scale was decided.
fn open_signs(graph: &Graph, samples: &CalibrationSamples, options: &ApproximationOptions) -> Signs {
    let is_open = |node: &Node| node.op == Op::Relu && !options.per_node.scales.contains_key(&node.name);
    if !graph.nodes().any(|(_, node)| is_open(node)) {
        return Signs::new();
    }
    let mut signs = signs(graph, samples, options);
    signs.retain(|id, _| is_open(graph.node(*id)));
    signs
}

/// What becomes of a node where some ReLUs are gone.
enum Image {
    Node(NodeId),
    /// The same for every input.
    Constant(Vec<f64>),
}

/// Without the ReLUs that are certain in every channel. One that is always 0 stays where outputs would be constant without it.
fn without_relus(graph: &Graph, signs: &Signs) -> Result<Graph, PassError> {
    let certain: BTreeMap<NodeId, &[Sign]> = signs
        .iter()
        .filter(|(_, signs)| signs.iter().all(|sign| *sign != Sign::Either))
        .map(|(id, signs)| (*id, signs.as_slice()))
        .collect();
    if certain.is_empty() {
        return Ok(graph.clone());
    }
    if let Some(rebuilt) = Rebuilding::new(graph, &certain).run()? {
        return Ok(rebuilt);
    }
    let is_zero = |signs: &[Sign]| signs.iter().all(|sign| *sign == Sign::NeverPositive);
    let others = certain.into_iter().filter(|(_, signs)| !is_zero(signs)).collect();
    Ok(Rebuilding::new(graph, &others).run()?.unwrap_or_else(|| graph.clone()))
}

/// A graph that is made again without some ReLUs.
struct Rebuilding<'g> {
    source: &'g Graph,
    certain: &'g BTreeMap<NodeId, &'g [Sign]>,
    images: Vec<Image>,
}

impl<'g> Rebuilding<'g> {
    fn new(source: &'g Graph, certain: &'g BTreeMap<NodeId, &'g [Sign]>) -> Self {
        Rebuilding { source, certain, images: Vec::with_capacity(source.len()) }
    }

    /// The graph; `None` if an output would be constant.
    fn run(mut self) -> Result<Option<Graph>, PassError> {
        let source = self.source;
        let graph = source.rebuilt(|result, id, node, _| {
            let image = self.image(result, id, node)?;
            // What is constant has no node; nothing reads this one.
            let place = if let Image::Node(node) = image { node } else { NodeId(0) };
            self.images.push(image);
            Ok::<_, PassError>(place)
        })?;
        let is_constant = |id: NodeId| matches!(self.images[id.index()], Image::Constant(_));
        Ok(if source.outputs.iter().any(|output| is_constant(output.node)) { None } else { Some(graph) })
    }

    fn image(&self, result: &mut Graph, id: NodeId, node: &Node) -> Result<Image, PassError> {
        let operands: Vec<&Image> = node.inputs.iter().map(|input| &self.images[input.index()]).collect();
        match (&operands[..], self.certain.get(&id)) {
            ([Image::Node(x)], Some(signs)) => certain_relu(result, node, *x, signs),
            ([Image::Node(a), Image::Node(b)], _) => match sum_of_one(result, node, [*a, *b])? {
                Some(sum) => Ok(Image::Node(sum)),
                None => Ok(Image::Node(result.copy(self.source, id, &[*a, *b])?)),
            },
            ([Image::Node(x), Image::Constant(c)], _) => {
                with_constant(result, node, *x, c, Side::Right).map(Image::Node)
            }
            ([Image::Constant(c), Image::Node(x)], _) => {
                with_constant(result, node, *x, c, Side::Left).map(Image::Node)
            }
            ([Image::Node(x)], None) => Ok(Image::Node(result.copy(self.source, id, &[*x])?)),
            ([], _) => Ok(Image::Node(result.copy(self.source, id, &[])?)),
            _ => Ok(Image::Constant(constant(&node.op, &operands))),
        }
    }
}

/// What an operation gives for constants.
fn constant(op: &Op, operands: &[&Image]) -> Vec<f64> {
    let value = |image: &&Image| match image {
        Image::Constant(values) => Values::of_samples(std::slice::from_ref(values)),
        Image::Node(_) => unreachable!("all operands are constant"),
    };
    let values: Vec<Values> = operands.iter().map(value).collect();
    exact(op, &values.iter().collect::<Vec<_>>()).samples().swap_remove(0)
}

/// A ReLU that is 0 or the identity in each channel.
fn certain_relu(result: &mut Graph, node: &Node, x: NodeId, signs: &[Sign]) -> Result<Image, PassError> {
    if signs.iter().all(|sign| *sign == Sign::NeverNegative) {
        return Ok(Image::Node(x));
    }
    if signs.iter().all(|sign| *sign == Sign::NeverPositive) {
        return Ok(Image::Constant(vec![0.0; node.shape.size()]));
    }
    let factor = |sign: &Sign| if *sign == Sign::NeverNegative { 1.0 } else { 0.0 };
    let size = node.shape.size();
    let factors = Coefficients::new(signs.iter().map(factor).collect(), size / signs.len());
    let map = affine(&factors, &Coefficients::uniform(0.0), size);
    Ok(Image::Node(result.linear(node.name.clone(), map, x, node.shape.clone())?))
}

/// Which operand is constant.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Left,
    Right,
}

/// An operation on a tensor and a constant, as a linear map.
fn with_constant(
    result: &mut Graph,
    node: &Node,
    x: NodeId,
    constant: &[f64],
    side: Side,
) -> Result<NodeId, PassError> {
    let size = constant.len();
    let (constant, none) = (Coefficients::new(constant.to_vec(), 1), Coefficients::uniform(0.0));
    let map = match (&node.op, side) {
        (Op::Mul, _) => affine(&constant, &none, size),
        (Op::Sub, Side::Right) => affine(&Coefficients::uniform(1.0), &constant.map(|value| -value), size),
        (Op::Sub, Side::Left) => affine(&Coefficients::uniform(-1.0), &constant, size),
        _ => affine(&Coefficients::uniform(1.0), &constant, size),
    };
    if map == LinearMap::identity(size) {
        return Ok(x);
    }
    Ok(result.linear(node.name.clone(), map, x, node.shape.clone())?)
}

/// `factors · base + offsets`, element by element.
struct Affine {
    base: NodeId,
    factors: Coefficients,
    offsets: Coefficients,
}

impl Affine {
    /// What a node is of the earliest node that it is an affine function of.
    fn of(graph: &Graph, id: NodeId) -> Self {
        let node = graph.node(id);
        let (zero, one) = (Coefficients::uniform(0.0), Coefficients::uniform(1.0));
        let step = match &node.op {
            Op::Scale(c) => Some((Coefficients::uniform(*c), zero.clone())),
            Op::AddConstant(c) => Some((one.clone(), Coefficients::uniform(*c))),
            Op::Linear(map) => Coefficients::of_diagonals(map).map(|factors| (factors, Coefficients::of_bias(map))),
            _ => None,
        };
        let Some((factors, offsets)) = step else { return Affine { base: id, factors: one, offsets: zero } };
        let before = Affine::of(graph, node.inputs[0]);
        let offsets = before.offsets.times(&factors).plus(&offsets);
        Affine { base: before.base, factors: before.factors.times(&factors), offsets }
    }
}

/// A sum or difference of two affine functions of one node as one of them: what is left of a leaky ReLU that is the identity.
fn sum_of_one(result: &mut Graph, node: &Node, operands: [NodeId; 2]) -> Result<Option<NodeId>, PassError> {
    let sign = match node.op {
        Op::Add => 1.0,
        Op::Sub => -1.0,
        _ => return Ok(None),
    };
    let [a, b] = operands.map(|operand| Affine::of(result, operand));
    if a.base != b.base || operands[0] == operands[1] {
        return Ok(None);
    }
    let sum = |a: Coefficients, b: Coefficients| a.plus(&b.map(|value| sign * value));
    let (factors, offsets) = (sum(a.factors, b.factors), sum(a.offsets, b.offsets));
    let is = |coefficients: &Coefficients, value: f64| coefficients.as_uniform().is_some_and(|all| is_near(all, value));
    if is(&factors, 1.0) && is(&offsets, 0.0) {
        return Ok(Some(a.base));
    }
    let map = affine(&factors, &offsets, node.shape.size());
    Ok(Some(result.linear(node.name.clone(), map, a.base, node.shape.clone())?))
}

fn vector(values: Vec<f64>) -> Constant {
    Arc::new(Tensor::new(Shape(vec![values.len()]), values))
}

/// A network whose layers get other weights beside channels that are always 0.
struct Silent {
    graph: Graph,
    consumers: Vec<Vec<NodeId>>,
}

impl Silent {
    fn new(graph: Graph) -> Self {
        Silent { consumers: graph.consumers(), graph }
    }

    fn relus(&mut self, signs: &Signs) -> Result<(), PassError> {
        for (&id, signs) in signs {
            let is_zero = |sign: &Sign| *sign == Sign::NeverPositive;
            if !signs.iter().any(is_zero) || signs.iter().all(is_zero) {
                continue;
            }
            let node = self.graph.node(id);
            let (operand, repeat) = (node.inputs[0], node.shape.size() / channels(&node.shape));
            let of_channel = |sign: &Sign| std::iter::repeat_n(is_zero(sign), repeat);
            let zeros: Vec<bool> = signs.iter().flat_map(of_channel).collect();
            self.before(operand, &zeros)?;
            self.behind(id, &zeros)?;
        }
        Ok(())
    }

    /// Layers that give what only the ReLU reads give zeros.
    fn before(&mut self, id: NodeId, zeros: &[bool]) -> Result<(), PassError> {
        let is_output = self.graph.outputs.iter().any(|output| output.node == id);
        if is_output || self.consumers[id.index()].len() != 1 {
            return Ok(());
        }
        let node = self.graph.node(id);
        let layer = match &node.op {
            Op::Reshape | Op::Scale(_) => return self.before(node.inputs[0], zeros),
            Op::BatchNorm(norm) => norm_to_zeros(norm, zeros),
            Op::Linear(map) if map.as_view().is_none() => Some(Op::Linear(Arc::new(without_rows(map, zeros)))),
            _ => None,
        };
        self.replace(id, layer)
    }

    /// Layers that read zeros have no weights for them.
    fn behind(&mut self, id: NodeId, zeros: &[bool]) -> Result<(), PassError> {
        let readers: BTreeSet<NodeId> = self.consumers[id.index()].iter().copied().collect();
        for reader in readers {
            let view = match &self.graph.node(reader).op {
                Op::Reshape | Op::Scale(_) => Some(zeros.to_vec()),
                Op::MaxPool(window) => Some(pooled(window, zeros)),
                Op::Linear(map) => map.as_view().map(|view| view.iter().map(|&from| zeros[from as usize]).collect()),
                _ => None,
            };
            if let Some(zeros) = view {
                self.behind(reader, &zeros)?;
                continue;
            }
            let layer = match &self.graph.node(reader).op {
                Op::BatchNorm(norm) => norm_of_zeros(norm, zeros),
                Op::Linear(map) => Some(Op::Linear(Arc::new(without_columns(map, zeros)))),
                _ => None,
            };
            self.replace(reader, layer)?;
        }
        Ok(())
    }

    fn replace(&mut self, id: NodeId, layer: Option<Op>) -> Result<(), PassError> {
        match layer {
            Some(op) => Ok(self.graph.replace_weights(id, op)?),
            None => Ok(()),
        }
    }
}

/// Which elements of a pool's result are zero: those of planes that hold nothing else.
fn pooled(window: &Window, zeros: &[bool]) -> Vec<bool> {
    let [_, height, width] = window.input;
    let plane = window.output.iter().product();
    zeros.chunks(height * width).flat_map(|zeros| std::iter::repeat_n(all(zeros), plane)).collect()
}

fn all(zeros: &[bool]) -> bool {
    zeros.iter().all(|zero| *zero)
}

/// Which of so many channels are zero; `None` if one is so in part.
fn by_channel(zeros: &[bool], channels: usize) -> Option<Vec<bool>> {
    let is_one = |part: &[bool]| part.iter().all(|zero| *zero == part[0]);
    let parts = || zeros.chunks((zeros.len() / channels).max(1));
    parts().all(is_one).then(|| parts().map(|part| part[0]).collect())
}

/// Values, with this one in the place of each that is zero.
fn with_zeros(values: &Constant, zeros: &[bool], zero: impl Fn(usize) -> f64) -> Constant {
    let value = |(index, &value): (usize, &f64)| if zeros[index] { zero(index) } else { value };
    vector(values.data.iter().enumerate().map(value).collect())
}

/// A normalization that gives 0 in some channels.
fn norm_to_zeros(norm: &BatchNorm, zeros: &[bool]) -> Option<Op> {
    let zeros = by_channel(zeros, norm.scale.data.len())?;
    let without = |values: &Constant| with_zeros(values, &zeros, |_| 0.0);
    Some(Op::BatchNorm(BatchNorm { scale: without(&norm.scale), bias: without(&norm.bias), ..norm.clone() }))
}

/// A normalization that takes some channels to be 0.
fn norm_of_zeros(norm: &BatchNorm, zeros: &[bool]) -> Option<Op> {
    let zeros = by_channel(zeros, norm.scale.data.len())?;
    let (scale, bias) =
        (with_zeros(&norm.scale, &zeros, |_| 0.0), with_zeros(&norm.bias, &zeros, |channel| norm.affine(channel).1));
    Some(Op::BatchNorm(BatchNorm { scale, bias, ..norm.clone() }))
}

/// A map that gives 0 at some elements.
fn without_rows(map: &LinearMap, zeros: &[bool]) -> LinearMap {
    let factors = map.factors.iter().cloned().chain([keeping_others(zeros)]).collect();
    let bias = map.bias.as_ref().map(|bias| bias_without(bias, zeros));
    simplify(LinearMap { factors, bias, ..map.clone() })
}

/// A map that takes some elements to be 0.
fn without_columns(map: &LinearMap, zeros: &[bool]) -> LinearMap {
    let factors = [keeping_others(zeros)].into_iter().chain(map.factors.iter().cloned()).collect();
    simplify(LinearMap { factors, ..map.clone() })
}

/// A bias with zeros, as compact as before where each of its values belongs to zeros alone or to none.
fn bias_without(bias: &Bias, zeros: &[bool]) -> Bias {
    let count = bias.values.data.len();
    let mut elements = vec![(0, 0); count];
    for (index, &zero) in zeros.iter().enumerate() {
        let (all, zeros) = &mut elements[index / bias.repeat % count];
        (*all, *zeros) = (*all + 1, *zeros + usize::from(zero));
    }
    if elements.iter().all(|(all, zeros)| *zeros == 0 || zeros == all) {
        let is_zero: Vec<bool> = elements.iter().map(|(_, zeros)| *zeros > 0).collect();
        return Bias { values: with_zeros(&bias.values, &is_zero, |_| 0.0), repeat: bias.repeat };
    }
    let value = |(index, &zero): (usize, &bool)| if zero { 0.0 } else { bias.at(index) };
    Bias { values: vector(zeros.iter().enumerate().map(value).collect()), repeat: 1 }
}

/// The diagonal that keeps all but zeros.
fn keeping_others(zeros: &[bool]) -> Primitive {
    let values = zeros.iter().map(|zero| if *zero { 0.0 } else { 1.0 }).collect();
    Coefficients::new(values, 1).diagonal(zeros.len())
}
