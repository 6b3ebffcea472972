//! MaxPool as comparisons of shifted copies, after the rounds of `pool.rs`.

use std::collections::BTreeMap;

use paf_ir::LinearMap;
use paf_ir::Shape;
use paf_ir::linear::Window;
use paf_ir::tensor::{Node, NodeId, Op};

use super::pool::{self, Round};
use super::scaling::Scaling;
use super::values::Values;
use super::{Lowering, polynomial, pool_guard};
use crate::error::PassError;
use crate::paf::Paf;

/// A tensor in the pool's units, and its values.
type Tensor = (NodeId, Values);

/// A pool that is being built.
struct Pool<'n> {
    node: &'n Node,
    paf: Paf,
    scaling: Scaling,
    /// The ReLU whose zero is an operand of the pool.
    rectifier: Option<(&'n Node, Paf)>,
}

impl Lowering<'_> {
    pub(super) fn max_pool(
        &mut self,
        id: NodeId,
        node: &Node,
        window: &Window,
        x: NodeId,
    ) -> Result<(NodeId, Values), PassError> {
        let source = self.source;
        let relu = node.inputs[0];
        let rectifier =
            self.scales.is_part_of_pool(relu).then(|| (source.node(relu), self.paf_of(relu, source.node(relu))));
        let (paf, scaling) = self.pool_scaling(id, node, window)?;
        let rounds = match rectifier {
            Some(_) => pool::rounds_with_zero(window, self.options.reduction),
            None => pool::rounds(window, self.options.reduction),
        };
        let pool = Pool { node, paf, scaling, rectifier };
        let image = pool.scaling.divide(&mut self.graph, &node.name, x)?;
        let (image, values) = self.rounds(&pool, &rounds, (image, self.operand(node, 0).clone()))?;
        let flat = pool.scaling.multiply(&mut self.graph, &node.name, image)?;
        let image = self.graph.reshape(node.name.clone(), flat, node.shape.clone())?;
        self.record_pool(&pool, window);
        Ok((image, values))
    }

    fn pool_scaling(&self, id: NodeId, node: &Node, window: &Window) -> Result<(Paf, Scaling), PassError> {
        let paf = self.paf_of(id, node);
        let guard = pool_guard(node, &paf, window, self.options.reduction)?;
        let scaling = self.scales.of_pool(id, node, self.operand(node, 0), guard)?;
        Ok((paf, scaling))
    }

    fn record_pool(&mut self, pool: &Pool, window: &Window) {
        let scale = pool.scaling.largest();
        if let Some((relu, paf)) = &pool.rectifier {
            self.record(relu, "Relu", paf, scale, scale * paf.max_relu_error());
        }
        let error = f64::from(self.options.reduction.comparisons(window)) * scale * pool.paf.max_relu_error();
        self.record(pool.node, "MaxPool", &pool.paf, scale, error);
    }

    /// Runs all rounds. Of the earlier tensors only those that are read again are kept.
    fn rounds(&mut self, pool: &Pool, rounds: &[Round], start: Tensor) -> Result<Tensor, PassError> {
        let (mut kept, mut current) = (BTreeMap::new(), start);
        for (index, round) in rounds.iter().enumerate() {
            if rounds[index..].iter().any(|later| later.earlier() == Some(index)) {
                kept.insert(index, current.clone());
            }
            let earlier = round.earlier().and_then(|earlier| kept.remove(&earlier));
            current = self.pool_round(pool, round, &current, earlier.as_ref())?;
        }
        Ok(current)
    }

    fn pool_round(
        &mut self,
        pool: &Pool,
        round: &Round,
        x: &Tensor,
        earlier: Option<&Tensor>,
    ) -> Result<Tensor, PassError> {
        match round {
            Round::Select(map) => self.select(pool, map, x),
            Round::Max(a, b) => {
                let (a, b) = (self.select(pool, a, x)?, self.select(pool, b, x)?);
                self.max(pool, a, b)
            }
            Round::MaxWithEarlier { first, rest, .. } => {
                let (first, rest) = (self.select(pool, first, x)?, self.select(pool, rest, earlier.unwrap_or(x))?);
                self.max(pool, first, rest)
            }
            Round::MaxWithZero { first, rest, .. } => {
                let first = self.select(pool, first, x)?;
                let rest = self.select(pool, rest, earlier.unwrap_or(x))?;
                let rest = self.rectified(pool, rest)?;
                self.max(pool, first, rest)
            }
            Round::Tree(taps) => {
                let taps = taps.iter().map(|tap| self.select(pool, tap, x).map(Some));
                let taps = taps.collect::<Result<Vec<_>, _>>()?;
                self.tree(pool, taps)
            }
            Round::TreeWithZero(taps) => {
                let taps = taps.iter().map(|tap| self.select(pool, tap, x).map(Some));
                let taps = std::iter::once(Ok(None)).chain(taps).collect::<Result<Vec<_>, _>>()?;
                self.tree(pool, taps)
            }
        }
    }

    /// Halves, then the maximum of both, as SmartPAF reduces a window. `None` stands for zero, once and never alone.
    fn tree(&mut self, pool: &Pool, mut taps: Vec<Option<Tensor>>) -> Result<Tensor, PassError> {
        if taps.len() > 1 {
            let second = taps.split_off(taps.len() / 2);
            if let [None] = taps[..] {
                let second = self.tree(pool, second)?;
                return self.rectified(pool, second);
            }
            let (first, second) = (self.tree(pool, taps)?, self.tree(pool, second)?);
            return self.max(pool, first, second);
        }
        let empty = || paf_ir::IrError::Eval(format!("`{}` has an empty window", pool.node.name)).into();
        taps.pop().flatten().ok_or_else(empty)
    }

    fn select(&mut self, pool: &Pool, map: &LinearMap, x: &Tensor) -> Result<Tensor, PassError> {
        let image = self.graph.linear(pool.node.name.clone(), map.clone(), x.0, Shape(vec![map.outputs]))?;
        Ok((image, x.1.linear(map)))
    }

    /// `b + (a − b)·step(a − b)`, both already divided by S; the values are not.
    fn max(&mut self, pool: &Pool, a: Tensor, b: Tensor) -> Result<Tensor, PassError> {
        let name = &pool.node.name;
        self.scales.check_comparison(pool.node, &a.1, &b.1)?;
        let difference = self.graph.add(name.clone(), Op::Sub, &[a.0, b.0])?;
        let step = polynomial::step(&mut self.graph, name, &pool.paf, difference)?;
        let product = self.graph.add(name.clone(), Op::Mul, &[difference, step])?;
        let maximum = self.graph.add(name.clone(), Op::Add, &[b.0, product])?;
        Ok((maximum, a.1.max(&b.1, &pool.paf, &pool.scaling)))
    }

    /// The maximum with zero, by the PAF of the ReLU.
    fn rectified(&mut self, pool: &Pool, x: Tensor) -> Result<Tensor, PassError> {
        let (name, paf) = match &pool.rectifier {
            Some((relu, paf)) => (&relu.name, paf),
            None => (&pool.node.name, &pool.paf),
        };
        let step = polynomial::step(&mut self.graph, name, paf, x.0)?;
        let image = self.graph.add(name.clone(), Op::Mul, &[x.0, step])?;
        Ok((image, x.1.relu(paf, &pool.scaling)))
    }
}
